"""``bundle DIR FILE.tar.zst``: a campaign with all that is evidence of it, in one file that ``verify`` looks at anywhere."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "a campaign as one file of evidence, signed if you like"
ABOUT = """\
Put a campaign into one file: stored times, result tables and report made anew, the environment that it
was measured in, and the SHA-256 of everything. verify looks at it on any machine. docs/evidence.md"""
WORDS = "DIR FILE.tar.zst [analysis.KEY=VALUE...]"
EXAMPLES = (
    "bundle results/latest evidence.tar.zst",
    "bundle results/latest evidence.tar.zst --requirements requirements.yaml --sign ~/.ssh/id_ed25519",
)
ENDING = ".tar.zst"


@dataclass(frozen=True)
class Options:
    """What ``bundle`` bundles, the requirements that it is held against, and the key that signs it; these may be None."""

    directory: Path
    file: Path
    overrides: tuple[str, ...] = ()
    requirements: Path | None = None
    sign: Path | None = None


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    help_text = "hold the campaign against this file as assess does, and bundle file and verdicts"
    parser.option("--requirements", type=path, metavar="FILE", help=help_text)
    help_text = "sign the file with a key of ssh-keygen; the signature lies beside it"
    parser.option("--sign", type=path, metavar="KEY", help=help_text)


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    words, overrides = split(line, takes_overrides=True)
    if len(words) != 2:
        usage = f"such as `bundle results/latest evidence{ENDING}`"
        raise InputError(f"bundle takes a results directory and a file to write, {counted(words)}: {usage}")
    directory, file = words
    if not file.name.endswith(ENDING) or file.name == ENDING:
        raise InputError(f"{file}: must end with {ENDING}, which is what a bundle is: such as evidence{ENDING}")
    return Options(directory, file, overrides, line.options.requirements, line.options.sign)


def execute(options: Options) -> int:
    """Write the bundle. Returns the exit code."""
    from orchestrator.commands.bundle import write_bundle

    return write_bundle(options.directory, options.file, options.overrides, options.requirements, options.sign)
