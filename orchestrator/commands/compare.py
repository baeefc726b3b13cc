"""``compare A B``: a candidate campaign against a baseline, from stored files alone; ``compare --run A B``: measured in pairs first."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import (
    COUNT,
    PLACE,
    Number,
    check_outputs,
    config_dirs,
    flag,
    is_override,
    listed,
    quiet,
    refuse_alone,
    verb,
)
from orchestrator.contracts import InputError
from orchestrator.report.text import printable

if TYPE_CHECKING:
    from orchestrator.compare.baseline import Baseline
    from orchestrator.compare.campaigns import Comparison
    from orchestrator.storage.reader import Campaign

MIN_EFFECT = 0.2
"""A slow-down of all times, as a share, that a gate must be able to find."""
PAIRS = 5
"""Pairs of processes for each trial; with fewer than 3 there is no verdict."""
STYLE_OF_RESULT = {"pass": "bold green", "fail": "bold red", "no verdict": "bold yellow"}


def share(text: str) -> float:
    """Read a percentage above 0, such as 20 or 20%, as a share."""
    return Number(0, min_open=True).convert(text.removesuffix("%"), None, None) / 100


@verb(
    "compare a.json results/latest --gate --markdown b.md",
    "compare --run old_code new_code +sweep=vision --gate",
)
@click.argument("words", metavar="[--run] A B [KEY=VALUE...]", nargs=-1)
@flag("--run", help="measure A and B first, in pairs of fresh processes")
@click.option("--pairs", type=COUNT, metavar="N", help=f"with --run: pairs for each trial (default {PAIRS})")
@click.option("--to", type=PLACE, metavar="FOLDER", help="with --run: where both go; what is begun goes on")
@flag("-m", "--multirun", help="with --run: a,b after a key makes a trial of each")
@config_dirs
@quiet
@click.option("--by", type=listed, metavar="KEY[,KEY]", help="match trials that differ in these settings alone")
@flag("--gate", help="exit code 0 for pass, 1 for fail, 3 for no verdict")
@flag("--allow-no-verdict", help="with --gate: a trial without a verdict passes")
@click.option("--min-effect", type=share, metavar="PERCENT", help="with --gate: slow-down it must find (default 20)")
@flag("--power", help="say which change these repeats would find")
@flag("--full", help="print every figure and flag, not the verdicts alone")
@click.option("--json", type=PLACE, metavar="FILE", help="write all figures, for programs")
@click.option("--markdown", type=PLACE, metavar="FILE", help="write tables, for a pull request")
@click.option("--html", type=PLACE, metavar="FILE", help="write a page")
def command(
    words: tuple[str, ...],
    run: bool,
    pairs: int | None,
    to: Path | None,
    multirun: bool,
    config_dirs: tuple[Path, ...],
    quiet: bool,
    by: tuple[str, ...] | None,
    gate: bool,
    allow_no_verdict: bool,
    min_effect: float | None,
    power: bool,
    full: bool,
    **forms: Path | None,
) -> int:
    """Say whether the tail got worse from one campaign to another.

    Compare campaign B with baseline A, each a directory or A a file of `export baseline`; --run measures both first.
    See docs/compare.md.
    """
    if not run:
        refuse_alone("--run", pairs=pairs, to=to, multirun=multirun, config_dir=config_dirs, quiet=quiet)
    if not gate:
        refuse_alone("--gate", allow_no_verdict=allow_no_verdict, min_effect=min_effect)
    sides = list(words[:2]) if run else [word for word in words if not is_override(word)]
    overrides = words[2:] if run else tuple(filter(is_override, words))
    if len(sides) != 2 or "" in sides:
        what = (
            "a .yaml of overrides, a folder of code or 'KEY=VALUE ...'"
            if run
            else "a results directory, or as A a file of `export baseline`"
        )
        raise InputError(
            f"compare takes two sides, {len(sides)} given ({', '.join(sides[:3])}): each {what}; see `orchestrator compare --help`"
        )
    if wrong := next((word for word in overrides if not is_override(word)), None):
        raise InputError(f"{wrong}: after its two sides, compare --run takes KEY=VALUE alone; put a side with spaces into quotes")
    files = {form: file for form, file in forms.items() if file is not None}
    folders = [] if to is None else [to / "a", to / "b"]
    read = [Path(side) for side in sides if "=" not in side or not run]
    campaigns = folders if run else [place for place in read if not place.is_file()]
    inputs = read if run else [place for place in read if place.is_file()]
    check_outputs({f"--{form}": file for form, file in files.items()}, campaigns, inputs, overrides)
    broken: tuple[str, ...] = ()
    if run:
        from orchestrator.commands.paired_run import PairedRun, measure_pairs

        measured = measure_pairs(PairedRun((sides[0], sides[1]), overrides, pairs or PAIRS, to, multirun, config_dirs, quiet), gate)
        if measured.ended is not None:
            return measured.ended
        before, after, broken = measured.folder / "a", measured.folder / "b", measured.broken
        overrides = ()  # they are measured, and stored with each side
    else:
        before, after = read
    effect = min_effect or MIN_EFFECT if gate else None
    comparison = compare_campaigns(before, after, overrides, power, effect, by or ())
    tell(comparison, allow_no_verdict, power, files, full, (before, after), command_of(after), command_of(before))
    for told in broken:
        print(printable(f"error: {told}"), file=sys.stderr)  # noqa: T201
    return comparison.exit_code(allow_no_verdict) if gate else int(bool(broken))


def compare_campaigns(
    baseline: Path, candidate: Path, overrides: Sequence[str], power: bool, min_effect: float | None = None, by: Sequence[str] = ()
) -> Comparison:
    """Compare the campaign of one directory with a baseline: a directory, or a file of ``export baseline``.

    ``min_effect`` is what a gate must be able to find, as a share; None where none is asked for.
    """
    from orchestrator.compare.baseline import Baseline
    from orchestrator.compare.campaigns import compare
    from orchestrator.configuration.composition import override_analysis
    from orchestrator.storage.layout import CAMPAIGN
    from orchestrator.storage.reader import open_campaign

    before = _baseline(baseline)
    stored = before.analysis if isinstance(before, Baseline) else before.record.config.analysis
    if candidate.is_file() and candidate.suffix == ".json" and candidate.name != CAMPAIGN:
        swap = "" if baseline.is_file() else f": swap them, `compare {candidate} {baseline}`"
        raise InputError(
            f"{candidate} is a baseline, which stands in for the first campaign only; the candidate is a results directory{swap}"
        )
    return compare(before, open_campaign(candidate), override_analysis(stored, overrides), power=power, min_effect=min_effect, by=by)


def _baseline(path: Path) -> Campaign | Baseline:
    from orchestrator.compare.baseline import read_baseline
    from orchestrator.storage.layout import CAMPAIGN
    from orchestrator.storage.reader import open_campaign

    if path.name == CAMPAIGN:
        raise InputError(f"{path} is the record of a campaign, not a baseline: name its directory, {path.parent}")
    if path.suffix == ".json" and not path.exists():
        raise InputError(f"{path}: there is no such file; write it with `export baseline {path} DIR`, or name a results directory")
    return read_baseline(path) if path.is_file() else open_campaign(path)


def command_of(place: Path) -> tuple[str, ...]:
    """Return the words of the command line that measured a campaign; none of a baseline file, which does not hold them."""
    from orchestrator.storage.reader import open_campaign

    return () if place.is_file() else open_campaign(place).record.command


def tell(
    comparison: Comparison,
    allow_no_verdict: bool,
    power: bool,
    files: Mapping[str, Path],
    full: bool = False,
    places: tuple[Path, Path] = (Path("A"), Path("B")),
    command: Sequence[str] = (),
    command_before: Sequence[str] = (),
) -> None:
    """Print a comparison, the verdicts alone or in ``full``, and write it as ``json``, ``markdown`` or ``html`` into ``files``.

    ``places`` are baseline and candidate as they were named, ``command_before`` and ``command`` measured them: with these, it is said
    how to come to a verdict where there is none.
    """
    from orchestrator.compare.comparison_tables import comparison_tables, sentences, short_table
    from orchestrator.compare.documents import Written, difference_picture, to_comment, to_document, to_page
    from orchestrator.compare.headline import headline
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.files import write_json, write_text

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
        if form == "json":
            write_json(path, to_document(comparison, allow_no_verdict))
        else:
            write_text(path, (to_comment if form == "markdown" else to_page)(written))
        terminal.line(f"written: {path}")
