"""The answer of one task: which system wins and by how much, whether that is shown, which deadline is kept, and what is in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.deadline import Deadlines, kept_from, longest
from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.configuration.analysis import DeadlineConfig
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.pasted import Command
from orchestrator.report.servers import server_notes
from orchestrator.report.standings import UNSTEADY, Ranking, by_model
from orchestrator.report.text import milliseconds
from orchestrator.report.verdict import listed, what_next, winners
from orchestrator.stats.times import Clock

NAMED = 3
OF_ITS = " of its ideal quality"


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
    brief
        the deadlines that the best systems keep, for a list of tasks.
    """

    wins: tuple[str, ...]
    shown: tuple[str, ...]
    commands: tuple[str, ...]
    kept: Mapping[Clock, tuple[str, ...]]
    doubts: tuple[Doubt, ...]
    servers: tuple[str, ...] = ()
    brief: str = ""


def first_screen(reading: Reading, results: CampaignAnalysis, flags: Mapping[str, Word], ranked: Ranking) -> FirstScreen:
    """Return the answer at the primary threshold; ``ranked`` are the systems of the task."""
    shown, deadlines = list(is_shown(results, ranked)), list(_briefly_kept(reading, ranked))
    return FirstScreen(
        wins=tuple(winners(ranked)),
        shown=tuple(sentence for sentence in shown if not isinstance(sentence, Command)),
        commands=tuple(sentence for sentence in shown if isinstance(sentence, Command)),
        kept={clock: tuple(_deadlines(reading, ranked, clock)) for clock in reading.clocks},
        doubts=tuple(_doubts(reading, flags, ranked)),
        servers=tuple(server_notes(reading.group)),
        brief=f"Deadline kept: {', '.join(deadlines)}." if deadlines else "",
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
    wanted = reading.results.analysis.deadline
    for systems, kept in _by_model(reading, ranked, clock):
        best, shortest = systems[0], _shortest_kept(systems, kept)
        said = [] if shortest is None else [f"{shortest.system_label} {_kept(shortest, kept[shortest.key], wanted)}"]
        if ranked.found and shortest is not best:
            own = f"{best.system_label}, the best, {_kept(best, kept[best.key], wanted)}"
            said = [own, *(f"another, {one.replace(OF_ITS, '')}" for one in said)]
        if said:
            yield f"{'; '.join(said)}."


def _briefly_kept(reading: Reading, ranked: Ranking) -> Iterator[str]:
    """Yield which deadline the best system of each model keeps, in few words; the model is named where there are several."""
    of_models = list(_by_model(reading, ranked, reading.clock)) if ranked.found else []
    for (best, *_), kept in of_models:
        certified, observed = kept[best.key]
        ms = "none" if not math.isfinite(min(certified, observed)) else milliseconds(certified if math.isfinite(certified) else observed)
        yield f"{f'{best.model} ' if len(of_models) > 1 else ''}{ms}{' (certified)' if math.isfinite(certified) else ''}"


def _by_model(reading: Reading, ranked: Ranking, clock: Clock) -> Iterator[tuple[list[Entry], Mapping[str, Deadlines]]]:
    """Yield the systems of each model, the best first, with the deadlines that all their processes keep."""
    of_trials = kept_from(reading.results.rows("deadline"), clock)
    kept = {
        one.key: longest(of_trials[member.key] for member in one.members)
        for one in reading.systems
        if all(member.key in of_trials for member in one.members)
    }
    places = {one.trials[0]: place for place, one in enumerate(ranked.found)}
    found = sorted((one for one in reading.systems if one.key in kept), key=lambda one: places.get(one.members[0].key, len(places)))
    yield from ((systems, kept) for systems in by_model(found))


def _shortest_kept(systems: Sequence[Entry], kept: Mapping[str, Deadlines]) -> Entry | None:
    """Return which of some systems keeps its quality from the shortest deadline on: certified if any is, else as observed; None if none."""
    for place in (0, 1):
        known = [one for one in systems if math.isfinite(kept[one.key][place])]
        if known:
            return min(known, key=lambda one: kept[one.key][place])
    return None


def _kept(system: Entry, deadlines: Deadlines, wanted: DeadlineConfig) -> str:
    """Say from which deadline on a system keeps its quality, in all its processes."""
    certified, observed = deadlines
    each = f" in each of {len(system.members)} processes" if len(system.members) > 1 else ""
    share = f"{100 * wanted.quality:g} %{OF_ITS}"
    if math.isfinite(certified):
        return f"keeps {share} from {milliseconds(certified)} on{each}, certified"
    if math.isfinite(observed):
        rounds = f"{100 * (1 - wanted.late_share):g} %"
        return f"kept {share} from {milliseconds(observed)} on{each}, in {rounds} of rounds; that is not certified"
    return "keeps none"


def _doubts(reading: Reading, flags: Mapping[str, Word], ranked: Ranking) -> Iterator[Doubt]:
    """Yield each flag of systems at the primary threshold, and what else is in doubt, with the systems that it is true of."""
    systems = {one.members[0].key: one for one in reading.systems}
    whose: dict[str, list[str]] = {}
    for one in sorted(ranked.found, key=lambda one: list(systems).index(one.trials[0])):
        for flag in one.marks:
            whose.setdefault(flag, []).append(systems[one.trials[0]].system_label)
    unsteady = whose.pop(UNSTEADY, [])
    rows = [row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (reading.clock, "own")]
    uncertified = {row["trial"] for row in rows if not row["certified"]}
    own = {word.term: word for word in words()}
    for word, labels in [
        *((flags[flag], labels) for flag, labels in whose.items()),
        (own[UNSTEADY], unsteady),
        (own[UNCERTIFIED], [one.system_label for one in reading.systems if any(member.key in uncertified for member in one.members)]),
    ]:
        if labels:
            yield Doubt(word, _told(labels, len(systems)), always=word.term == UNCERTIFIED)


def _told(labels: Sequence[str], size: int) -> str:
    """Name up to three systems and say how many more there are, or that it is all."""
    if len(labels) == size:
        return {1: "the one system", 2: "both systems"}.get(size, f"all {size} systems")
    more = f" and {len(labels) - NAMED} more of {size} systems" if len(labels) > NAMED else ""
    return ", ".join(labels[:NAMED]) + more
