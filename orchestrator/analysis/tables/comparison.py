"""Differences of trials: from a baseline of their model, and from the best, which decide ties."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import MOST_VALUES
from orchestrator.analysis.table import DIFFERENCE, Context, Row, View, table
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import (
    of_visits,
    possible,
    replicates_of,
    scores_of_units,
    unit_size,
)
from orchestrator.contracts import by_key
from orchestrator.stats.constants import FEWEST_REPEATS, ROUNDING
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.pair import (
    LEVEL,
    Answered,
    Difference,
    Outcome,
    Verdict,
    answered,
    compare_answered,
    gate,
    untested,
)
from orchestrator.stats.thresholds import Threshold, default_reference
from orchestrator.stats.units import Floats

THIS_DATA_SET = "this data set"
SAMPLES_LIKE_THESE = "samples like these"
FRESH_PROCESSES = "fresh processes"
FROM_BEST_HERE = "best of this data set"
FROM_BEST_FRESH = "best of fresh processes"
FROM_BEST = (FROM_BEST_HERE, FROM_BEST_FRESH)  # Scopes of the rows whose baseline is the best.
EXACTLY = 9  # Decimals in which means that differ by rounding alone are equal.
SECTION = "Differences, fresh processes and other figures"


@dataclass(frozen=True)
class Side:
    """One trial's quality on the first clock at the common thresholds, ``bounds`` in ns.

    curve
        [M, R]; None if it is too large: then one threshold is computed at a time, by its index.
    """

    data: TrialData
    bounds: Sequence[int]
    curve: Floats | None
    flags: Sequence[str]
    known: dict[tuple[int, int], Answered] = field(default_factory=dict, repr=False)

    def quality(self, index: int) -> Floats:
        if self.curve is None:
            return np.asarray(_curve(self.data, [self.bounds[index]])[0])
        return np.asarray(self.curve[index])

    def answered(self, threshold: Threshold, size: int) -> Answered:
        key = threshold.ns, size
        if key not in self.known:
            self.known[key] = answered(scores_of_units(self.data, threshold, size))
        return self.known[key]


@dataclass(frozen=True)
class System:
    """The repeats of a system, and the quality of their rounds at one threshold, as gains."""

    repeats: Sequence[Side]
    rounds: Sequence[Floats]

    @cached_property
    def means(self) -> list[float]:
        return [float(quality.mean()) for quality in self.rounds]


# All trials of one model on one task by match key, the baseline's first.
Contest: TypeAlias = dict[str, list[Side]]


@table(
    "comparison",
    DIFFERENCE,
    per="campaign",
    title="Differences of tail quality in {task} ({metric}, {clock} time) within {bound}",
    note="Mean tail quality minus the baseline's, with 95 % intervals: over visits that alternate "
    "(this data set), and over rounds and samples (samples like these); with fewer than 12 visits "
    "that alternate there are no limits. Only repeats (measurement.repeat=3 or more) show whether "
    "fresh processes of a system are better or worse; their limits hold for all systems together.",
    section=SECTION,
    where={
        "threshold": "@primary",
        "scope": (THIS_DATA_SET, SAMPLES_LIKE_THESE, FRESH_PROCESSES),
    },
    labels={"baseline": "minus baseline"},
    across="scope",
    cells=("difference", "verdict"),
    views=(
        View(
            "from_the_best",
            "Differences from the best in {task} ({metric}, {clock} time) within {bound}",
            "Each system minus the best of its model, and the best of each model minus the best of "
            "all. The limits hold for all pairs of one model together, and likewise for pairs of "
            "models: the best is found from the same rounds. The verdict on repeats is that of a t "
            "test with Holm's method.",
            SECTION,
            where={"threshold": "@primary", "scope": FROM_BEST},
            labels={"baseline": "minus", "difference": "difference", "verdict": "verdict"},
        ),
    ),
)
def comparison(context: Context) -> Iterator[Row]:
    """Yield one row per trial, threshold and scope: its tail quality minus its baseline's.

    Rows are on the first clock and for the primary metric. In the scopes ``best of this data set``
    (trials of one process) and ``best of fresh processes`` (repeats), the baseline is the best
    system at that threshold, and the rows decide what ties.
    """
    by_group = [(group, contests_of(group)) for group in context.groups]
    contests = [(group, one) for group, of_group in by_group for one in of_group]
    verdicts = _verdicts(contests)
    for group, contest in contests:
        baseline, *others = contest.values()
        sides = [side for members in others for side in members]
        found = map_in_threads(partial(_rows, group, baseline), sides)
        rows = {side.data.trial_id: of_side for side, of_side in zip(sides, found, strict=True)}
        for key, members in list(contest.items())[1:]:
            for side in members:
                yield from rows[side.data.trial_id]
            if key in verdicts:
                yield verdicts[key]
    for group, of_group in by_group:
        deadlines = kept_from(context.rows["deadline"], group.clock)
        yield from from_the_best(group, of_group, deadlines)


def sides_of(group: Group, bounds: Sequence[int]) -> list[Side]:
    """Return the trials of one task, with their quality at thresholds in ns."""

    def side(data: TrialData) -> Side:
        small = len(bounds) * len(data.times[data.clock]) <= MOST_VALUES
        curve = _curve(data, bounds) if small else None
        return Side(data, bounds, curve, group.flags[data.trial_id])

    return map_in_threads(side, group.trials)


def contests_of(group: Group) -> list[Contest]:
    """Return what is compared of one task, a contest per model; none without common thresholds."""
    bounds = [threshold.ns for threshold in group.thresholds.common(group.clock)]
    every = sides_of(group, bounds) if bounds else []
    models = by_key(every, lambda side: side.data.record.trial.model.name).values()
    contests = [by_key(sides, lambda side: side.data.record.match_key) for sides in models]
    firsts = [_baseline(group, sides) for sides in contests]
    return [{first: sides[first]} | sides for first, sides in zip(firsts, contests, strict=True)]


def _curve(data: TrialData, bounds: Sequence[int]) -> Floats:
    return data.judged(data.metric).curve(data.times[data.clock], bounds)


def _baseline(group: Group, sides: Mapping[str, Sequence[Side]]) -> str:
    """Return the match key of the reference if it is of this model, else that of the median p50."""
    trials = [side.data for members in sides.values() for side in members]
    keys = {data.trial_id: data.record.match_key for data in trials}
    reference = group.thresholds.reference
    if reference is not None and reference.trial in keys:
        return keys[reference.trial]
    medians = map_in_threads(
        lambda data: percentile_inverted_cdf(data.inferences[data.clock], 50), trials
    )
    p50s = dict(zip(keys, medians, strict=True))
    chosen = default_reference(
        p50s, failed=[data.trial_id for data in trials if data.record.state == "failed"]
    )
    return keys[chosen.trial] if chosen is not None else trials[0].record.match_key


def _rows(group: Group, baseline: Sequence[Side], side: Side) -> list[Row]:
    """Return the rows of one trial against the baseline's repeat of equal number, or its first."""
    by_repeat = {one.data.record.trial.repeat: one for one in baseline}
    partner = by_repeat.get(side.data.record.trial.repeat, baseline[0])
    size = unit_size([partner.data, side.data])
    rows = []
    for index, threshold in enumerate(group.thresholds.common(group.clock)):
        mine, theirs = side.quality(index), partner.quality(index)
        means = float(theirs.mean()), float(mine.mean())
        here = of_visits(partner.data, side.data, theirs, mine)
        rows.append(difference_row(side, partner, threshold, THIS_DATA_SET, means, here))
        if size is not None:
            those = untested(means[1] - means[0])
            if here.method != "none":
                both = partner.answered(threshold, size), side.answered(threshold, size)
                those = compare_answered(*both, within=possible(partner.data, side.data))
            rows.append(difference_row(side, partner, threshold, SAMPLES_LIKE_THESE, means, those))
    return rows


def difference_row(
    side: Side,
    partner: Side,
    threshold: Threshold,
    scope: str,
    means: tuple[float, float],
    found: Difference,
) -> Row:
    """Return the row of a difference; ``means`` are the partner's and the side's, as gains."""
    judged = side.data.judged(side.data.metric)
    low, high = sorted((judged.sign * found.low, judged.sign * found.high))
    known = found.method != "none"
    return {
        **side.data.record.labels(),
        "baseline": partner.data.trial_id,
        "metric": side.data.metric,
        "clock": side.data.clock,
        **threshold.columns(),
        "scope": scope,
        "baseline_mean": judged.shown(means[0]),
        "mean": judged.shown(means[1]),
        "difference": judged.sign * found.difference,
        "interval_low": low if known else None,
        "interval_high": high if known else None,
        "verdict": None,
        "method": found.method,
        "parameters": {"confidence": found.confidence, **found.parameters},
        "flags": list(dict.fromkeys((*side.flags, *partner.flags))),
    }


def _of_repeats(
    before: System, after: System, threshold: Threshold, scope: str, found: Verdict | None
) -> Row:
    """Return the row of what repeats show; no verdict where fewer than 3 alternate."""
    means = float(np.mean(before.means)), float(np.mean(after.means))
    if found is None:
        enough = min(len(before.means), len(after.means)) >= FEWEST_REPEATS
        outcome: Outcome = (
            "no verdict: measured apart" if enough else "no verdict: noise floor unknown"
        )
        difference = means[1] - means[0]
        found = Verdict(outcome, untested(difference if abs(difference) > ROUNDING else 0.0))
    row = difference_row(after.repeats[0], before.repeats[0], threshold, scope, means, found.found)
    tested = {"p_adjusted": found.p_value, "detectable_drop": found.detectable_drop}
    flags = (flag for side in (*after.repeats, *before.repeats) for flag in side.flags)
    return {
        **row,
        "verdict": found.outcome,
        "parameters": row["parameters"] | ({} if found.found.method == "none" else tested),
        "flags": list(dict.fromkeys(flags)),
    }


def judged_pairs(
    pairs: Mapping[str, tuple[System, System, Threshold]], scope: str, level: float = LEVEL
) -> dict[str, Row]:
    """Return the row of each pair; those of which at least 3 repeats alternate are one family."""
    enough = {}
    for key, (before, after, _) in pairs.items():
        theirs, ours = ([side.data for side in one.repeats] for one in (before, after))
        found = replicates_of(theirs, ours, (before.means, after.means))
        if len(found.a) >= FEWEST_REPEATS:
            enough[key] = found
    verdicts = gate(enough, level)
    return {key: _of_repeats(*pair, scope, verdicts.get(key)) for key, pair in pairs.items()}


def _verdicts(contests: Iterable[tuple[Group, Contest]]) -> dict[str, Row]:
    """Return per match key what its repeats show against the baseline's, at the primary threshold.

    All match keys of the campaign are one family, so that at most 5 % of campaigns wrongly tell any
    system from its baseline.
    """
    pairs: dict[str, tuple[System, System, Threshold]] = {}
    for group, contest in contests:
        primary, bounds = group.thresholds.primary, group.thresholds.common(group.clock)
        if primary is not None and primary in bounds:
            at = bounds.index(primary)
            (_, first), *others = ((key, system_at(of, at)) for key, of in contest.items())
            pairs |= {key: (first, one, primary) for key, one in others}
    return judged_pairs(pairs, FRESH_PROCESSES)


def system_at(repeats: Sequence[Side], index: int) -> System:
    """Return a system at the threshold of this index."""
    return System(repeats, [side.quality(index) for side in repeats])


def from_the_best(
    group: Group, contests: Sequence[Contest], deadlines: Mapping[str, Deadlines]
) -> Iterator[Row]:
    """Yield per threshold of one task the differences from the best of each model and of all.

    The best is found from the same rounds. So each difference is held to a level at which all pairs
    that could have been asked for are right together with 95 % confidence: by Bonferroni, of
    repeats by Holm's method over the pairs with the best.
    """
    for index, threshold in enumerate(group.thresholds.common(group.clock) if contests else ()):
        heads = []
        for contest in contests:
            systems = best_first((system_at(one, index) for one in contest.values()), deadlines)
            yield from less_than_best(systems, threshold)
            heads.append(systems[0])
        yield from less_than_best(best_first(heads, deadlines), threshold)


def best_first(systems: Iterable[System], deadlines: Mapping[str, Deadlines]) -> list[System]:
    """Return systems sorted by mean, worst round, then deadlines."""

    def standing(one: System) -> tuple[float, ...]:
        worst = min(float(quality.min()) for quality in one.rounds)
        kept = longest(deadlines.get(side.data.trial_id, NEVER) for side in one.repeats)
        return -round(float(np.mean(one.means)), EXACTLY), -round(worst, EXACTLY), *kept

    return sorted(systems, key=standing)


def less_than_best(systems: Sequence[System], threshold: Threshold) -> Iterator[Row]:
    """Yield what each of some systems keeps less than the first, the best."""
    best, *others = systems
    several = len(best.repeats) > 1
    others = [one for one in others if (len(one.repeats) > 1) == several]
    if several:
        pairs = {str(place): (best, one, threshold) for place, one in enumerate(others)}
        yield from judged_pairs(pairs, FROM_BEST_FRESH, 2 * LEVEL / len(systems)).values()
        return
    confidence = 1 - 2 * LEVEL / (len(systems) * max(1, len(systems) - 1))
    for other in others:
        [partner], [side] = best.repeats, other.repeats
        found = of_visits(partner.data, side.data, best.rounds[0], other.rounds[0], confidence)
        means = best.means[0], other.means[0]
        yield difference_row(side, partner, threshold, FROM_BEST_HERE, means, found)
