"""``run``: plan a campaign, measure it, store it, report it. A command line without a verb means this one."""

from orchestrator.commands.asked import Composing
from orchestrator.commands.line import Line
from orchestrator.commands.parser import LineParser
from orchestrator.commands.shared_options import add_composing, add_full, add_trust, read_composing

SUMMARY = "measure trials, store every timing, and report"
ABOUT = "Measure every trial that the words describe. Results go to results/NAME/TIME/, or where results_dir= says."
WORDS = "KEY=VALUE..."
EXAMPLES = ("+sweep=vision", "-m model=efficientnet_lite0 task=imagenet_samples system=cpu_1core,cpu_all")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    add_composing(parser)
    add_full(parser)
    add_trust(parser)


def read(line: Line) -> Composing:
    """Return what the command line says. Raises InputError."""
    return read_composing(line)


def execute(options: Composing) -> int:
    """Run the campaign, or print what ``--cfg`` and ``--info`` ask for. Returns the exit code."""
    if options.shows is not None:
        from orchestrator.commands.planning import show

        return show(options)
    from orchestrator.commands.run import execute

    return execute(options)
