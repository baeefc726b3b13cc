"""The answer of one task: which system wins and by how much, whether that is shown, which deadline is kept, and what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.pasted import Command
from orchestrator.report.servers import server_notes
from orchestrator.report.standings import UNSTEADY, Ranking, by_model
from orchestrator.report.text import milliseconds
from orchestrator.report.verdict import listed, what_next, winners
from orchestrator.stats.times import Clock

NAMED = 3


@dataclass(frozen=True)
class Doubt:
    """A flag, and which of the systems have it; ``always``: at every deadline."""

    word: Word
    whose: str
    always: bool = False


@dataclass(frozen=True)
class FirstScreen:
    """The sentences beside the first figure.

    commands
        what would show what is not shown yet; none where nothing is to be shown.
    kept
        by clock, which deadlines are kept.
    servers
        what must be known of those that answered; nothing for models in the timed process.
    """

    wins: tuple[str, ...]
    shown: tuple[str, ...]
    commands: tuple[str, ...]
    kept: Mapping[Clock, tuple[str, ...]]
    doubts: tuple[Doubt, ...]
    servers: tuple[str, ...] = ()


def first_screen(reading: Reading, results: CampaignAnalysis, flags: Mapping[str, Word], ranked: Ranking) -> FirstScreen:
    """Return the answer at the primary threshold; ``ranked`` are the systems of the task."""
    shown = list(is_shown(results, ranked))
    return FirstScreen(
        wins=tuple(winners(ranked)),
        shown=tuple(sentence for sentence in shown if not isinstance(sentence, Command)),
        commands=tuple(sentence for sentence in shown if isinstance(sentence, Command)),
        kept={clock: tuple(_deadlines(reading, ranked, clock)) for clock in reading.clocks},
        doubts=tuple(_doubts(reading, flags, ranked)),
        servers=tuple(server_notes(reading.group)),
    )


def is_shown(results: CampaignAnalysis, ranked: Ranking) -> Iterator[str]:
    """Yield whether the data show what the answer says, a sentence, and the commands that would show more; nothing of one system."""
    found = ranked.found
    if len(found) < 2:
        return
    needed = list(what_next(results, [ranked]))
    processes = sorted({one.processes for one in found})
    exceptions = _exceptions(ranked)
    if exceptions is None:
        said = "No: these data show no difference between any of them."
    elif processes[0] == 1:
        said = f"For these processes yes{exceptions}.{_reserve(ranked)} For processes started anew not yet."
    else:
        count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
        said = f"Yes, also for processes started anew (every mean is over {count} of them){exceptions}.{_reserve(ranked)}"
    yield f"{said} {needed[0] if needed else ''}".strip()
    yield from needed[1:]


def _exceptions(ranked: Ranking) -> str | None:
    """Say between what no difference is shown, of each model's best and its others, and of the models' best ones; None if none is."""
    models = list(by_model(ranked.found))
    heads = [systems[0] for systems in models]
    of_models = [not ranked.is_apart(heads[0], one) for one in heads[1:]]
    of_systems = [not ranked.is_apart(systems[0], one) for systems in models for one in systems[1:]]
    if all((*of_models, *of_systems)):
        return None
    said = ["between models"] if any(of_models) else []
    said += ["between systems that tie or are not told apart"] if any(of_systems) else []
    return f"; not {', nor '.join(said)}" if said else ""


def _reserve(ranked: Ranking) -> str:
    """Name the flags of what is compared, all but the one that makes intervals too wide."""
    flags = [flag for flag in dict.fromkeys(flag for one in ranked.found for flag in one.flags) if flag != IN_SAMPLE]
    return f" With reserve, for trials are flagged: {listed(flags)}." if flags else ""


def _deadlines(reading: Reading, ranked: Ranking, clock: Clock) -> Iterator[str]:
    """Say per model which deadline its best system keeps, and which another keeps that is shorter."""
    rows = {row["trial"]: row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (clock, "own")}
    systems = {entries[0].key: entries for entries in _systems(reading) if all(entry.key in rows for entry in entries)}
    best = [of_model[0].trials[0] for of_model in by_model(ranked.found)]
    for model in dict.fromkeys(entries[0].data.record.trial.model.name for entries in systems.values()):
        of_model = {key: entries for key, entries in systems.items() if entries[0].data.record.trial.model.name == model}
        winner = next((of_model[key] for key in best if key in of_model), None)
        shortest = _shortest_kept(list(of_model.values()), rows)
        if winner is None or (shortest is not None and shortest[0] is winner):
            said = [] if shortest is None else [f"{shortest[0][0].system_label} {shortest[1]}"]
        else:
            own = _shortest_kept([winner], rows)
            said = [f"{winner[0].system_label}, the best, {'keeps none' if own is None else own[1]}"]
            said += (
                [] if shortest is None else [f"another, {shortest[0][0].system_label}, {shortest[1].replace(' of its ideal quality', '')}"]
            )
        if said:
            yield f"{'; '.join(said)}."


def _systems(reading: Reading) -> list[list[Entry]]:
    """Return the processes of each system."""
    systems: dict[str, list[Entry]] = {}
    for entry in reading.entries:
        systems.setdefault(entry.data.record.match_key, []).append(entry)
    return list(systems.values())


def _shortest_kept(systems: Sequence[Sequence[Entry]], rows: Mapping[str, Mapping[str, Any]]) -> tuple[Sequence[Entry], str] | None:
    """Return which of some systems keeps the shortest deadline in all its processes, and which: certified if any is, else as observed."""
    for name, said in (
        ("deadline_ns", "keeps {share} of its ideal quality from {ms} on{of}, certified"),
        ("observed_ns", "kept {share} of its ideal quality from {ms} on{of}, in {rounds} of rounds; that is not certified"),
    ):
        known = [entries for entries in systems if all(_deadline_of(rows[entry.key], name) is not None for entry in entries)]
        if known:
            longest = [max(entries, key=lambda entry: rows[entry.key][name]) for entries in known]
            place = min(range(len(known)), key=lambda number: rows[longest[number].key][name])
            row = rows[longest[place].key]
            return known[place], said.format(
                share=f"{100 * row['quality_share']:g} %",
                ms=milliseconds(row[name]),
                of="" if len(known[place]) == 1 else f" in each of {len(known[place])} processes",
                rounds=f"{100 * (1 - row['late_share']):g} %",
            )
    return None


def _deadline_of(row: Mapping[str, Any], name: str) -> int | None:
    return row[name] if name == "observed_ns" or row["certified"] else None


def _doubts(reading: Reading, flags: Mapping[str, Word], ranked: Ranking) -> Iterator[Doubt]:
    """Yield each flag of systems at the primary threshold, and what else is in doubt, with the systems that it is true of."""
    systems = {entries[0].key: entries for entries in _systems(reading)}
    whose: dict[str, list[str]] = {}
    for one in sorted(ranked.found, key=lambda one: list(systems).index(one.trials[0])):
        for flag in one.marks:
            whose.setdefault(flag, []).append(systems[one.trials[0]][0].system_label)
    unsteady = whose.pop(UNSTEADY, [])
    rows = [row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (reading.clock, "own")]
    uncertified = {row["trial"] for row in rows if not row["certified"]}
    own = {word.term: word for word in words()}
    for word, labels in [
        *((flags[flag], labels) for flag, labels in whose.items()),
        (own[UNSTEADY], unsteady),
        (own[UNCERTIFIED], [of[0].system_label for of in systems.values() if any(entry.key in uncertified for entry in of)]),
    ]:
        if labels:
            yield Doubt(word, _told(labels, len(systems)), always=word.term == UNCERTIFIED)


def _told(labels: Sequence[str], size: int) -> str:
    """Name up to three systems and say how many more there are, or that it is all."""
    if len(labels) == size:
        return {1: "the one system", 2: "both systems"}.get(size, f"all {size} systems")
    more = f" and {len(labels) - NAMED} more of {size} systems" if len(labels) > NAMED else ""
    return ", ".join(labels[:NAMED]) + more
