"""Differences of trials: from a baseline of their model, and from the best, which decide ties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.late_answers import scores_of_units, unit_size
from orchestrator.analysis.quality import MOST_VALUES, scale_of
from orchestrator.analysis.table import (
    CLOCK,
    FLAGS,
    METRIC,
    PARAMETERS,
    THRESHOLD,
    Column,
    Context,
    Row,
    View,
    table,
)
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import of_visits, possible, replicates_of
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
FROM_BEST = (FROM_BEST_HERE, FROM_BEST_FRESH)
"""Scopes of the rows whose baseline is the best."""
EXACTLY = 9
"""Decimals in which means that differ by rounding alone are equal."""
SECTION = "Differences, fresh processes and other figures"


@dataclass(frozen=True)
class Side:
    """One trial's quality on the first clock at the common thresholds, ``bounds`` in ns.

    curve
        [M, R]; None if it is too large: then one threshold is computed at a time.
    """

    data: TrialData
    bounds: Sequence[int]
    curve: Floats | None
    flags: Sequence[str]
    known: dict[tuple[int, int], Answered] = field(default_factory=dict, repr=False)

    def quality(self, index: int) -> Floats:
        """Return the quality of every round, [R], at the threshold of that index."""
        found: Floats = _curve(self.data, [self.bounds[index]])[0] if self.curve is None else self.curve[index]
        return found

    def answered(self, threshold: Threshold, size: int) -> Answered:
        """Return what is compared of its answers in units of so many samples."""
        key = threshold.ns, size
        if key not in self.known:
            self.known[key] = answered(scores_of_units(self.data, threshold, size))
        return self.known[key]


@dataclass(frozen=True)
class Contest:
    """All trials of one model on one task: the baseline's repeats, and by match key the others'."""

    group: Group
    baseline: Sequence[Side]
    others: Mapping[str, Sequence[Side]]

    @property
    def bounds(self) -> tuple[Threshold, ...]:
        """The thresholds that compare systems."""
        return self.group.thresholds.common(self.group.clock)


@table(
    "comparison",
    (
        Column(
            "baseline",
            "str",
            "the trial that it is compared with: one for all trials of a model, in the scopes `best of ...` the best",
            form="system",
        ),
        METRIC,
        CLOCK,
        *THRESHOLD,
        Column(
            "scope",
            "str",
            "`this data set` (visits vary), `samples like these` (samples too), `fresh processes` (repeats); `best of ...`: minus the best",
        ),
        Column("baseline_mean", "float", "mean tail quality of the baseline"),
        Column("mean", "float", "mean tail quality of the trial"),
        Column(
            "difference",
            "float",
            "trial minus baseline, over the visits or repeats that both have, where these alternate",
            form="signed [interval_low, interval_high]",
        ),
        Column(
            "interval_low",
            "float?",
            "lower limit of its interval; null where the two do not alternate, or no answer differs",
        ),
        Column(
            "interval_high",
            "float?",
            "upper limit; null where the two do not alternate, or no answer differs",
        ),
        Column(
            "verdict",
            "str?",
            "what the repeats show; of the scopes `fresh processes` and `best of fresh processes`",
        ),
        Column("method", "str", "how the interval was found; `none` where the limits are null"),
        PARAMETERS,
        FLAGS,
    ),
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
            "all. The limits hold for all pairs together, as the best is found from the same "
            "rounds. The verdict on repeats is that of a t test with Holm's method.",
            SECTION,
            where={"threshold": "@primary", "scope": FROM_BEST},
            labels={"baseline": "minus", "difference": "difference", "verdict": "verdict"},
        ),
    ),
)
def comparison(context: Context) -> Iterator[Row]:
    """Yield the differences from each model's baseline, then of each task those from the best."""
    by_group = [(group, contests_of(group)) for group in context.groups]
    contests = [one for _, of_group in by_group for one in of_group if one.others]
    verdicts = _verdicts(contests)
    for contest in contests:
        sides = [side for members in contest.others.values() for side in members]
        found = dict(zip(map(id, sides), map_in_threads(partial(_rows, contest), sides), strict=True))
        for key, members in contest.others.items():
            for side in members:
                yield from found[id(side)]
            if key in verdicts:
                yield verdicts[key]
    for group, of_group in by_group:
        yield from from_the_best(of_group, kept_from(context.rows["deadline"], group.clock))


def contests_of(group: Group) -> list[Contest]:
    """Return what is compared of one task, a contest per model; none without common thresholds."""
    bounds = [threshold.ns for threshold in group.thresholds.common(group.clock)]
    if not bounds:
        return []
    curves = map_in_threads(partial(_small_curve, bounds), group.trials)
    models: dict[str, dict[str, list[Side]]] = {}
    for data, curve in zip(group.trials, curves, strict=True):
        side = Side(data, bounds, curve, group.flags[data.trial_id])
        of_model = models.setdefault(data.record.trial.model.name, {})
        of_model.setdefault(data.record.match_key, []).append(side)
    return [Contest(group, sides.pop(_baseline(group, sides)), sides) for sides in models.values()]


def _small_curve(bounds: Sequence[int], data: TrialData) -> Floats | None:
    """Return the quality of every round at all thresholds, [M, R], or None if that is too large."""
    return _curve(data, bounds) if len(bounds) * len(data.times[data.clock]) <= MOST_VALUES else None


def _curve(data: TrialData, bounds: Sequence[int]) -> Floats:
    return data.judged(data.metric).curve(data.times[data.clock], bounds)


def _baseline(group: Group, sides: Mapping[str, Sequence[Side]]) -> str:
    """Return the match key of the reference if it is of this model, else that of the median p50."""
    trials = [side.data for members in sides.values() for side in members]
    keys = {data.trial_id: data.record.match_key for data in trials}
    reference = group.thresholds.reference
    if reference is not None and reference.trial in keys:
        return keys[reference.trial]
    medians = map_in_threads(_median, trials)
    p50s = {data.trial_id: p50 for data, p50 in zip(trials, medians, strict=True)}
    failed = [data.trial_id for data in trials if data.record.state == "failed"]
    chosen = default_reference(p50s, failed=failed)
    return keys[chosen.trial] if chosen is not None else trials[0].record.match_key


def _median(data: TrialData) -> float:
    return percentile_inverted_cdf(data.inferences[data.clock], 50)


def _rows(contest: Contest, side: Side) -> list[Row]:
    """Return the rows of one trial against the baseline's repeat of equal number, or its first."""
    by_repeat = {one.data.record.trial.repeat: one for one in contest.baseline}
    partner = by_repeat.get(side.data.record.trial.repeat, contest.baseline[0])
    size = unit_size([partner.data, side.data])
    rows = []
    for index, threshold in enumerate(contest.bounds):
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
    scale = scale_of(side.data.judged(side.data.metric))
    low, high = sorted(map(scale.shown_difference, (found.low, found.high)))
    known = found.method != "none"
    return {
        **side.data.record.labels(),
        "baseline": partner.data.trial_id,
        "metric": side.data.metric,
        "clock": side.data.clock,
        **threshold.columns(),
        "scope": scope,
        "baseline_mean": scale.shown(means[0]),
        "mean": scale.shown(means[1]),
        "difference": scale.shown_difference(found.difference),
        "interval_low": low if known else None,
        "interval_high": high if known else None,
        "verdict": None,
        "method": found.method,
        "parameters": {"confidence": found.confidence, **found.parameters},
        "flags": list(dict.fromkeys((*side.flags, *partner.flags))),
    }


@dataclass(frozen=True)
class Match:
    """Repeats of two systems at a threshold, each with the means of its repeats, as gains."""

    baseline: Sequence[Side]
    members: Sequence[Side]
    threshold: Threshold
    means: tuple[Sequence[float], Sequence[float]]

    def row(self, scope: str, found: Verdict | None) -> Row:
        """Return the row of what the repeats show; no verdict where fewer than 3 alternate."""
        before, after = (float(np.mean(of_repeats)) for of_repeats in self.means)
        if found is None:
            enough = min(map(len, self.means)) >= FEWEST_REPEATS
            outcome: Outcome = "no verdict: measured apart" if enough else "no verdict: noise floor unknown"
            difference = after - before if abs(after - before) > ROUNDING else 0.0
            found = Verdict(outcome, untested(difference))
        first = self.members[0], self.baseline[0]
        row = difference_row(*first, self.threshold, scope, (before, after), found.found)
        tested = {"p_adjusted": found.p_value, "detectable_drop": found.detectable_drop}
        flags = (flag for side in (*self.members, *self.baseline) for flag in side.flags)
        return {
            **row,
            "verdict": found.outcome,
            "parameters": row["parameters"] | ({} if found.found.method == "none" else tested),
            "flags": list(dict.fromkeys(flags)),
        }


def judged_matches(matches: Mapping[str, Match], scope: str, level: float = LEVEL) -> dict[str, Row]:
    """Return the row of each match; those of which at least 3 repeats alternate are one family."""
    enough = {}
    for key, match in matches.items():
        before, after = ([one.data for one in of] for of in (match.baseline, match.members))
        found = replicates_of(before, after, match.means)
        if len(found.a) >= FEWEST_REPEATS:
            enough[key] = found
    verdicts = gate(enough, level)
    return {key: match.row(scope, verdicts.get(key)) for key, match in matches.items()}


def _verdicts(contests: Sequence[Contest]) -> dict[str, Row]:
    """Return per match key what its repeats show against the baseline's, at the primary threshold.

    All match keys of the campaign are one family, so that at most 5 % of campaigns wrongly tell any
    system from its baseline.
    """
    matches: dict[str, Match] = {}
    for contest in contests:
        primary = contest.group.thresholds.primary
        if primary is None or primary not in contest.bounds:
            continue
        index = contest.bounds.index(primary)
        before = [float(side.quality(index).mean()) for side in contest.baseline]
        for key, members in contest.others.items():
            after = [float(side.quality(index).mean()) for side in members]
            matches[key] = Match(contest.baseline, members, primary, (before, after))
    return judged_matches(matches, FRESH_PROCESSES)


@dataclass(frozen=True)
class System:
    """A system: its repeats, the quality of their rounds at a threshold, as gains, its deadlines."""

    repeats: Sequence[Side]
    rounds: Sequence[Floats]
    deadlines: Deadlines = NEVER

    @property
    def means(self) -> list[float]:
        """The mean of each repeat."""
        return [float(quality.mean()) for quality in self.rounds]

    @property
    def standing(self) -> tuple[float, ...]:
        """What sorts systems, the best first: by mean, worst round, then deadlines."""
        worst = min(float(quality.min()) for quality in self.rounds)
        return -round(float(np.mean(self.means)), EXACTLY), -round(worst, EXACTLY), *self.deadlines


def from_the_best(contests: Sequence[Contest], deadlines: Mapping[str, Deadlines]) -> Iterator[Row]:
    """Yield per threshold of one task the differences from the best of each model and of all.

    The best is found from the same rounds. So each difference is held to a level at which all pairs
    that could have been asked for are right together with 95 % confidence: by Bonferroni, of
    repeats by Holm's method over the pairs with the best.
    """
    for index, threshold in enumerate(contests[0].bounds if contests else ()):
        heads = []
        for contest in contests:
            found = (
                System(
                    repeats,
                    [side.quality(index) for side in repeats],
                    longest(deadlines.get(side.data.trial_id, NEVER) for side in repeats),
                )
                for repeats in (contest.baseline, *contest.others.values())
            )
            systems = sorted(found, key=lambda one: one.standing)
            yield from _from_best(systems, threshold)
            heads.append(systems[0])
        yield from _from_best(sorted(heads, key=lambda one: one.standing), threshold)


def _from_best(systems: Sequence[System], threshold: Threshold) -> Iterator[Row]:
    best, *others = systems
    several = len(best.repeats) > 1
    others = [one for one in others if (len(one.repeats) > 1) == several]
    if several:
        matches = {str(place): Match(best.repeats, one.repeats, threshold, (best.means, one.means)) for place, one in enumerate(others)}
        yield from judged_matches(matches, FROM_BEST_FRESH, 2 * LEVEL / len(systems)).values()
        return
    confidence = 1 - 2 * LEVEL / (len(systems) * max(1, len(systems) - 1))
    for other in others:
        [partner], [side] = best.repeats, other.repeats
        found = of_visits(partner.data, side.data, best.rounds[0], other.rounds[0], confidence)
        means = best.means[0], other.means[0]
        yield difference_row(side, partner, threshold, FROM_BEST_HERE, means, found)
