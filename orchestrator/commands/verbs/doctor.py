"""``doctor``: is every host fit for timing? Reads, judges, and starts no trial."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, overrides_alone
from orchestrator.commands.parser import LineParser
from orchestrator.commands.shared_options import add_config_dir, add_quiet

SUMMARY = "is every host fit for timing: good, doubtful or bad, and why"
ABOUT = "Look at this machine, or at every node of a cluster, and judge what disturbs timings there. Starts no trial."
WORDS = "[cluster=address cluster.address=HOST:PORT] [system=a,b]"
EXAMPLES = ("doctor", "doctor cluster=address cluster.address=192.0.2.10:6379 system=v100,p100")


@dataclass(frozen=True)
class Options:
    """What ``doctor`` looks at. ``overrides`` choose a cluster and systems; ``everything`` prints what is good, too."""

    overrides: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()
    quiet: bool = False
    everything: bool = False


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    add_config_dir(parser)
    parser.flag("--all", help="print what is good as well, not the problems alone")
    add_quiet(parser)


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    return Options(overrides_alone(line), tuple(line.options.config_dir), line.options.quiet, line.options.all)


def execute(options: Options) -> int:
    """Print what was found. Returns the exit code: 1 where anything is bad."""
    from orchestrator.commands.doctor import examine

    return 0 if examine(options.overrides, options.config_dirs, options.quiet, options.everything) else 1
