"""``extend DIR --rounds N``: add rounds to finished trials, as a further look."""

from orchestrator.commands.asked import GoingOn
from orchestrator.commands.line import Line
from orchestrator.commands.parser import LineParser, count
from orchestrator.commands.shared_options import add_going_on, read_going_on
from orchestrator.contracts import InputError

SUMMARY = "add rounds to the finished trials of a campaign"
ABOUT = """\
Add rounds to every finished trial, as a further look at it. This runs the code that the campaign names (its models and
tasks), as you: where another user could have written the campaign or that code, it refuses, unless --trust is given."""
WORDS = "DIR --rounds N [cluster.address=HOST:PORT]"
EXAMPLES = ("extend results/latest --rounds 100", "extend results/monday --rounds 30 --accept-changes")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--rounds", type=count, metavar="N", help="how many rounds to add to every finished trial")
    add_going_on(parser)


def read(line: Line) -> GoingOn:
    """Return what the command line says. Raises InputError."""
    if line.options.rounds is None:
        raise InputError("extend needs --rounds N: how many rounds to add, such as `extend results/latest --rounds 100`")
    return read_going_on(line, rounds=line.options.rounds)


def execute(options: GoingOn) -> int:
    """Add the rounds. Returns the exit code."""
    from orchestrator.commands.resume import execute

    return execute(options)
