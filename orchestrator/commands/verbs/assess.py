"""``assess DIR... --requirements FILE``: whether stored campaigns show that requirements are met; resolves no target."""

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.commands.line import Line, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "whether requirements are met, not met or not shown, and what is missing"
ABOUT = """\
Hold the requirements of a file against stored campaigns. Exit code 1 where one is not met, else 3 where one is
not shown, else 0; 2 for a file that breaks a rule. No code of a campaign is run.
docs/requirements.md says how a file is written."""
WORDS = "DIR... --requirements FILE [analysis.KEY=VALUE...]"
EXAMPLES = (
    "assess results/latest --requirements docs/examples/requirements/met.yaml",
    "assess results/a results/b --requirements requirements.yaml --junit assessment.xml",
)
FORMS = ("json", "markdown", "junit", "html")


@dataclass(frozen=True)
class Options:
    """What ``assess`` assesses, and which files it writes, by their form."""

    directories: tuple[Path, ...]
    requirements: Path
    overrides: tuple[str, ...] = ()
    full: bool = False
    files: dict[str, Path] = field(default_factory=dict)


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.option("--requirements", type=path, metavar="FILE", help="the requirements, in the form of docs/requirements.md")
    parser.flag("--full", help="print every system, not only those that decide a verdict")
    parser.option("--json", type=path, metavar="FILE", help="write all figures, for programs")
    parser.option("--markdown", type=path, metavar="FILE", help="write tables, for a pull request")
    parser.option("--junit", type=path, metavar="FILE", help="write JUnit XML, for CI: not met is a failure, not shown an error")
    parser.option("--html", type=path, metavar="FILE", help="write a page")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    if not directories:
        raise InputError("assess takes one results directory or more, none was given: name one, such as results/latest")
    if found.requirements is None:
        raise InputError("assess needs --requirements FILE; docs/requirements.md says how one is written")
    files = {form: getattr(found, form) for form in FORMS if getattr(found, form) is not None}
    return Options(tuple(directories), found.requirements, tuple(overrides), found.full, files)


def execute(options: Options) -> int:
    """Print the verdicts and write the files. Returns the exit code."""
    from orchestrator.commands.assess import assess_campaigns

    return assess_campaigns(options.directories, options.requirements, options.overrides, options.full, options.files)
