"""``compare A B``: a candidate campaign against a baseline, from stored files alone; resolves no target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.line import Line, counted, split
from orchestrator.commands.parser import LineParser, path
from orchestrator.contracts import InputError

SUMMARY = "did the tail get worse from one campaign to another?"
ABOUT = "Compare a candidate campaign B with a baseline A: a results directory, or a file of `export baseline`. See docs/compare.md."
WORDS = "A B [analysis.KEY=VALUE...]"
EXAMPLES = ("compare results/monday results/friday --gate", "compare baseline.json results/latest --gate --markdown comment.md")


@dataclass(frozen=True)
class Options:
    """What ``compare`` compares.

    gate, allow_no_verdict
        whether the exit code says what was found, and whether no verdict passes.
    power
        whether to say what these repeats would find.
    json_file, html_file, markdown_file
        where the comparison is written besides.
    """

    baseline: Path
    candidate: Path
    overrides: tuple[str, ...] = ()
    gate: bool = False
    allow_no_verdict: bool = False
    power: bool = False
    json_file: Path | None = None
    html_file: Path | None = None
    markdown_file: Path | None = None


def add_options(parser: LineParser) -> None:
    """Declare the verb's options."""
    parser.flag("--gate", help="the exit code says whether B may pass: 0 passed, 1 worse, 3 no verdict")
    parser.flag("--allow-no-verdict", help="with --gate: a trial without a verdict passes, and the output says so")
    parser.flag("--power", help="say which change these repeats would find")
    for form in ("json", "html", "markdown"):
        parser.option(f"--{form}", type=path, metavar="FILE", help=f"write the comparison as {form} too")


def read(line: Line) -> Options:
    """Return what the command line says. Raises InputError."""
    directories, overrides = split(line, takes_overrides=True)
    found = line.options
    if len(directories) != 2:
        raise InputError(
            f"compare takes a baseline (a results directory or a file of `export baseline`) and the results directory of the candidate; "
            f"{counted(directories)}; see `orchestrator compare --help`"
        )
    if found.allow_no_verdict and not found.gate:
        raise InputError("--allow-no-verdict says how --gate counts: add --gate")
    return Options(*directories, overrides, found.gate, found.allow_no_verdict, found.power, found.json, found.html, found.markdown)


def execute(options: Options) -> int:
    """Compare. Returns the exit code: with ``--gate`` what the gate says, else 0."""
    from orchestrator.commands.compare import execute

    return execute(options)
