"""The answer of one task: which system wins and by how much, whether that is shown, which deadline is kept, and what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.quality import scale_of
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.pasted import Command
from orchestrator.report.servers import server_notes
from orchestrator.report.standings import UNSTEADY, Ranking, Standing, by_model, is_unsteady
from orchestrator.report.text import milliseconds, trials_counted
from orchestrator.report.verdict import repeats_needed, winners

NAMED = 3


@dataclass(frozen=True)
class Doubt:
    """A flag, and which of the trials have it; ``always``: at every deadline."""

    word: Word
    whose: str
    always: bool = False


@dataclass(frozen=True)
class FirstScreen:
    """The sentences beside the first figure; ``commands`` would show what is not shown yet, none where nothing is to be shown.

    ``servers`` says what must be known of those that answered; nothing for models in the timed process.
    """

    wins: tuple[str, ...]
    shown: tuple[str, ...]
    commands: tuple[str, ...]
    kept: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    servers: tuple[str, ...] = ()


def first_screen(reading: Reading, results: CampaignAnalysis, flags: Mapping[str, Word], ranked: Ranking) -> FirstScreen:
    """Return the answer at the primary threshold; ``ranked`` are the systems of the task."""
    shown = list(_shown(results, ranked))
    return FirstScreen(
        wins=tuple(winners(ranked)),
        shown=tuple(sentence for sentence in shown if not isinstance(sentence, Command)),
        commands=tuple(sentence for sentence in shown if isinstance(sentence, Command)),
        kept=tuple(_deadlines(reading)),
        doubts=tuple(_doubts(reading, flags)),
        servers=tuple(server_notes(reading.group)),
    )


def _shown(results: CampaignAnalysis, ranked: Ranking) -> Iterator[str]:
    found = ranked.found
    if len(found) < 2:
        return
    needed = list(repeats_needed(results, [ranked]))
    ties = list(_ties(found))
    apart = ", but for what ties" if any(ties) else ""
    if all(ties):
        yield f"No: all of them tie, so that these data show no difference. {needed[0] if needed else ''}".strip()
        yield from needed[1:]
    elif needed:
        yield f"For these processes yes{apart}. For processes started anew not yet. {needed[0]}"
        yield from needed[1:]
    else:
        processes = sorted({one.processes for one in found})
        count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
        yield f"Yes, for processes started anew{apart}: every mean is over {count} of them."


def _ties(found: Sequence[Standing]) -> Iterator[bool]:
    """Yield for each comparison of a verdict whether it is a tie: the best of each model with its others, and with that of other models."""
    models = list(by_model(found))
    for systems in (*models, [systems[0] for systems in models]):
        yield from (one.overlaps(systems[0]) for one in systems[1:])


def _deadlines(reading: Reading) -> Iterator[str]:
    """Say per model which system keeps the shortest deadline; of one with repeats, the longest that any of its processes needs."""
    rows = {row["trial"]: row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (reading.clock, "own")}
    systems: dict[tuple[str, str], list[Entry]] = {}
    for entry in reading.entries:
        if entry.key in rows:
            systems.setdefault((entry.data.record.trial.model.name, entry.data.record.match_key), []).append(entry)
    for model in dict.fromkeys(model for model, _ in systems):
        of_model = [entries for (name, _), entries in systems.items() if name == model]
        yield from _shortest_kept(of_model, rows)


def _shortest_kept(systems: Sequence[Sequence[Entry]], rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which of some systems, each with its processes, keeps the shortest deadline: certified if any is, else as observed."""
    for name, said in (
        ("deadline_ns", "keeps {share} of its ideal quality from {ms} on{of}, certified."),
        ("observed_ns", "kept {share} of its ideal quality from {ms} on{of}, in {rounds} of rounds; that is not certified."),
    ):
        known = [entries for entries in systems if all(_deadline_of(rows[entry.key], name) is not None for entry in entries)]
        if known:
            longest = [max(entries, key=lambda entry: rows[entry.key][name]) for entries in known]
            place = min(range(len(known)), key=lambda number: rows[longest[number].key][name])
            worst, row = longest[place], rows[longest[place].key]
            yield f"{worst.system_label} " + said.format(
                share=f"{100 * row['quality_share']:g} %",
                ms=milliseconds(row[name]),
                of="" if len(known[place]) == 1 else f" in each of {len(known[place])} processes",
                rounds=f"{100 * (1 - row['late_share']):g} %",
            )
            return


def _deadline_of(row: Mapping[str, Any], name: str) -> int | None:
    return row[name] if name == "observed_ns" or row["certified"] else None


def _doubts(reading: Reading, flags: Mapping[str, Word]) -> Iterator[Doubt]:
    """Yield each flag of figures at the primary threshold, and what else is in doubt, with the trials that it is true of."""
    at = reading.grids[reading.clock].start
    scale = scale_of(reading.group.trials[0].judged(reading.metric))
    whose: dict[str, list[str]] = {}
    unsteady = []
    for entry in reading.entries:
        curve = reading.curves[reading.clock, entry.key]
        for flag in curve.flags[at]:
            whose.setdefault(flag, []).append(entry.label)
        if is_unsteady(float(curve.low[at]), float(curve.high[at]), scale.gained(curve.ideal)):
            unsteady.append(entry.label)
    rows = [row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (reading.clock, "own")]
    uncertified = {row["trial"] for row in rows if not row["certified"]}
    own = {word.term: word for word in words()}
    for word, labels in [
        *((flags[flag], labels) for flag, labels in whose.items()),
        (own[UNSTEADY], unsteady),
        (own[UNCERTIFIED], [entry.label for entry in reading.entries if entry.key in uncertified]),
    ]:
        if labels:
            yield Doubt(word, _told(labels, len(reading.entries)), always=word.term == UNCERTIFIED)


def _told(labels: Sequence[str], size: int) -> str:
    """Name up to three trials, or say how many of all they are."""
    if len(labels) == size:
        return {1: trials_counted(1), 2: "both trials"}.get(size, f"all {trials_counted(size)}")
    return ", ".join(labels) if len(labels) <= NAMED else f"{len(labels)} of {trials_counted(size)}"
