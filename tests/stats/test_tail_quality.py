import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from refusals import refused

from orchestrator.metrics import Answers, find_metric
from orchestrator.stats import tail_quality
from orchestrator.stats.tail_quality import (
    LognormalTolerance,
    TolerancePoints,
    curve_over_tolerance,
    lognormal_from_p95,
    lower_percentile,
    mean_deadlines,
    quality_curve,
    quality_over_tolerance,
    round_deadlines,
)


def brute_force(scores, times, thresholds):
    """The definition, one comparison at a time in Python's own numbers."""
    return [
        [
            math.fsum(s for s, t in zip(scores, row, strict=True) if t <= theta and not math.isinf(t)) / len(scores)
            for row in np.asarray(times).tolist()
        ]
        for theta in np.asarray(thresholds).tolist()
    ]


@st.composite
def campaigns(draw):
    rounds, samples, bounds = draw(st.integers(0, 4)), draw(st.integers(1, 8)), draw(st.integers(0, 6))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.7]), min_size=samples, max_size=samples))
    whole = draw(st.booleans())
    number = st.integers(1, 12) if whole else st.one_of(st.integers(1, 12).map(float), st.just(math.inf))
    times = draw(st.lists(st.lists(number, min_size=samples, max_size=samples), min_size=rounds, max_size=rounds))
    theta = st.one_of(st.integers(0, 13), st.floats(-1, 14), st.sampled_from([math.inf, -math.inf]))
    thresholds = draw(st.lists(theta, min_size=bounds, max_size=bounds))
    array = np.array(times, dtype=np.int64 if whole else np.float64).reshape(rounds, samples)
    return scores, array, np.array(thresholds)


@given(campaigns())
def test_curve_equals_brute_force(campaign):
    scores, times, thresholds = campaign
    curve = quality_curve(scores, times, thresholds)
    assert curve.shape == (len(thresholds), len(times))
    np.testing.assert_allclose(curve, np.reshape(brute_force(*campaign), curve.shape), rtol=0, atol=1e-12)


def test_many_samples_in_several_blocks(monkeypatch):
    monkeypatch.setattr(tail_quality, "BLOCK", 64)
    random = np.random.default_rng(1)
    scores, times = random.random(30), random.integers(1, 1000, (11, 30))
    thresholds = random.integers(1, 1000, 9)
    np.testing.assert_allclose(quality_curve(scores, times, thresholds), brute_force(scores, times, thresholds), rtol=0, atol=1e-12)


def test_integers_beyond_what_floats_hold_are_told_apart():
    times = np.array([[2**60, 2**60 + 1]])
    assert quality_curve([1, 1], times, np.array([2**60])).tolist() == [[0.5]]
    assert quality_curve([1, 1], times, np.array([float(2**60)])).tolist() == [[0.5]]
    assert quality_curve([1, 1], times, [np.inf]).tolist() == [[1.0]]


@pytest.mark.parametrize(("scores", "times", "thresholds"), [([1], [1], [1]), ([1], [[1, 2]], [1])])
def test_shapes_refused(scores, times, thresholds):
    with pytest.raises(ValueError, match="shapes"):
        quality_curve(scores, times, thresholds)


@pytest.mark.parametrize(
    ("scores", "times", "thresholds"),
    [
        ([1.0, 1.0], [[1.0, 0.0]], [2.0]), ([1.0, 1.0], [[1.0, math.nan]], [2.0]), ([1.0, -0.5], [[1, 1]], [2]),
        ([1.0, math.inf], [[1, 1]], [2]), ([], np.empty((3, 0)), [1]), ([1.0], [[1]], [math.nan]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("curve", [quality_curve, mean_deadlines, lambda scores, times, _: quality_over_tolerance(scores, times, LAW)])
def test_what_is_no_time_no_score_and_no_threshold_is_refused(curve, scores, times, thresholds):
    if curve is quality_curve or thresholds != [math.nan]:
        with refused("invalid"):
            curve(scores, times, thresholds)


def test_a_percentile_needs_rounds_below_it():
    quality = np.random.default_rng(3).permutation(np.arange(1, 201)) / 200
    assert [lower_percentile(quality, percent) for percent in (10, 5)] == [20 / 200, None]
    assert lower_percentile(quality[:1], 10) is None


PENALTIES = (0.5, -0.4, 0.3, 0.6, -0.2, 0.2)


def dipping_quality(on_time: list[bool]) -> float:
    """A quality that falls whenever sample 1 or 4 comes in time."""
    return max(0.0, sum(weight for weight, there in zip(PENALTIES, on_time, strict=True) if there))


def dipping_curve(times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    on_time = (np.asarray(times) <= np.asarray(thresholds, dtype=float)[:, None, None]) & np.isfinite(times)
    return np.array([[dipping_quality(row.tolist()) for row in bound] for bound in on_time]).reshape(on_time.shape[:2])


def first_that_keeps(quality: Callable[[list[bool]], float], row: list[float], floor: float) -> float:
    """Try every time of the round as a bound, and for each every bound from there on."""
    finite = [time for time in row if math.isfinite(time)]

    def keeps(bound: float) -> bool:
        return quality([time <= bound and math.isfinite(time) for time in row]) >= floor - 1e-12

    return min((bound for bound in finite if all(keeps(later) for later in finite if later >= bound)), default=math.inf)


ROUNDS = st.lists(st.lists(st.one_of(st.integers(1, 9).map(float), st.just(math.inf)), min_size=6, max_size=6), min_size=1, max_size=6).map(
    np.array
)
FLOORS = st.one_of(st.floats(0.01, 1), st.sampled_from([0.3, 0.6, 3.8 / 6, 2 / 6]))


@given(ROUNDS, st.lists(FLOORS, max_size=3), st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=6, max_size=6))
def test_a_mean_equals_brute_force(times: NDArray[np.float64], floors: list[float], scores: list[float]) -> None:
    def quality(on_time: list[bool]) -> float:
        return math.fsum(score for score, there in zip(scores, on_time, strict=True) if there) / len(scores)

    expected = [[first_that_keeps(quality, row, floor) for row in times.tolist()] for floor in floors]
    assert mean_deadlines(scores, times, floors).tolist() == expected
    assert [round_deadlines(partial(quality_curve, scores), times, floor).tolist() for floor in floors] == expected


@given(ROUNDS, FLOORS, st.sampled_from([1, 2, 4]))
def test_a_quality_that_dips_equals_brute_force(times: NDArray[np.float64], floor: float, first_block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail_quality, "FIRST_BLOCK", first_block)
        found = round_deadlines(dipping_curve, times, floor)
    assert found.tolist() == [first_that_keeps(dipping_quality, row, floor) for row in times.tolist()]


def test_however_many_may_be_late_it_is_that_order_statistic() -> None:
    times = np.random.default_rng(2).permuted(np.tile(np.arange(1, 41) ** 2, (3, 1)), axis=1)
    for wanted in range(1, 41):
        assert round_deadlines(partial(quality_curve, np.ones(40)), times, wanted / 40).tolist() == [wanted**2] * 3


def test_a_floor_equal_to_the_quality_is_kept_in_spite_of_rounding() -> None:
    curve, times = partial(quality_curve, np.full(10, 0.1)), np.arange(1, 11)[None]
    assert curve(times, [10])[0, 0] < 0.1
    assert round_deadlines(curve, times, 0.1).tolist() == [10]
    assert round_deadlines(curve, times, 0.1 * (1 + 1e-11)).tolist() == [math.inf]


def test_a_slow_metric_is_evaluated_about_as_often_as_samples_may_be_late() -> None:
    evaluated = []

    def counting(times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        evaluated.append(len(np.asarray(times)) * len(np.asarray(thresholds)))
        return quality_curve(np.ones(5000), times, thresholds)

    times = np.random.default_rng(1).integers(1, 10**9, (3, 5000))
    round_deadlines(counting, times, 0.99)
    assert sum(evaluated) <= 3 * 2 * (50 + 4)


RANDOM = np.random.default_rng(3)
TIMES = 2e7 * RANDOM.lognormal(0, 0.5, (7, 40))
TIMES[2, 5] = math.inf
SCORES = RANDOM.random(40)
LAW = LognormalTolerance(2e7, 0.5)


def test_points_give_the_weighted_mean_of_the_curve() -> None:
    points, weights = (3e7, 1e7, 2e7, 2e7), (1.0, 2.0, 3.0, 4.0)
    law = TolerancePoints(points, weights)
    expected = np.array(weights) @ quality_curve(SCORES, TIMES, points) / 10
    np.testing.assert_allclose(quality_over_tolerance(SCORES, TIMES, law), expected, rtol=1e-12)
    np.testing.assert_allclose(curve_over_tolerance(lambda times, at: quality_curve(SCORES, times, at), TIMES, law), expected, rtol=1e-12)


def test_a_lognormal_law_is_the_integral_of_the_curve_against_its_density() -> None:
    law = LognormalTolerance(2.5e7, 0.4)
    frozen = scipy.stats.lognorm(s=0.4, scale=2.5e7)
    for row, found in zip(TIMES, quality_over_tolerance(SCORES, TIMES, law), strict=True):
        steps = np.unique(row[np.isfinite(row)])
        mass = np.diff(np.append(frozen.cdf(steps), 1.0))  # between one step of the curve and the next
        assert found == pytest.approx(float(mass @ quality_curve(SCORES, row[None], steps)[:, 0]), abs=1e-12)


def test_a_lognormal_law_has_its_median_and_its_p95() -> None:
    law = lognormal_from_p95(200e6, 500e6)
    assert law.waits([200e6, 500e6]) == pytest.approx([0.5, 0.05])
    assert scipy.stats.lognorm(s=law.sigma, scale=200e6).ppf(0.95) == pytest.approx(500e6)
    with refused("invalid"):
        lognormal_from_p95(5, 5)


def test_a_metric_that_is_no_mean_is_read_at_the_law_s_points() -> None:
    answers = Answers(predictions=[[0], [1], [1], [0], [1]] * 8, references=[0, 1, 0, 1, 1] * 8)
    judged = find_metric("f1_macro").judge(answers)  # type: ignore[union-attr]
    found = curve_over_tolerance(judged.curve, TIMES, LAW)
    fine = judged.curve(TIMES, scipy.stats.lognorm(s=0.5, scale=2e7).ppf((np.arange(4000) + 0.5) / 4000)).mean(axis=0)
    np.testing.assert_allclose(found, fine, atol=0.01)


def test_blocks_of_rounds_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = quality_over_tolerance(SCORES, TIMES, LAW)
    monkeypatch.setattr("orchestrator.stats.tail_quality.TIMES_AT_ONCE", 80)
    np.testing.assert_allclose(quality_over_tolerance(SCORES, TIMES, LAW), whole, rtol=1e-12)
