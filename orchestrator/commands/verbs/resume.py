"""``resume DIR``: go on with an interrupted campaign; no stored round is measured again."""

from orchestrator.commands.asked import GoingOn
from orchestrator.commands.line import Line
from orchestrator.commands.parser import LineParser
from orchestrator.commands.shared_options import add_going_on, read_going_on

SUMMARY = "go on with an interrupted campaign"
ABOUT = """\
Measure what a campaign lacks; no stored round is measured again. This runs the code that the campaign names (its models
and tasks), as you: where another user could have written the campaign or that code, it refuses, unless --trust is given."""
WORDS = "DIR [cluster.address=HOST:PORT]"
EXAMPLES = ("resume results/latest", "resume results/latest --retry-failed")


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.flag("--retry-failed", help="measure failed trials too")
    add_going_on(parser)


def read(line: Line) -> GoingOn:
    """Return what the command line says. Raises InputError."""
    return read_going_on(line, retry_failed=line.options.retry_failed)


def execute(options: GoingOn) -> int:
    """Go on with the campaign. Returns the exit code."""
    from orchestrator.commands.resume import execute

    return execute(options)
