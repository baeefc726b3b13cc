"""``history FOLDER``: what many campaigns of one sweep keep over time, and where that changes."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "many campaigns of one sweep over time, and where they change"
ABOUT = """\
Read the result tables of all campaigns below a folder: tail quality at one threshold and certified deadlines, campaign by
campaign, with the noise of visits and processes, and change points. Writes history.html and two Parquet files. docs/history.md"""
WORDS = "FOLDER"
EXAMPLES = ("history results/vision", "history results/vision --threshold '50 ms' --by code --to reports/vision")
ORDERS = ("time", "code")


@dataclass(frozen=True)
class Options:
    """What ``history`` reads.

    threshold
        a time, or None for the one that most campaigns have.
    sweep
        the name of the campaigns that are read, or None where all have one.
    by
        whether a point is a campaign (``time``) or all campaigns of one code.
    to
        the folder to write into, or None for the one that is read.
    """

    folder: Path
    threshold: str | None = None
    sweep: str | None = None
    by: str = "time"
    to: Path | None = None


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--threshold", metavar="TIME", help="such as '50 ms'; without it, the time that most campaigns have stored")
    parser.option("--sweep", metavar="NAME", help="read the campaigns of this name alone")
    help_text = "a point per campaign (time, if none is given), or per code that measured (code)"
    parser.option("--by", choices=ORDERS, default=ORDERS[0], metavar="ORDER", help=help_text)
    parser.option("--to", type=path, metavar="FOLDER", help="write there, not into the folder that is read")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    words, _ = split(line, takes_overrides=False)
    if len(words) != 1:
        raise InputError(f"history takes one folder that holds campaigns, {counted(words)}: name one, such as results/vision")
    found = line.options
    return Options(words[0], found.threshold, found.sweep, found.by, found.to)


def execute(options: Options) -> int:
    """Read, print and write. Returns the exit code."""
    from orchestrator.commands.history import show_history

    show_history(options.folder, options.threshold, options.sweep, options.by == "code", options.to)
    return 0
