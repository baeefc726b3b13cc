"""Trials of one model side by side: one tidy row per trial, threshold and scope, always against the same baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group, ThresholdSet
from orchestrator.analysis.late_answers import one_inference, scores_of_units, unit_size
from orchestrator.analysis.quality import MOST_VALUES, JudgedMean, scale_of
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.constants import CONFIDENCE, FEWEST_REPEATS, FEWEST_UNITS, ROUNDING
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.pair import (
    ANYWHERE,
    LEVEL,
    Answered,
    Difference,
    Limits,
    Outcome,
    Replicates,
    Verdict,
    answered,
    compare_answered,
    gate,
    paired,
    untested,
)
from orchestrator.stats.thresholds import Threshold, default_reference
from orchestrator.stats.times import Clock
from orchestrator.stats.units import Floats, means_of_units
from orchestrator.storage.typed_rows import Int64, Labels, Parameters

THIS_DATA_SET = "this data set"
SAMPLES_LIKE_THESE = "samples like these"
FRESH_PROCESSES = "fresh processes"
FROM_BEST_HERE = "best of this data set"
FROM_BEST_FRESH = "best of fresh processes"
FROM_BEST = (FROM_BEST_HERE, FROM_BEST_FRESH)
"""Scopes of the rows whose baseline is the best, see `from_the_best`."""


class ComparisonRow(Labels):
    """One row per trial, threshold and scope: its quality minus the baseline's, on the total clock; of two scopes minus the best's."""

    baseline: Annotated[str, "the trial that it is compared with: one for all trials of a model, in the scopes `best of ...` the best"]
    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`total`, under load `response`"]
    threshold: Annotated[str, "its label, such as `p99` or `50 ms`"]
    threshold_ns: Annotated[Int64, "the time bound"]
    threshold_origin: Annotated[str, "`absolute` or `reference`"]
    threshold_reference: Annotated[str | None, "the trial whose percentile it is, where the origin is `reference`"]
    scope: Annotated[
        str, "`this data set` (visits vary), `samples like these` (samples too), `fresh processes` (repeats); `best of ...`: minus the best"
    ]
    baseline_mean: Annotated[float, "mean tail quality of the baseline"]
    mean: Annotated[float, "mean tail quality of the trial"]
    difference: Annotated[float, "trial minus baseline, over the visits or repeats that both have, where these alternate"]
    interval_low: Annotated[float | None, "lower limit of its interval; null where the two do not alternate, or no answer differs"]
    interval_high: Annotated[float | None, "upper limit; null where the two do not alternate, or no answer differs"]
    verdict: Annotated[str | None, "what the repeats show; of the scopes `fresh processes` and `best of fresh processes` alone"]
    method: Annotated[str, "how the interval was found; `none` where the limits are null"]
    parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    flags: Annotated[list[str], "what a reader must know of either trial"]


@dataclass(frozen=True)
class Side:
    """One trial's quality on the total clock at the common thresholds, ``bounds`` in ns.

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
        """Return what is compared of its answers in units of so many samples, which is done once."""
        key = threshold.ns, size
        if key not in self.known:
            self.known[key] = answered(scores_of_units(self.data, threshold, size))
        return self.known[key]


@dataclass(frozen=True)
class Contest:
    """All trials of one model on one task: the repeats of the baseline, and by match key those of the others."""

    thresholds: ThresholdSet
    clock: Clock
    baseline: Sequence[Side]
    others: Mapping[str, Sequence[Side]]

    @property
    def bounds(self) -> tuple[Threshold, ...]:
        """The thresholds that compare systems."""
        return self.thresholds.common(self.clock)

    def systems(self) -> Iterator[Sequence[Side]]:
        """Yield the repeats of every system."""
        yield self.baseline
        yield from self.others.values()


def comparison_rows(contests: Sequence[Contest]) -> Iterator[ComparisonRow]:
    """Yield the rows against baselines for ``comparison.parquet``, on the total clock and for the primary metric of each task."""
    contests = [contest for contest in contests if contest.others]
    verdicts = _verdicts(contests)
    for contest in contests:
        sides = [side for members in contest.others.values() for side in members]
        found = map_in_threads(partial(_rows_of_side, contest), sides)
        rows = {side.data.trial_id: of_side for side, of_side in zip(sides, found, strict=True)}
        for key, members in contest.others.items():
            for side in members:
                yield from rows[side.data.trial_id]
            if key in verdicts:
                yield verdicts[key]


def _rows_of_side(contest: Contest, side: Side) -> list[ComparisonRow]:
    """Return the rows of one trial against the baseline's repeat of equal number, or its first."""
    by_repeat = {partner.data.record.trial.repeat: partner for partner in contest.baseline}
    partner = by_repeat.get(side.data.record.trial.repeat, contest.baseline[0])
    return [row for index, threshold in enumerate(contest.bounds) for row in _rows(side, partner, index, threshold)]


def contests_of(group: Group) -> list[Contest]:
    """Return what is compared of one task, a contest per model; nothing where no threshold is common to its trials."""
    return list(_contests(group)) if group.thresholds.common(group.clock) else []


def _contests(group: Group) -> Iterator[Contest]:
    bounds = [threshold.ns for threshold in group.thresholds.common(group.clock)]
    curves = dict(zip((data.trial_id for data in group.trials), map_in_threads(partial(_small_curve, bounds), group.trials), strict=True))
    models: dict[str, list[TrialData]] = {}
    for data in group.trials:
        models.setdefault(data.record.trial.model.name, []).append(data)
    for trials in models.values():
        sides: dict[str, list[Side]] = {}
        for data in trials:
            side = Side(data, bounds, curves[data.trial_id], group.flags[data.trial_id])
            sides.setdefault(data.record.match_key, []).append(side)
        baseline = sides.pop(_baseline(trials, group.thresholds))
        yield Contest(group.thresholds, group.clock, baseline, sides)


def _small_curve(bounds: Sequence[int], data: TrialData) -> Floats | None:
    """Return the quality of every round at all thresholds, [M, R], or None if that is too large to be kept."""
    return _curve(data, bounds) if len(bounds) * len(data.times[data.clock]) <= MOST_VALUES else None


def _curve(data: TrialData, bounds: Sequence[int]) -> Floats:
    return data.judged(data.metric).curve(data.times[data.clock], bounds)


def _baseline(trials: Sequence[TrialData], common: ThresholdSet) -> str:
    """Return the match key that the others are compared with: the reference's if it is of this model, else the median p50's."""
    keys = {data.trial_id: data.record.match_key for data in trials}
    if common.reference is not None and common.reference.trial in keys:
        return keys[common.reference.trial]
    p50s = dict(zip((data.trial_id for data in trials), map_in_threads(_median, trials), strict=True))
    chosen = default_reference(p50s, failed=[data.trial_id for data in trials if data.record.state == "failed"])
    return keys[chosen.trial] if chosen is not None else trials[0].record.match_key


def _median(data: TrialData) -> float:
    return percentile_inverted_cdf(data.inferences[data.clock], 50)


def _rows(side: Side, partner: Side, index: int, threshold: Threshold) -> Iterator[ComparisonRow]:
    mine, theirs = side.quality(index), partner.quality(index)
    means = float(theirs.mean()), float(mine.mean())
    here = of_visits(partner.data, side.data, theirs, mine)
    yield difference_row(side, partner, threshold, THIS_DATA_SET, means, here)
    size = unit_size([partner.data, side.data])
    if size is not None:
        those = untested(means[1] - means[0])
        if here.method != "none":
            within = possible(partner.data, side.data)
            those = compare_answered(partner.answered(threshold, size), side.answered(threshold, size), within=within)
        yield difference_row(side, partner, threshold, SAMPLES_LIKE_THESE, means, those)


def difference_row(
    side: Side, partner: Side, threshold: Threshold, scope: str, means: tuple[float, float], found: Difference
) -> ComparisonRow:
    """Return the row of a difference; ``means`` are those of the partner and of the side, as gains."""
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


def on_samples(before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold) -> Difference | None:
    """Return the difference of the first repeats of two systems of one task, of whatever models, on *samples like these*.

    None for a metric that is no mean over samples, and where the two systems do not alternate.
    """
    size = unit_size([before[0], after[0]])
    if size is None or not alternate(before, after):
        return None
    theirs, mine = (answered(scores_of_units(of[0], threshold, size)) for of in (before, after))
    return compare_answered(theirs, mine, within=possible(before[0], after[0]))


def of_visits(before: TrialData, after: TrialData, theirs: Floats, mine: Floats, confidence: float = CONFIDENCE) -> Difference:
    """Return the difference on *this data set*, from the quality of every round of either trial, [R].

    Visits of one cycle met the same machine: their means are paired. With fewer than 12 of them there are no limits.
    """
    common = common_cycles(before, after)
    if common.size < FEWEST_UNITS:
        return untested(float(mine.mean() - theirs.mean()), int(common.size))
    sides, rounds = [], []
    for data, quality in ((before, theirs), (after, mine)):
        visits = cast(NDArray[np.int32], data.turns)
        both = np.isin(visits, common)
        means, sizes = means_of_units(quality[None, both], visits[both])
        sides.append(means[0])
        rounds.append(sizes.min())
    resolution = one_inference([before, after]) / min(rounds)
    return paired(*sides, confidence=confidence, resolution=resolution, within=possible(before, after))


def possible(before: TrialData, after: TrialData) -> Limits:
    """Return the least and the greatest difference that is possible, as gains: all of one is lost and nothing of the other."""
    judged = [data.judged(data.metric) for data in (before, after)]
    bounded = all(isinstance(one, JudgedMean) for one in judged)
    return (-judged[0].ideal(), judged[1].ideal()) if bounded else ANYWHERE


def alternate(before: Sequence[TrialData], after: Sequence[TrialData]) -> bool:
    """Return whether two systems have enough visits or repeats that alternate to be told apart."""
    return bool(common_cycles(before[0], after[0]).size >= FEWEST_UNITS) or len(common_repeats(before, after)) >= FEWEST_REPEATS


def common_cycles(before: TrialData, after: TrialData) -> NDArray[np.int32]:
    """Return the numbers of the visits that two trials made in one cycle, taking turns on one machine, ascending."""
    hosts = [data.record.placement.get("boot_id") for data in (before, after)]
    met = hosts[0] is not None and hosts[0] == hosts[1]
    return np.array(_in_turns(begins_of_visits(before), begins_of_visits(after)) if met else [], dtype=np.int32)


def common_repeats(before: Sequence[TrialData], after: Sequence[TrialData]) -> list[int]:
    """Return the numbers of the repeats of two systems that alternate, each pair on one machine, ascending.

    They began in turns, or took turns in most visits, as repeats do that are loaded together.
    """
    begins = [_begins_of_repeats(data) for data in (before, after)]
    found = {number for host in begins[0].keys() & begins[1].keys() for number in _in_turns(begins[0][host], begins[1][host])}
    others = {data.record.trial.repeat: data for data in after}
    for data in before:
        other = others.get(data.record.trial.repeat)
        if other is not None and (met := common_cycles(data, other).size):
            visits = min(len(begins_of_visits(one)) for one in (data, other))
            found |= {data.record.trial.repeat} if 2 * met >= visits else set()
    return sorted(found)


def _in_turns(before: Mapping[int, float], after: Mapping[int, float]) -> list[int]:
    """Return the numbers of which both began after all of lower numbers and before all of higher ones, by the machine's own clock.

    Numbers alone do not tell: trials that were measured one after the other count theirs from 0, too.
    """
    common = sorted(before.keys() & after.keys())
    first, last = ([end(before[number], after[number]) for number in common] for end in (min, max))
    so_far = [-math.inf, *np.maximum.accumulate(last)]
    to_come = [*np.minimum.accumulate(first[::-1])[::-1][1:], math.inf]
    return [number for place, number in enumerate(common) if first[place] > so_far[place] and last[place] < to_come[place]]


def begins_of_visits(data: TrialData) -> dict[int, float]:
    """Return when each visit of a trial began, in ns of the machine's clock; nothing where there are no visits, or it is not known."""
    started = data.evidence.get("started_monotonic_ns")
    if data.turns is None or started is None:
        return {}
    visits, first = np.unique(data.turns, return_index=True)
    return dict(zip(visits.tolist(), started[first].tolist(), strict=True))


def _begins_of_repeats(repeats: Sequence[TrialData]) -> dict[str, dict[int, float]]:
    """Return when the first round of each repeat began, by machine and number."""
    found: dict[str, dict[int, float]] = {}
    for data in repeats:
        started, host = data.evidence.get("started_monotonic_ns"), data.record.placement.get("boot_id")
        if started is not None and host is not None:
            found.setdefault(host, {})[data.record.trial.repeat] = float(started[0])
    return found


def replicates_of(before: Sequence[TrialData], after: Sequence[TrialData], means: tuple[Sequence[float], Sequence[float]]) -> Replicates:
    """Return the means of those repeats of two systems that alternate."""
    common = common_repeats(before, after)
    a, b = (
        [mean for data, mean in zip(repeats, of_repeats, strict=True) if data.record.trial.repeat in common]
        for repeats, of_repeats in zip((before, after), means, strict=True)
    )
    resolution = 1 / min(data.inferences[data.clock].size for data in (*before, *after))
    return Replicates(a, b, resolution=resolution, within=possible(before[0], after[0]))


@dataclass(frozen=True)
class Match:
    """Two systems whose repeats are compared at a threshold; ``means`` are those of the baseline's repeats and of the members'."""

    members: Sequence[Side]
    baseline: Sequence[Side]
    threshold: Threshold
    means: tuple[Sequence[float], Sequence[float]]

    @property
    def replicates(self) -> Replicates:
        """The means of those repeats that alternate."""
        before, after = ([side.data for side in repeats] for repeats in (self.baseline, self.members))
        return replicates_of(before, after, self.means)

    def row(self, scope: str, found: Verdict | None) -> ComparisonRow:
        """Return the row of what the repeats show; None of a verdict where fewer than 3 alternate."""
        before, after = (float(np.mean(of_repeats)) for of_repeats in self.means)
        if found is None:
            enough = min(map(len, self.means)) >= FEWEST_REPEATS
            outcome: Outcome = "no verdict: measured apart" if enough else "no verdict: noise floor unknown"
            found = Verdict(outcome, untested(after - before if abs(after - before) > ROUNDING else 0.0))
        row = difference_row(self.members[0], self.baseline[0], self.threshold, scope, (before, after), found.found)
        more = {} if found.found.method == "none" else {"p_adjusted": found.p_value, "detectable_drop": found.detectable_drop}
        flags = list(dict.fromkeys(flag for side in (*self.members, *self.baseline) for flag in side.flags))
        return {**row, "verdict": found.outcome, "parameters": {**row["parameters"], **more}, "flags": flags}


def judged_matches(matches: Mapping[str, Match], scope: str, level: float = LEVEL) -> dict[str, ComparisonRow]:
    """Return the row of each match; those of which at least 3 repeats alternate are one family."""
    replicates = {key: match.replicates for key, match in matches.items()}
    verdicts = gate({key: of for key, of in replicates.items() if len(of.a) >= FEWEST_REPEATS}, level)
    return {key: match.row(scope, verdicts.get(key)) for key, match in matches.items()}


def _verdicts(contests: Sequence[Contest]) -> dict[str, ComparisonRow]:
    """Return per match key what its repeats show against the baseline's at the primary threshold.

    All match keys of the campaign are one family, so that at most 5 % of campaigns wrongly tell any system from its baseline.
    """
    matches: dict[str, Match] = {}
    for contest in contests:
        primary = contest.thresholds.primary
        if primary is None or primary not in contest.bounds:
            continue
        index = contest.bounds.index(primary)
        before = [float(side.quality(index).mean()) for side in contest.baseline]
        for key, members in contest.others.items():
            after = [float(side.quality(index).mean()) for side in members]
            matches[key] = Match(members, contest.baseline, primary, (before, after))
    return judged_matches(matches, FRESH_PROCESSES)
