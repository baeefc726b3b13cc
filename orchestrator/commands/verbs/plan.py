"""``plan``: what would run, where, why not, and how long at least. Starts nothing."""

from dataclasses import replace

from orchestrator.commands.asked import Composing
from orchestrator.commands.line import Line
from orchestrator.commands.parser import LineParser, path
from orchestrator.commands.shared_options import add_composing, read_composing

SUMMARY = "what would run, where, and why not; starts nothing"
ABOUT = """\
Show what `run` would do with the same words: every trial, its machine, how long it may take, and what it lacks.
With requirements, whether a campaign of this size could show that they are met."""
WORDS = "KEY=VALUE..."
EXAMPLES = ("plan +sweep=vision", "plan model=efficientnet_lite0 task=imagenet_samples system=cpu_all")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    add_composing(parser)
    parser.flag("--full", help="print every column, also where all trials are equal")
    parser.option("--requirements", type=path, metavar="FILE", help="say how large it must be to show each of them")


def read(line: Line) -> Composing:
    """Return what the command line says. Raises InputError."""
    return replace(read_composing(line), requirements=line.options.requirements)


def execute(options: Composing) -> int:
    """Print the plan, or what ``--cfg`` and ``--info`` ask for. Returns the exit code."""
    if options.shows is not None:
        from orchestrator.commands.planning import show

        return show(options)
    from orchestrator.commands.plan import execute

    return execute(options)
