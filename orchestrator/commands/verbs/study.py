"""``study DIR...``: the paper's study from stored results alone; fills a document's numbers, or checks them."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "the paper's tables, figures and claims, from the stored files alone"
ABOUT = """\
Write study.md, study.json and figures: the tables of the tail-quality paper from stored results, and its claims held to criteria
that were fixed beforehand. No code of a campaign is run. docs/statistics.md, section Study, says how each claim is judged."""
WORDS = "DIR... [analysis.KEY=VALUE...]"
EXAMPLES = ("study results/latest --fill docs/study.md", "study results/latest --check docs/study.md")


@dataclass(frozen=True)
class Options:
    """What ``study`` studies.

    to
        the folder to write into; None is ``study/`` in the campaign's own directory.
    criteria
        the file that claims are held to; None is the shipped one.
    fill, check
        documents whose numbers are written, or compared.
    """

    directories: tuple[Path, ...]
    overrides: tuple[str, ...] = ()
    to: Path | None = None
    criteria: Path | None = None
    fill: Path | None = None
    check: Path | None = None


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--to", type=path, metavar="FOLDER", help="where to write; without it, into study/ of the campaign's directory")
    parser.option("--criteria", type=path, metavar="FILE", help="what claims are held to, in place of conf/study.yaml")
    parser.option("--fill", type=path, metavar="FILE", help="write the study's figures between the markers of this document, too")
    parser.option("--check", type=path, metavar="FILE", help="write nothing; exit code 1 where this document says something else")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    if not directories:
        raise InputError("study takes one results directory or more, none was given: name one, such as results/latest")
    if found.check is not None and (found.fill is not None or found.to is not None):
        raise InputError("--check writes nothing: leave out --fill and --to, or --check")
    if len(directories) > 1 and found.to is None and found.check is None:
        raise InputError("a study of several campaigns belongs into none of them: add --to FOLDER")
    return Options(tuple(directories), tuple(overrides), found.to, found.criteria, found.fill, found.check)


def execute(options: Options) -> int:
    """Write a study, or check a document against one. Returns the exit code."""
    from orchestrator.commands.study import check_document, write_study

    if options.check is not None:
        return check_document(options.directories, options.overrides, options.criteria, options.check)
    return write_study(options.directories, options.overrides, options.criteria, options.to, options.fill)
