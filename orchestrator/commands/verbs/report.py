"""``report DIR...``: tables, figures and report.html from the stored files alone; resolves no target."""

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, split
from orchestrator.commands.parser import LineParser, among, listed, path
from orchestrator.commands.shared_options import add_full
from orchestrator.contracts import InputError

SUMMARY = "tables and report.html again, from the stored files alone"
ABOUT = """\
Write the result tables, report.md and report.html of a campaign again, or one report of several campaigns. No code of a
campaign is run; code=[DIR] names a folder of yours with metrics for analysis.metrics=[NAME]."""
WORDS = "DIR... [analysis.KEY=VALUE...] [code=[DIR]]"
FORMATS = ("svg", "pdf", "png")
STYLES = ("paper", "talk")
EXAMPLES = (
    "report results/latest --figures pdf --style paper --no-title",
    "report results/monday results/friday --into reports/week",
)


@dataclass(frozen=True)
class Options:
    """What ``report`` reports.

    figures, only
        formats of figures as files, and the names of those to write; none means all.
    into
        the folder of a report of several campaigns.
    full
        whether every table of the summary is printed.
    style, width, title
        of figures as files: that of a paper or a talk, how many inches wide, and whether they have a title.
    """

    directories: tuple[Path, ...]
    overrides: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    into: Path | None = None
    full: bool = False
    style: str | None = None
    width: float | None = None
    title: bool = True


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    help_text = f"write every figure too, as {','.join(FORMATS)}"
    parser.option("--figures", type=among(FORMATS), action="extend", default=[], metavar="FORMATS", help=help_text)
    help_text = "write only this one of the figures; may be repeated"
    parser.option("--only", type=listed, action="extend", default=[], metavar="NAME", help=help_text)
    parser.option("--style", choices=STYLES, help="of these files: for a column of a paper, or for slides")
    parser.option("--width", type=_width, metavar="WIDTH", help="of these files, such as 3.3in, 84mm, 8.4cm or 240pt")
    parser.flag("--no-title", help="of these files: no title, where a caption has it")
    add_full(parser)
    parser.option("--into", type=path, metavar="FOLDER", help="where a report of several campaigns goes")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    if not directories:
        raise InputError("report takes one results directory or more, none was given: name one, such as results/latest")
    if found.only and not found.figures:
        raise InputError(f"--only {','.join(found.only)}: chooses among the figures that --figures writes; add --figures svg")
    for option in ("style", "width", "no_title"):
        if getattr(found, option) not in (False, None) and not found.figures:
            raise InputError(f"--{option.replace('_', '-')}: says how the files of --figures look; add --figures pdf")
    if len(directories) == 1 and found.into is not None:
        raise InputError("--into is for a report of several campaigns: the one of a single campaign stands in its own directory")
    figures, only, title = tuple(found.figures), tuple(found.only), not found.no_title
    return Options(directories, overrides, figures, only, found.into, found.full, found.style, found.width, title)


def execute(options: Options) -> int:
    """Report one campaign, or several side by side. Returns the exit code."""
    from orchestrator.commands.report import report_one, report_several
    from orchestrator.report.chart_files import look_of

    look = look_of(options.style, options.width, options.title)
    if len(options.directories) == 1:
        return report_one(options.directories[0], options.overrides, options.figures, options.only, options.full, look)
    return report_several(options.directories, options.overrides, options.figures, options.only, options.into, options.full, look)


def _width(text: str) -> float:
    from orchestrator.report.chart_files import inches

    try:
        return inches(text)
    except InputError as error:
        raise ArgumentTypeError(str(error)) from error
