"""The answer of one task: which system wins and by how much, whether that is shown, which deadline is kept, and what is in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.comparison import FROM_BEST
from orchestrator.analysis.deadline import Deadlines, kept_from, longest
from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.configuration.analysis import DeadlineConfig
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.pasted import Command
from orchestrator.report.servers import server_notes
from orchestrator.report.standings import UNSTEADY, Ranking, apart_by, by_model
from orchestrator.report.table import bound, read_at
from orchestrator.report.text import milliseconds
from orchestrator.report.verdict import what_next
from orchestrator.report.winners import HERE_ALONE, listed, winners
from orchestrator.stats.thresholds import Threshold
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
class Shown:
    """Whether the data show what the answer says.

    said
        in words; empty of one system.
    elsewhere
        in words, and the nearest common deadline in ns, where a difference is shown there and none here.
    needed
        what would show more, a sentence before the commands; none where nothing is to be shown.
    """

    said: str = ""
    elsewhere: tuple[str, int] | None = None
    needed: str = ""
    commands: tuple[str, ...] = ()

    @property
    def brief(self) -> str:
        """What a list of tasks says of it: the first sentence."""
        return f"Shown: {self.said[0].lower()}{self.said.partition('. ')[0][1:].rstrip('.')}." if self.said else ""


@dataclass(frozen=True)
class KeptFrom:
    """From which deadline on the best system of a model keeps its quality.

    label
        the system, where ``text`` does not name it.
    ns
        that deadline; None if it keeps none.
    """

    label: str
    ns: int | None
    text: str

    def late(self, shown_ns: int) -> bool:
        """Return whether it does not keep its quality within the deadline that is shown."""
        return self.ns is not None and self.ns > shown_ns


@dataclass(frozen=True)
class FirstScreen:
    """The sentences beside the first figure.

    kept
        by clock, which deadlines are kept.
    servers
        what must be known of those that answered; nothing for models in the timed process.
    brief
        the deadlines that the best systems keep, for a list of tasks.
    """

    wins: tuple[str, ...]
    shown: Shown
    kept: Mapping[Clock, tuple[KeptFrom, ...]]
    doubts: tuple[Doubt, ...]
    servers: tuple[str, ...] = ()
    brief: tuple[KeptFrom, ...] = ()


def first_screen(reading: Reading, results: CampaignAnalysis, flags: Mapping[str, Word], ranked: Ranking) -> FirstScreen:
    """Return the answer at the primary threshold; ``ranked`` are the systems of the task."""
    return FirstScreen(
        wins=tuple(winners(ranked)),
        shown=is_shown(results, ranked),
        kept={clock: tuple(_deadlines(reading, ranked, clock)) for clock in reading.clocks},
        doubts=tuple(_doubts(reading, flags, ranked)),
        servers=tuple(server_notes(reading.group)),
        brief=tuple(_briefly_kept(reading, ranked)),
    )


def is_shown(results: CampaignAnalysis, ranked: Ranking) -> Shown:
    """Say whether the data show what the answer says, where they do if not here, and the commands that would show more."""
    found, primary = ranked.found, ranked.group.thresholds.primary
    if len(found) < 2 or primary is None:
        return Shown()
    sentences = list(what_next(results, [ranked]))
    commands = tuple(sentence for sentence in sentences if isinstance(sentence, Command))
    needed = " ".join(sentence for sentence in sentences if not isinstance(sentence, Command))
    if ranked.nothing_shown:
        why = "the best keep all there is, and no other is told from them" if ranked.best_keep_all else "no system is told from the best"
        there = differs_at(results, ranked)
        other = None if there is None else (f"Within {bound(there)} systems differ.", there.ns)
        return Shown(f"No: within {bound(primary)} {why}.", other, needed, commands)
    processes = sorted({one.processes for one in found})
    if processes[0] == 1:
        said = f"For these processes yes{_exceptions(ranked)}. For processes started anew not yet."
    else:
        count = str(processes[0]) if len(processes) == 1 else f"{processes[0]} to {processes[-1]}"
        said = f"Yes, also for processes started anew ({count} of each system){_exceptions(ranked)}."
    return Shown(f"{said}{_reserve(ranked)}", None, needed, commands)


def differs_at(results: CampaignAnalysis, ranked: Ranking) -> Threshold | None:
    """Return the nearest common threshold at which a stored difference tells a system from the best of its model, if there is one."""
    group, primary = ranked.group, ranked.group.thresholds.primary
    members = {data.trial_id: data.record.trial.model.name for data in group.trials}
    apart = {
        row["threshold_ns"]
        for row in results.rows("comparison")
        if row["trial"] in members and row["scope"] in FROM_BEST and members[row["trial"]] == members[row["baseline"]] and apart_by(row)
    }
    found = [threshold for threshold in read_at(group, everywhere=True) if threshold.ns in apart]
    return None if primary is None else min(found, key=lambda one: abs(math.log(one.ns / primary.ns)), default=None)


def _exceptions(ranked: Ranking) -> str:
    """Say between what no difference is shown: the models' best ones, and each model's best and its others."""
    heads, here_alone = ranked.heads, ranked.here_alone(ranked.heads[0], ranked.heads[1:])
    here = f"; between models {HERE_ALONE.format('')}" if here_alone else ""
    said = ["between models"] if any(heads[0].ties(one) for one in heads[1:]) else []
    tied = any(systems[0].ties(one) for systems in by_model(ranked.found) for one in systems[1:])
    said += ["between systems that tie"] if tied else []
    return f"{here}; not {', nor '.join(said)}" if said else here


def _reserve(ranked: Ranking) -> str:
    """Name the flags of what is compared, all but the one that makes intervals too wide."""
    flags = [flag for flag in dict.fromkeys(flag for one in ranked.found for flag in one.flags) if flag != IN_SAMPLE]
    return f" With reserve, for trials are flagged: {listed(flags)}." if flags else ""


def _deadlines(reading: Reading, ranked: Ranking, clock: Clock) -> Iterator[KeptFrom]:
    """Say per model which deadline its best system keeps, and which another keeps that is shorter."""
    wanted = reading.results.analysis.deadline
    for systems, kept in _by_model(reading, ranked, clock):
        best, shortest = systems[0], _shortest_kept(systems, kept)
        more = {one.key: _more_rounds(reading, one, clock) for one in (best, shortest) if one is not None}
        said = [] if shortest is None else [f"{shortest.system_label} {_kept(shortest, kept[shortest.key], wanted, more[shortest.key])}"]
        first = shortest
        if ranked.found and shortest is not best:
            own = f"{best.system_label}, the best, {_kept(best, kept[best.key], wanted, more[best.key])}"
            said, first = [own, *(f"another, {one.replace(OF_ITS, '')}" for one in said)], best
        if first is not None and said:
            yield KeptFrom("", _ns_of(kept[first.key]), f"{'; '.join(said)}.")


def _briefly_kept(reading: Reading, ranked: Ranking) -> Iterator[KeptFrom]:
    """Yield which deadline the best system of each model keeps, in few words."""
    for (best, *_), kept in _by_model(reading, ranked, reading.clock) if ranked.found else ():
        ns, certified = _ns_of(kept[best.key]), math.isfinite(kept[best.key][0])
        seen = f"observed, not certified{_more_rounds(reading, best, reading.clock)}"
        yield KeptFrom(best.system_label, ns, "none" if ns is None else f"{milliseconds(ns)} {'certified' if certified else seen}")


def _ns_of(deadlines: Deadlines) -> int | None:
    """Return the certified deadline, else the observed one, if there is one."""
    return next((int(ns) for ns in deadlines if math.isfinite(ns)), None)


def _more_rounds(reading: Reading, system: Entry, clock: Clock) -> str:
    """Say how many more rounds could certify a deadline, where it is rounds alone that are missing."""
    members = {one.key for one in system.members}
    rows = [
        row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (clock, "own") and row["trial"] in members
    ]
    lacking = [row for row in rows if not row["certified"]]
    if not lacking or any(row["flags"] or not row["more_rounds"] for row in lacking):
        return ""
    each = " a process" if len(members) > 1 else ""
    return f" ({max(row['more_rounds'] for row in lacking)} more rounds{each} could do it)"


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


def _kept(system: Entry, deadlines: Deadlines, wanted: DeadlineConfig, more: str) -> str:
    """Say from which deadline on a system keeps its quality, in all its processes."""
    certified, observed = deadlines
    each = f" in each of {len(system.members)} processes" if len(system.members) > 1 else ""
    share = f"{100 * wanted.quality:g} %{OF_ITS}"
    if math.isfinite(certified):
        return f"keeps {share} from {milliseconds(certified)} on{each}, certified"
    if math.isfinite(observed):
        rounds = f"{100 * (1 - wanted.late_share):g} %"
        return f"kept {share} from {milliseconds(observed)} on{each}, in {rounds} of rounds, not certified{more}"
    return "keeps none"


def _doubts(reading: Reading, flags: Mapping[str, Word], ranked: Ranking) -> Iterator[Doubt]:
    """Yield each flag of systems at the primary threshold, and what else is in doubt, with the systems that it is true of.

    The best ones of the models stand first, which the answer names.
    """
    systems = {one.members[0].key: one for one in reading.systems}
    heads, whose = ranked.heads, dict[str, list[str]]()
    for one in sorted(ranked.found, key=lambda one: (one not in heads, list(systems).index(one.trials[0]))):
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
