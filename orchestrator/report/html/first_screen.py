"""The answer of one task: which system wins and by how much, whether that is shown, which deadline is kept, and what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.standings import UNSTEADY, is_unsteady, standings
from orchestrator.report.text import milliseconds, trials_counted
from orchestrator.report.verdict import repeats_needed, winners

NAMED = 3


@dataclass(frozen=True)
class Doubt:
    """A flag, and which of the trials have it."""

    word: Word
    whose: str


@dataclass(frozen=True)
class FirstScreen:
    """The sentences beside the first figure."""

    wins: tuple[str, ...]
    shown: tuple[str, ...]
    kept: tuple[str, ...]
    doubts: tuple[Doubt, ...]


def first_screen(reading: Reading, results: CampaignAnalysis, flags: Mapping[str, Word]) -> FirstScreen:
    """Return the answer at the primary threshold."""
    return FirstScreen(
        wins=tuple(winners(results, reading.group)),
        shown=tuple(_shown(reading, results)),
        kept=tuple(_deadlines(reading)),
        doubts=tuple(_doubts(reading, flags)),
    )


def _shown(reading: Reading, results: CampaignAnalysis) -> Iterator[str]:
    found = standings(results, reading.group)
    if len(found) < 2:
        return
    needed = list(repeats_needed(results, reading.group))
    if needed:
        yield " ".join(["For these processes yes, but for ties. For processes started anew not yet.", *needed])
    else:
        processes = sorted({one.processes for one in found})
        count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
        yield f"Yes, for processes started anew, but for ties: every mean is over {count} of them."


def _deadlines(reading: Reading) -> Iterator[str]:
    """Say per model which trial keeps the shortest deadline."""
    rows = {
        row["trial"]: row
        for row in reading.results.tables["deadline"].to_pylist()
        if (row["clock"], row["reference"]) == (reading.clock, "own")
    }
    models: dict[str, list[Entry]] = {}
    for entry in reading.entries:
        if entry.key in rows:
            models.setdefault(entry.data.record.trial.model.name, []).append(entry)
    for entries in models.values():
        certified = [entry for entry in entries if rows[entry.key]["certified"]]
        seen = [entry for entry in entries if rows[entry.key]["observed_ns"] is not None]
        if certified:
            best = min(certified, key=lambda entry: rows[entry.key]["deadline_ns"])
            row = rows[best.key]
            share, ms = f"{100 * row['quality_share']:g} %", milliseconds(row["deadline_ns"])
            yield f"{best.label} keeps {share} of its ideal quality from {ms} on, certified."
        elif seen:
            best = min(seen, key=lambda entry: rows[entry.key]["observed_ns"])
            row = rows[best.key]
            share, ms = f"{100 * row['quality_share']:g} %", milliseconds(row["observed_ns"])
            seen_in = f"{100 * (1 - row['late_share']):g} % of rounds"
            yield f"{best.label} kept {share} of its ideal quality from {ms} on, in {seen_in}; that is not certified."


def _doubts(reading: Reading, flags: Mapping[str, Word]) -> Iterator[Doubt]:
    """Yield each flag of figures at the primary threshold, and what else is in doubt, with the trials that it is true of."""
    at = reading.grids[reading.clock].start
    whose: dict[str, list[str]] = {}
    unsteady = []
    for entry in reading.entries:
        curve = reading.curves[reading.clock, entry.key]
        for flag in curve.flags[at]:
            whose.setdefault(flag, []).append(entry.label)
        if is_unsteady(float(curve.low[at]), float(curve.high[at]), curve.ideal):
            unsteady.append(entry.label)
    rows = [row for row in reading.results.tables["deadline"].to_pylist() if (row["clock"], row["reference"]) == (reading.clock, "own")]
    uncertified = {row["trial"] for row in rows if not row["certified"]}
    own = {word.term: word for word in words()}
    for word, labels in [
        *((flags[flag], labels) for flag, labels in whose.items()),
        (own[UNSTEADY], unsteady),
        (own[UNCERTIFIED], [entry.label for entry in reading.entries if entry.key in uncertified]),
    ]:
        if labels:
            yield Doubt(word, _told(labels, len(reading.entries)))


def _told(labels: Sequence[str], size: int) -> str:
    """Name up to three trials, or say how many of all they are."""
    if len(labels) == size:
        return {1: trials_counted(1), 2: "both trials"}.get(size, f"all {trials_counted(size)}")
    return ", ".join(labels) if len(labels) <= NAMED else f"{len(labels)} of {trials_counted(size)}"
