"""Trials of one model side by side: one tidy row per trial, threshold and scope, always against the same baseline."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.dependence import dependent_rows
from orchestrator.analysis.groups import Group, ThresholdSet
from orchestrator.analysis.late_answers import one_inference, scores_of_units, unit_size
from orchestrator.analysis.quality import MOST_VALUES, scale_of
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics.interface import Scale
from orchestrator.stats.comparison import MANY_ANSWERS, Answered, Difference, answered, compare_answered, compare_rounds, compare_samples
from orchestrator.stats.gate import LEVEL, Verdict, gate
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.long_run import Spread, long_run_spreads, means_of_visits
from orchestrator.stats.thresholds import Threshold, default_reference
from orchestrator.stats.times import Clock
from orchestrator.storage.stored_form import finite
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
        str, "`this data set` (rounds vary), `samples like these` (samples too), `fresh processes` (repeats); `best of ...`: minus the best"
    ]
    baseline_mean: Annotated[float, "mean tail quality of the baseline"]
    mean: Annotated[float, "mean tail quality of the trial"]
    difference: Annotated[float, "of tail quality, trial minus baseline"]
    interval_low: Annotated[float | None, "lower limit of its interval; null where nothing bounds it"]
    interval_high: Annotated[float | None, "upper limit; null where nothing bounds it"]
    verdict: Annotated[str | None, "what the repeats show; of the scopes `fresh processes` and `best of fresh processes` alone"]
    method: Annotated[str, "how the interval was found"]
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
    curve: NDArray[np.float64] | None
    flags: Sequence[str]
    known: dict[tuple[int, int], Answered] = field(default_factory=dict, repr=False)

    def quality(self, index: int) -> NDArray[np.float64]:
        """Return the quality of every round, [R], at the threshold of that index."""
        found: NDArray[np.float64] = _curve(self.data, [self.bounds[index]])[0] if self.curve is None else self.curve[index]
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


def comparison_rows(contests: Sequence[Contest], analysis: AnalysisConfig) -> Iterator[ComparisonRow]:
    """Yield the rows against baselines for ``comparison.parquet``, on the total clock and for the primary metric of each task."""
    contests = [contest for contest in contests if contest.others]
    verdicts = _verdicts(contests)
    for contest in contests:
        sides = [side for members in contest.others.values() for side in members]
        found = map_in_threads(partial(_rows_of_side, contest, seed=analysis.seed), sides)
        rows = {side.data.trial_id: of_side for side, of_side in zip(sides, found, strict=True)}
        for key, members in contest.others.items():
            for side in members:
                yield from rows[side.data.trial_id]
            if key in verdicts:
                yield verdicts[key]


def _rows_of_side(contest: Contest, side: Side, seed: int) -> list[ComparisonRow]:
    """Return the rows of one trial against the baseline's repeat of equal number, or its first."""
    by_repeat = {partner.data.record.trial.repeat: partner for partner in contest.baseline}
    partner = by_repeat.get(side.data.record.trial.repeat, contest.baseline[0])
    return [row for index, threshold in enumerate(contest.bounds) for row in _rows(side, partner, index, threshold, seed)]


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


def _small_curve(bounds: Sequence[int], data: TrialData) -> NDArray[np.float64] | None:
    """Return the quality of every round at all thresholds, [M, R], or None if that is too large to be kept."""
    return _curve(data, bounds) if len(bounds) * len(data.times[data.clock]) <= MOST_VALUES else None


def _curve(data: TrialData, bounds: Sequence[int]) -> NDArray[np.float64]:
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


def _rows(side: Side, partner: Side, index: int, threshold: Threshold, seed: int) -> Iterator[ComparisonRow]:
    mine, theirs = side.quality(index), partner.quality(index)
    means = float(theirs.mean()), float(mine.mean())
    yield difference_row(side, partner, threshold, THIS_DATA_SET, means, of_rounds(partner.data, side.data, theirs, mine))
    those = _of_samples(partner, side, threshold, seed)
    if those is not None:
        yield difference_row(side, partner, threshold, SAMPLES_LIKE_THESE, means, those)


def difference_row(
    side: Side, partner: Side, threshold: Threshold, scope: str, means: tuple[float, float], found: Difference
) -> ComparisonRow:
    """Return the row of a difference; ``means`` are those of the partner and of the side, as gains."""
    scale = scale_of(side.data.judged(side.data.metric))
    before, after = map(scale.shown, means)
    return _row(side, partner, threshold, scope, (before, after), _figures(found, scale))


def _of_samples(before: Side, after: Side, threshold: Threshold, seed: int) -> Difference | None:
    """Return the difference on *samples like these*, None for a metric that is no mean over samples.

    Of many answers, what the baseline is found to be is kept: all other trials of its model are compared with it.
    """
    size = unit_size([before.data, after.data])
    if size is None:
        return None
    if min(_answers(before.data, size), _answers(after.data, size)) >= MANY_ANSWERS:
        return compare_answered(before.answered(threshold, size), answered(scores_of_units(after.data, threshold, size)))
    random = np.random.default_rng([seed, zlib.crc32(f"{after.data.trial_id} {before.data.trial_id} {threshold.label}".encode())])
    theirs, mine = (scores_of_units(each.data, threshold, size) for each in (before, after))
    return compare_samples(theirs, mine, random)


def on_samples(before: TrialData, after: TrialData, threshold: Threshold, seed: int) -> Difference | None:
    """Return the difference of two trials of one task, of whatever models, on *samples like these*: a gain where ``after`` keeps more.

    None for a metric that is no mean over samples.
    """
    return _of_samples(Side(before, [threshold.ns], None, ()), Side(after, [threshold.ns], None, ()), threshold, seed)


def _answers(data: TrialData, size: int) -> int:
    """Return how many units of so many samples a trial has answered, in all rounds."""
    rounds, samples = data.times[data.clock].shape
    found: int = rounds * -(-samples // size)
    return found


FEWEST_PAIRS = 6
"""Cycles that both trials had a visit in, from which on these are paired."""


def of_rounds(
    before: TrialData, after: TrialData, theirs: NDArray[np.float64], mine: NDArray[np.float64], confidence: float = 0.95
) -> Difference:
    """Return the difference on *this data set*, from the quality of every round of either trial, [R].

    Visits of one cycle met the same machine: their means are paired. Trials that did not take turns are compared by Welch's t, with the
    long-run variance where rounds depend on each other.
    """
    resolution = one_inference([before, after])
    if (common := common_cycles(before, after)).size >= FEWEST_PAIRS:
        cycles = [cast(NDArray[np.int32], data.turns) for data in (before, after)]
        in_both = [np.isin(visits, common) for visits in cycles]
        sides = zip((theirs, mine), cycles, in_both, strict=True)
        chosen = [means_of_visits(quality[None, some], visits[some])[0] for quality, visits, some in sides]
        per_visit = min(visits.size / np.unique(visits).size for visits in cycles)
        return compare_rounds(*chosen, paired=True, confidence=confidence, resolution=resolution / per_visit)
    spreads = _spread(before, theirs), _spread(after, mine)
    return compare_rounds(theirs, mine, confidence=confidence, resolution=resolution, spreads=spreads)


def common_cycles(before: TrialData, after: TrialData) -> NDArray[np.int32]:
    """Return the numbers of the visits that two trials made in one cycle, taking turns on one machine, ascending.

    Visits of one number are of one cycle where both began after all visits of lower numbers and before all of higher ones, by the
    machine's own clock. Numbers alone do not tell: trials that were measured one after the other count theirs from 0, too.
    """
    hosts = [data.record.placement.get("boot_id") for data in (before, after)]
    begins = [_begins_of_visits(data) for data in (before, after)]
    if hosts[0] is None or hosts[0] != hosts[1]:
        return np.zeros(0, dtype=np.int32)
    common = np.array(sorted(begins[0].keys() & begins[1].keys()), dtype=np.int32)
    both = np.array([[of_trial[int(visit)] for visit in common] for of_trial in begins]).reshape(2, -1)
    first, last = both.min(axis=0), both.max(axis=0)
    together = np.ones(common.size, dtype=np.bool_)
    together[1:] &= first[1:] > np.maximum.accumulate(last)[:-1]
    together[:-1] &= last[:-1] < np.minimum.accumulate(first[::-1])[::-1][1:]
    return common[together]


def _begins_of_visits(data: TrialData) -> dict[int, float]:
    """Return when each visit of a trial began, in ns of the machine's clock; nothing where there are no visits, or it is not known."""
    started = data.evidence.get("started_monotonic_ns")
    if data.turns is None or started is None:
        return {}
    visits, first = np.unique(data.turns, return_index=True)
    return dict(zip(visits.tolist(), started[first].tolist(), strict=True))


def _spread(data: TrialData, quality: NDArray[np.float64]) -> Spread | None:
    """Return how well the mean of one trial is known where its rounds depend on each other."""
    [dependent] = dependent_rows(data, quality[None], data.clock).tolist()
    return long_run_spreads(quality[None], data.visits)[0] if dependent else None


def _verdicts(contests: Sequence[Contest]) -> dict[str, ComparisonRow]:
    """Return per match key what its repeats show against the baseline's at the primary threshold.

    All match keys of the campaign are one family, so that at most 5 % of campaigns wrongly call any system worse.
    """
    before: dict[str, list[float]] = {}
    after: dict[str, list[float]] = {}
    resolutions: dict[str, float] = {}
    sides: dict[str, tuple[Sequence[Side], Sequence[Side], Threshold]] = {}
    for contest in contests:
        primary = contest.thresholds.primary
        if primary is None or primary not in contest.bounds:
            continue
        index = contest.bounds.index(primary)
        for key, members in contest.others.items():
            before[key] = [float(side.quality(index).mean()) for side in contest.baseline]
            after[key] = [float(side.quality(index).mean()) for side in members]
            resolutions[key] = 1 / min(side.data.inferences[side.data.clock].size for side in members)
            sides[key] = members, contest.baseline, primary
    found = gate(before, after, resolutions=resolutions)
    level = LEVEL / max(1, len(found))
    return {key: verdict_row(*sides[key], FRESH_PROCESSES, (before[key], after[key]), found[key], level) for key in sides}


def verdict_row(
    members: Sequence[Side],
    baseline: Sequence[Side],
    threshold: Threshold,
    scope: str,
    means: tuple[Sequence[float], Sequence[float]],
    found: Verdict,
    level: float,
) -> ComparisonRow:
    """Return the row of what repeats show; ``means`` are of the baseline's repeats and of the members', ``level`` is that of a bound."""
    parameters = {
        "repeats": found.repeats_b,
        "baseline_repeats": found.repeats_a,
        "degrees_of_freedom": found.degrees,
        "sd": found.sd,
        "p_worse": found.p_worse,
        "p_better": found.p_better,
        "detectable_drop": found.detectable_drop,
        "one_sided_level": level,
    }
    scale = scale_of(members[0].data.judged(members[0].data.metric))
    low, high = sorted(map(scale.shown_difference, (found.low, found.high)))
    figures: _Figures = {
        "difference": scale.shown_difference(found.difference),
        "interval_low": finite(low),
        "interval_high": finite(high),
        "method": "pooled t on repeats, Holm over trials; one-sided bounds, Bonferroni",
        "parameters": {name: float(value) for name, value in parameters.items() if math.isfinite(value)},
    }
    before, after = (scale.shown(float(np.mean(of_repeats))) for of_repeats in means)
    row = _row(members[0], baseline[0], threshold, scope, (before, after), figures, found.outcome)
    return {**row, "flags": list(dict.fromkeys(flag for side in (*members, *baseline) for flag in side.flags))}


class _Figures(TypedDict):
    difference: float
    interval_low: float | None
    interval_high: float | None
    method: str
    parameters: Mapping[str, float]


def _figures(found: Difference, scale: Scale) -> _Figures:
    low, high = sorted(map(scale.shown_difference, (found.low, found.high)))
    return {
        "difference": scale.shown_difference(found.difference),
        "interval_low": finite(low),
        "interval_high": finite(high),
        "method": found.method,
        "parameters": {"confidence": found.confidence, **found.parameters},
    }


def _row(
    side: Side,
    partner: Side,
    threshold: Threshold,
    scope: str,
    means: tuple[float, float],
    figures: _Figures,
    verdict: str | None = None,
) -> ComparisonRow:
    """Return a row; ``means`` are those of the partner and of the side."""
    return {
        **side.data.record.labels(),
        "baseline": partner.data.trial_id,
        "metric": side.data.metric,
        "clock": side.data.clock,
        **threshold.columns(),
        "scope": scope,
        "baseline_mean": means[0],
        "mean": means[1],
        **figures,
        "verdict": verdict,
        "flags": list(dict.fromkeys((*side.flags, *partner.flags))),
    }
