"""The answers of one task at every deadline of the page: from what is stored, or between common deadlines from the curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.flags import UNSTEADY, told_of
from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.ranking import Ranking, Standing, apart_by, ranking
from orchestrator.analysis.reading import Entry, Reading
from orchestrator.analysis.tables.comparison import FROM_BEST
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.report.answer_parts import Case, Doubt, FiveAnswers, Line, Piece
from orchestrator.report.five_answers import five_answers, without_deadline
from orchestrator.report.html.glossary import UNCERTIFIED, Word, words
from orchestrator.report.pasted import Command
from orchestrator.report.record_tables import server_notes
from orchestrator.report.table import read_at
from orchestrator.report.text import milliseconds
from orchestrator.report.verdict import Needed, what_is_needed
from orchestrator.report.winners import winners
from orchestrator.stats.thresholds import NS_PER_MS, Threshold
from orchestrator.stats.times import Clock

NAMED = 3


@dataclass(frozen=True)
class FirstScreen:
    """What stands beside the first figure: the answers at the deadline that is shown first; ``servers`` says who answered."""

    answers: FiveAnswers
    servers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asker:
    """What answers of one task need at every deadline; ``unwell`` says which trials are not done, with a link."""

    reading: Reading
    flags: Mapping[str, Word]
    unwell: str = ""

    @property
    def results(self) -> CampaignAnalysis:
        """The campaign."""
        return self.reading.results

    def link(self, ns: int) -> str:
        """Return the address of the page at another deadline of the first clock."""
        number = next(place for place, group in enumerate(self.results.groups) if group is self.reading.group)
        return link_to(number, ns, self.reading.clock)


def link_to(number: int, ns: int, clock: Clock) -> str:
    """Return the address of the page with another deadline of one task, which leaves other tasks at theirs."""
    end = number or ""
    return f"#t{end}={ns / NS_PER_MS:.12g}ms&clock{end}={clock}"


def first_screen(asker: Asker, ranked: Ranking) -> FirstScreen:
    """Return the answer at the primary threshold; ``ranked`` are the systems of the task."""
    return FirstScreen(answers_of(asker, ranked), tuple(server_notes(asker.reading.group)))


def answers_of(asker: Asker, ranked: Ranking) -> FiveAnswers:
    """Return the answers at the primary threshold of a ranking."""
    primary = ranked.group.thresholds.primary
    if primary is None or not ranked.found:
        clock = asker.reading.clock
        kept = kept_by_system(asker.reading, clock)
        drawn = Ranking(asker.reading.group, _drawn(asker.reading, clock, asker.reading.grids[clock].start, kept))
        return without_deadline(_case(asker, drawn, clock, "", 0, ()), winners(ranked))
    called = _timed(asker.reading, primary)
    return five_answers(_case(asker, ranked, asker.reading.clock, called, primary.ns, _needed(asker, ranked)))


def answers_everywhere(asker: Asker, ranked: Ranking) -> dict[Clock, list[FiveAnswers]]:
    """Return the answers at every deadline of the grids, by clock: at common ones of the first clock what is stored decides."""
    reading = asker.reading
    if reading.thresholds.primary is None:
        return {}
    stored = {threshold.ns: group for threshold, group in _at_common(reading)}
    found: dict[Clock, list[FiveAnswers]] = {}
    for clock in reading.clocks:
        grid, kept = reading.grids[clock], kept_by_system(reading, clock)
        found[clock] = []
        for place, ns in enumerate(map(int, grid.ns)):
            if clock == reading.clock and ns == reading.thresholds.primary.ns:
                found[clock].append(answers_of(asker, ranked))
            elif clock == reading.clock and ns in stored:
                found[clock].append(answers_of(asker, ranking(reading.results, stored[ns])))
            else:
                drawn = Ranking(reading.group, _drawn(reading, clock, place, kept))
                case = _case(asker, drawn, clock, _called(reading, clock, place), ns, _not_tested(asker, clock, ns))
                found[clock].append(five_answers(replace(case, tested=False)))
    return found


def _at_common(reading: Reading) -> Iterator[tuple[Threshold, Group]]:
    """Yield each common threshold of the clock that counts first, with the group as if it were primary."""
    for threshold in read_at(reading.group, everywhere=True):
        yield threshold, replace(reading.group, thresholds=replace(reading.thresholds, primary=threshold))


def _timed(reading: Reading, threshold: Threshold) -> str:
    """Return a deadline's time, and of a percentile which one of whose times it is."""
    if threshold.origin != "reference":
        return threshold.label
    return f"{milliseconds(threshold.ns)} ({threshold.label}{_whose(reading, threshold.reference)})"


def _whose(reading: Reading, trial: str | None) -> str:
    """Name the system whose times percentiles are."""
    return "".join(f" of the times of {one.system_label}" for one in reading.systems if trial in {member.key for member in one.members})


def _called(reading: Reading, clock: Clock, place: int) -> str:
    """Return what a deadline of the grid is called: its percentile and time, and the clock where it is not the first."""
    grid = reading.grids[clock]
    names = [name for name in grid.labels[place].split(", ") if name.startswith("p")]
    time = milliseconds(int(grid.ns[place]))
    reference = next((one.reference for one in reading.thresholds.common(clock) if one.reference), None)
    return (f"{time} ({names[0]}{_whose(reading, reference)})" if names else time) + ("" if clock == reading.clock else f" of {clock} time")


def kept_by_system(reading: Reading, clock: Clock) -> dict[str, Deadlines]:
    """Return from which deadline on each system keeps its quality, by its key: that which all its processes keep."""
    known = kept_from(reading.results.rows("deadline"), clock)
    return {entry.key: longest(known.get(one.key, NEVER) for one in entry.members) for entry in reading.systems}


def _drawn(reading: Reading, clock: Clock, place: int, kept: Mapping[str, Deadlines]) -> tuple[Standing, ...]:
    """Return what the systems keep at a place of the grid, the best first, as the curves have it."""
    scale = scale_of(reading.group.trials[0].judged(reading.metric))
    found = []
    for entry in reading.systems:
        curve, trial = reading.curves[clock, entry.key], entry.data.record.trial
        names = {"model": trial.model.name, "system": trial.system.name, "runtime": trial.runtime.name}
        found.append(
            Standing(
                names={**names, "batch": str(trial.measurement.batch), "settings": entry.settings},
                trials=tuple(one.key for one in entry.members),
                mean=float(curve.mean[place]),
                low=float(curve.low[place]),
                high=float(curve.high[place]),
                worst=float(curve.worst[place]),
                ideal=curve.ideal,
                scale=scale,
                processes=len(entry.members),
                flags=tuple(curve.flags[place]),
                deadlines=kept[entry.key],
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.level[0], -one.level[1], *one.deadlines)))


def _case(asker: Asker, ranked: Ranking, clock: Clock, within: str, ns: int, needed: tuple[Line, ...]) -> Case:
    reading = asker.reading
    rows = _own_deadlines(reading, clock)
    doubts, uncertified = _doubts(asker, ranked, rows)
    link = ((Piece(f"{asker.unwell}: "), Piece("see which, and why", "#problems"), Piece(".")),) if asker.unwell else ()
    return Case(
        ranked=ranked,
        within=within,
        ns=ns,
        wanted=reading.results.analysis.deadline,
        more_rounds={
            one.trials[0]: more
            for one in ranked.found
            if (more := _more_rounds([rows[trial] for trial in one.trials if trial in rows])) is not None
        },
        needed=needed,
        doubts=tuple(doubts),
        uncertified=uncertified,
        unwell=link,
    )


def _own_deadlines(reading: Reading, clock: Clock) -> dict[str, Mapping[str, Any]]:
    """Return the stored deadlines of a clock for each trial's own ideal quality, by trial."""
    return {row["trial"]: row for row in reading.results.rows("deadline") if (row["clock"], row["reference"]) == (clock, "own")}


def _more_rounds(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """Return how many more rounds could certify a deadline, where rounds alone are missing; 0 where flags forbid it, else None."""
    lacking = [row for row in rows if not row["certified"]]
    if any(row["flags"] for row in lacking):
        return 0
    if not lacking or any(not row["more_rounds"] for row in lacking):
        return None
    return max(int(row["more_rounds"]) for row in lacking)


def _needed(asker: Asker, ranked: Ranking) -> tuple[Line, ...]:
    """Return where systems differ if not here, and the commands that would show more."""
    there = differs_at(asker.results, ranked) if ranked.nothing_shown and len(ranked.found) > 1 else None
    lines: list[Line] = [] if there is None else [(Piece(f"Within {_timed(asker.reading, there)} systems differ.", asker.link(there.ns)),)]
    return (*lines, *_commands(what_is_needed(asker.results, [ranked])))


def _commands(needed: Needed) -> Iterator[Line]:
    if needed.said:
        yield (
            Piece(f"{needed.said} "),
            *(Piece(f"{command}", kind="command") for command in needed.told if isinstance(command, Command)),
        )


def _not_tested(asker: Asker, clock: Clock, ns: int) -> tuple[Line, ...]:
    """Say where differences were computed: at the common deadline that is nearest."""
    reading = asker.reading
    nearest = min(read_at(reading.group, everywhere=True), key=lambda one: abs(math.log(one.ns / ns)))
    of = "" if clock == reading.clock else f" of {reading.clock} time"
    said = f"Differences were tested at common deadlines{of}: "
    return ((Piece(said), Piece(f"the nearest is {_timed(reading, nearest)}", asker.link(nearest.ns)), Piece(".")),)


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


def _doubts(asker: Asker, ranked: Ranking, rows: Mapping[str, Mapping[str, Any]]) -> tuple[list[Doubt], int]:
    """Return each flag of systems, and what else is in doubt, with the systems that have it; and how many deadlines are not certified.

    The best ones of the models stand first, which the answer names.
    """
    systems: dict[str, Entry] = {one.members[0].key: one for one in asker.reading.systems}
    places = {key: place for place, key in enumerate(systems)}
    heads, whose = ranked.heads, dict[str, list[str]]()
    for one in sorted(ranked.found, key=lambda one: (one not in heads, places[one.trials[0]])):
        for flag in one.marks:
            whose.setdefault(flag, []).append(systems[one.trials[0]].system_label)
    unsteady = whose.pop(UNSTEADY, [])
    uncertified = [
        one.system_label
        for one in systems.values()
        if any(not rows[member.key]["certified"] for member in one.members if member.key in rows)
    ]
    own = {word.term: word for word in words()}
    told = [*((asker.flags[flag], labels) for flag, labels in whose.items()), (own[UNSTEADY], unsteady), (own[UNCERTIFIED], uncertified)]
    found = [Doubt(word.term, f"#{word.anchor}", _told(labels, len(systems)), _remedy(word.term)) for word, labels in told if labels]
    return found, len(uncertified)


def _remedy(flag: str) -> str:
    """Return what a flag does to figures and what to do about it, as the marks say it; of an unsteady system the latter alone."""
    told = "" if flag == UNCERTIFIED else told_of(flag)
    return ((told.partition("; ")[2] if flag == UNSTEADY else "") or told).replace("`", "")


def _told(labels: Sequence[str], size: int) -> str:
    """Name up to three systems and say how many more there are, or that it is all."""
    if len(labels) == size:
        return {1: "the one system", 2: "both systems"}.get(size, f"all {size} systems")
    more = f" and {len(labels) - NAMED} more of {size} systems" if len(labels) > NAMED else ""
    return ", ".join(labels[:NAMED]) + more
