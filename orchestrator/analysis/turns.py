"""Differences of trials that took turns on one machine, in cycles of visits or repeat by repeat."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.constants import CONFIDENCE, FEWEST_REPEATS, FEWEST_UNITS
from orchestrator.stats.pair import (
    ANYWHERE,
    Difference,
    Limits,
    Replicates,
    answered,
    compare_answered,
    paired,
    signed_ranks,
    untested,
)
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.units import Floats, means_of_units


def on_samples(
    before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold
) -> Difference | None:
    """Return the difference of the first repeats of two systems on *samples like these*.

    None for a metric that is no mean over samples, and where the two do not alternate.
    """
    size = unit_size([before[0], after[0]])
    cycles = common_cycles(before[0], after[0]).size
    alternate = cycles >= FEWEST_UNITS or len(common_repeats(before, after)) >= FEWEST_REPEATS
    if size is None or not alternate:
        return None
    theirs, mine = (answered(scores_of_units(of[0], threshold, size)) for of in (before, after))
    return compare_answered(theirs, mine, within=possible(before[0], after[0]))


def of_visits(
    before: TrialData,
    after: TrialData,
    theirs: Floats,
    mine: Floats,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Return the difference on *this data set*, from the quality of every round of either, [R]."""
    step = 1 / min(data.inferences[data.clock].shape[1] for data in (before, after))
    within = possible(before, after)

    def test(a: Floats, b: Floats, rounds: int) -> Difference:
        return paired(a, b, confidence=confidence, resolution=step / rounds, within=within)

    return _of_cycles(before, after, theirs, mine, test)


def shift_of_visits(
    before: TrialData, after: TrialData, theirs: Floats, mine: Floats, confidence: float
) -> Difference:
    """Return by how much a figure of rounds without bounds, [R], is shifted in most visits."""

    def test(a: Floats, b: Floats, rounds: int) -> Difference:
        return signed_ranks(a, b, confidence=confidence)

    return _of_cycles(before, after, theirs, mine, test)


def _of_cycles(
    before: TrialData,
    after: TrialData,
    theirs: Floats,
    mine: Floats,
    test: Callable[[Floats, Floats, int], Difference],
) -> Difference:
    """Return the difference of a figure of rounds, [R], by visits that met the same machine.

    Visits of one cycle did: their means are paired. With fewer than 12 of them there are no limits.
    ``test`` takes the means of either side and the rounds of the shortest visit.
    """
    common = common_cycles(before, after)
    if common.size < FEWEST_UNITS:
        return untested(float(mine.mean() - theirs.mean()), int(common.size))
    sides, rounds = [], []
    for data, figure in ((before, theirs), (after, mine)):
        assert data.turns is not None  # as visits have cycles in common
        both = np.isin(data.turns, common)
        means, sizes = means_of_units(figure[None, both], data.turns[both])
        sides.append(means[0])
        rounds.append(sizes.min())
    return test(sides[0], sides[1], min(rounds))


def possible(before: TrialData, after: TrialData) -> Limits:
    """Return the least and the greatest difference that is possible, as gains."""
    judged = [data.judged(data.metric) for data in (before, after)]
    bounded = all(one.is_bounded for one in judged)
    return (-judged[0].ideal(), judged[1].ideal()) if bounded else ANYWHERE


def replicates_of(
    before: Sequence[TrialData],
    after: Sequence[TrialData],
    means: tuple[Sequence[float], Sequence[float]],
) -> Replicates:
    """Return the means of those repeats of two systems that alternate."""
    common = common_repeats(before, after)
    a, b = (
        [
            mean
            for data, mean in zip(repeats, found, strict=True)
            if data.record.trial.repeat in common
        ]
        for repeats, found in zip((before, after), means, strict=True)
    )
    resolution = 1 / min(data.inferences[data.clock].size for data in (*before, *after))
    return Replicates(a, b, resolution=resolution, within=possible(before[0], after[0]))


def common_cycles(before: TrialData, after: TrialData) -> NDArray[np.int32]:
    """Return the numbers, rising, of visits that two trials made in one cycle on one machine."""
    one, other = (data.record.placement.get("boot_id") for data in (before, after))
    met = one is not None and one == other
    numbers = _in_turns(begins_of_visits(before), begins_of_visits(after)) if met else []
    return np.array(numbers, dtype=np.int32)


def common_repeats(before: Sequence[TrialData], after: Sequence[TrialData]) -> list[int]:
    """Return the numbers of the repeats of two systems that alternate, each pair on one machine.

    They began in turns, or took turns in most visits, as repeats do that are loaded together.
    """
    begins = [_begins_of_repeats(data) for data in (before, after)]
    found = {
        number
        for host in begins[0].keys() & begins[1].keys()
        for number in _in_turns(begins[0][host], begins[1][host])
    }
    others = {data.record.trial.repeat: data for data in after}
    for data in before:
        other = others.get(data.record.trial.repeat)
        if other is not None and (met := common_cycles(data, other).size):
            visits = min(len(begins_of_visits(one)) for one in (data, other))
            found |= {data.record.trial.repeat} if 2 * met >= visits else set()
    return sorted(found)


def _in_turns(before: Mapping[int, float], after: Mapping[int, float]) -> list[int]:
    """Return the numbers of which both began after all of lower and before all of higher ones.

    Numbers alone do not tell: trials measured one after the other count theirs from 0, too.
    """
    common = sorted(before.keys() & after.keys())
    first, last = ([end(before[number], after[number]) for number in common] for end in (min, max))
    so_far = [-math.inf, *np.maximum.accumulate(last)]
    to_come = [*np.minimum.accumulate(first[::-1])[::-1][1:], math.inf]
    return [
        number
        for place, number in enumerate(common)
        if first[place] > so_far[place] and last[place] < to_come[place]
    ]


def begins_of_visits(data: TrialData) -> dict[int, float]:
    """Return when each visit began, in ns of the machine's clock; nothing where not known."""
    started = data.evidence.get("started_monotonic_ns")
    if data.turns is None or started is None:
        return {}
    visits, first = np.unique(data.turns, return_index=True)
    return dict(zip(visits.tolist(), started[first].tolist(), strict=True))


def _begins_of_repeats(repeats: Sequence[TrialData]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for data in repeats:
        started = data.evidence.get("started_monotonic_ns")
        host = data.record.placement.get("boot_id")
        if started is not None and host is not None:
            found.setdefault(host, {})[data.record.trial.repeat] = float(started[0])
    return found


def on_time_scores(
    before: Sequence[TrialData], after: Sequence[TrialData], threshold: Threshold
) -> tuple[Floats, Floats] | None:
    """Return per side each unit's score in each round, [R, U], 0 if late; None as `unit_size`."""
    size = unit_size([*before, *after])
    if size is None:
        return None
    here, there = (
        np.concatenate([scores_of_units(data, threshold, size) for data in side])
        for side in (before, after)
    )
    return here, there


def unit_size(trials: Sequence[TrialData]) -> int | None:
    """Return how many samples make a unit of a comparison; None for a metric that is no mean.

    A unit is a sample. Samples that share a batch in every round are on time together, and drawn
    one by one they would pass for independent: a unit is then all samples of a batch, the same ones
    on both sides, so that batches of 4 and of 6 make units of 12.
    """
    if any(not isinstance(data.judged(data.metric), JudgedMean) for data in trials):
        return None
    sizes = (data.record.trial.measurement.batch for data in trials if data.batch_of is not None)
    return math.lcm(*sizes)


def scores_of_units(data: TrialData, threshold: Threshold, size: int) -> Floats:
    """Return the score of each unit in each round of a trial, [R, U], the late ones 0."""
    judged = data.judged(data.metric)
    assert isinstance(judged, JudgedMean)
    scores: Floats = judged.scores * (data.times[data.clock] <= threshold.ns)
    sums = np.add.reduceat(scores, np.arange(0, scores.shape[1], size), axis=1)
    return np.asarray(sums * (sums.shape[1] / scores.shape[1]))
