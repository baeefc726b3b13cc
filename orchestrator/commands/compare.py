"""``compare A B``: a candidate campaign against a baseline, from stored files alone; resolves no target."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.compare.baseline import Baseline, read_baseline
from orchestrator.compare.campaigns import Comparison, compare
from orchestrator.compare.comparison_tables import comparison_tables, sentences, short_table
from orchestrator.compare.documents import Written, difference_picture, to_comment, to_document, to_page
from orchestrator.compare.headline import Result, headline
from orchestrator.configuration.composition import override_analysis
from orchestrator.contracts import InputError
from orchestrator.report.terminal import Terminal
from orchestrator.storage.files import write_json, write_text
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.reader import Campaign, open_campaign


def compare_campaigns(
    baseline: Path, candidate: Path, overrides: Sequence[str], power: bool, min_effect: float | None = None, by: Sequence[str] = ()
) -> Comparison:
    """Compare the campaign of one directory with a baseline: a directory, or a file of ``export baseline``.

    ``min_effect`` is what a gate must be able to find; None where none is asked for.
    """
    before = _baseline(baseline)
    stored = before.analysis if isinstance(before, Baseline) else before.record.config.analysis
    return compare(before, _candidate(candidate, baseline), override_analysis(stored, overrides), power=power, min_effect=min_effect, by=by)


def tell(
    comparison: Comparison,
    allow_no_verdict: bool,
    power: bool,
    files: Mapping[str, Path | None],
    full: bool = False,
    places: tuple[Path, Path] = (Path("A"), Path("B")),
    command: Sequence[str] = (),
    command_before: Sequence[str] = (),
) -> None:
    """Print a comparison, the verdicts alone or in ``full``, and write it as ``json``, ``markdown`` or ``html`` into ``files``.

    ``places`` are baseline and candidate as they were named, ``command_before`` and ``command`` measured them: with these, it is said
    how to come to a verdict where there is none.
    """
    found = list(sentences(comparison))
    head = headline(comparison, places, command, allow_no_verdict, command_before)
    tables = list(comparison_tables(comparison, power))
    terminal = Terminal()
    terminal.prose(head.sentence, STYLE_OF_RESULT[head.result])
    if head.commands:
        terminal.prose("What would give a verdict:")
        for wanted in head.commands:
            terminal.line(wanted)
    terminal.line()
    for table in tables if full else [short_table(comparison), *tables[1:]]:
        terminal.table(table)
        terminal.line()
    for sentence in found:
        terminal.prose(sentence)
    written = Written(
        title=f"Tail quality: {comparison.after.name} against {comparison.before.name}",
        headline=head,
        sentences=found,
        short=short_table(comparison, more=""),
        tables=tables,
        picture=difference_picture(comparison),
    )
    for form, path in files.items():
        if path is not None:
            if form == "json":
                write_json(path, to_document(comparison, allow_no_verdict))
            else:
                write_text(path, (to_comment if form == "markdown" else to_page)(written))
            terminal.line(f"written: {path}")


def command_of(place: Path) -> tuple[str, ...]:
    """Return the words of the command line that measured a campaign; none of a baseline file, which does not hold them."""
    return () if place.is_file() else open_campaign(place).record.command


STYLE_OF_RESULT: Mapping[Result, str] = {"pass": "bold green", "fail": "bold red", "no verdict": "bold yellow"}


def _baseline(path: Path) -> Campaign | Baseline:
    if path.name == CAMPAIGN:
        raise InputError(f"{path} is the record of a campaign, not a baseline: name its directory, {path.parent}")
    if path.suffix == ".json" and not path.exists():
        raise InputError(f"{path}: there is no such file; write it with `export baseline {path} DIR`, or name a results directory")
    return read_baseline(path) if path.is_file() else open_campaign(path)


def _candidate(path: Path, baseline: Path) -> Campaign:
    if path.is_file() and _is_baseline(path):
        swap = "" if baseline.is_file() else f": swap them, `compare {path} {baseline}`"
        raise InputError(f"{path} is a baseline, which stands in for the first campaign only; the candidate is a results directory{swap}")
    return open_campaign(path)


def _is_baseline(path: Path) -> bool:
    try:
        read_baseline(path)
    except InputError:
        return False
    return True
