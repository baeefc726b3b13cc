from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats import tail_quality as deadline
from orchestrator.stats.tail_quality import mean_deadlines, quality_curve, round_deadlines

SCORES = (1.0, 0.0, 0.5, 1.0, 0.3, 1.0)
PENALTIES = (0.5, -0.4, 0.3, 0.6, -0.2, 0.2)


def dipping_quality(on_time: list[bool]) -> float:
    """A quality that falls whenever sample 1 or 4 comes in time."""
    return max(0.0, sum(weight for weight, there in zip(PENALTIES, on_time, strict=True) if there))


def dipping_curve(times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    on_time = (np.asarray(times) <= np.asarray(thresholds, dtype=float)[:, None, None]) & np.isfinite(times)
    return np.array([[dipping_quality(row.tolist()) for row in bound] for bound in on_time]).reshape(on_time.shape[:2])


def mean_quality(on_time: list[bool]) -> float:
    return math.fsum(score for score, there in zip(SCORES, on_time, strict=True) if there) / len(SCORES)


def brute_force(quality: Callable[[list[bool]], float], row: list[float], floor: float) -> float:
    """Try every time of the round as a bound, and for each every bound from there on."""
    finite = [time for time in row if math.isfinite(time)]

    def keeps(bound: float) -> bool:
        return quality([time <= bound and math.isfinite(time) for time in row]) >= floor - 1e-12

    return min((bound for bound in finite if all(keeps(later) for later in finite if later >= bound)), default=math.inf)


ROUNDS = st.lists(st.lists(st.one_of(st.integers(1, 9).map(float), st.just(math.inf)), min_size=6, max_size=6), min_size=1, max_size=6).map(
    np.array
)
FLOORS = st.one_of(st.floats(0.01, 1), st.sampled_from([0.3, 0.6, 3.8 / 6, 2 / 6]))


@given(ROUNDS, FLOORS)
def test_a_mean_equals_brute_force(times: NDArray[np.float64], floor: float) -> None:
    found = round_deadlines(partial(quality_curve, SCORES), times, floor)
    assert found.tolist() == [brute_force(mean_quality, row, floor) for row in times.tolist()]


@given(ROUNDS, st.lists(FLOORS, max_size=3))
def test_a_mean_at_several_floors_equals_brute_force(times: NDArray[np.float64], floors: list[float]) -> None:
    found = mean_deadlines(SCORES, times, floors)
    assert found.shape == (len(floors), len(times))
    assert found.tolist() == [[brute_force(mean_quality, row, floor) for row in times.tolist()] for floor in floors]


@given(ROUNDS, st.lists(FLOORS, max_size=3), st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6))
def test_scores_of_0_and_1_equal_brute_force(times: NDArray[np.float64], floors: list[float], scores: list[float]) -> None:
    def quality(on_time: list[bool]) -> float:
        return math.fsum(score for score, there in zip(scores, on_time, strict=True) if there) / len(scores)

    found = mean_deadlines(scores, times, floors)
    assert found.shape == (len(floors), len(times))
    assert found.tolist() == [[brute_force(quality, row, floor) for row in times.tolist()] for floor in floors]


def test_whole_numbers_of_ns_and_wrong_input_of_a_mean() -> None:
    times = np.random.default_rng(1).integers(1, 50, (9, 30))
    curve = partial(quality_curve, np.ones(30))
    assert mean_deadlines(np.ones(30), times, [0.5]).tolist() == [round_deadlines(curve, times, 0.5).tolist()]
    assert mean_deadlines([1, 1], np.empty((0, 2)), [0.5]).shape == (1, 0)
    with pytest.raises(InputError, match="not negative"):
        mean_deadlines([-1, 1], [[1, 2]], [0.5])
    with pytest.raises(InputError, match="nan"):
        mean_deadlines([1], [[math.nan]], [0.5])


@given(ROUNDS, FLOORS, st.sampled_from([1, 2, 4]))
def test_a_quality_that_dips_equals_brute_force(times: NDArray[np.float64], floor: float, first_block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadline, "FIRST_BLOCK", first_block)
        found = round_deadlines(dipping_curve, times, floor)
    assert found.tolist() == [brute_force(dipping_quality, row, floor) for row in times.tolist()]


def test_a_dip_moves_the_deadline_behind_it() -> None:
    times = [[10, 40, 20, 30, 99, 25]]  # 0.5, 0.8, 1.0, 1.6, 1.2, 1.0
    assert round_deadlines(dipping_curve, times, 1.0).tolist() == [25]
    assert round_deadlines(dipping_curve, times, 1.1).tolist() == [math.inf]
    times = [[10, 30, 20, 25, 99, 40]]  # 0.5, 0.8, 1.4, 1.0, 1.2, 1.0
    assert round_deadlines(dipping_curve, times, 1.0).tolist() == [25]
    times = [[10, 30, 20, 25, 50, 99]]  # 0.5, 0.8, 1.4, 1.0, 0.8 (the dip), 1.0
    assert round_deadlines(dipping_curve, times, 1.0).tolist() == [99]


def test_many_samples_are_an_order_statistic() -> None:
    """All answers right and 99 % of them wanted: the time of rank 990 of 1,000."""
    times = np.random.default_rng(0).integers(1, 10**9, (7, 1000))
    found = round_deadlines(partial(quality_curve, np.ones(1000)), times, 0.99)
    assert found.tolist() == np.sort(times, axis=1)[:, 989].tolist()
    found = round_deadlines(partial(quality_curve, np.ones(1000)), times, 0.001)
    assert found.tolist() == times.min(axis=1).tolist()


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


def test_samples_of_a_batch_share_their_time() -> None:
    assert round_deadlines(partial(quality_curve, np.ones(6)), [[5, 5, 5, 9, 9, 9], [5, 5, 5, 5, 5, 9]], 0.8).tolist() == [9, 5]


def test_rounds_without_enough_times() -> None:
    times = [[math.inf] * 3, [math.inf, 1, 2], [3, 1, 2]]
    assert round_deadlines(partial(quality_curve, np.ones(3)), times, 0.9).tolist() == [math.inf, math.inf, 3]
    assert round_deadlines(partial(quality_curve, np.ones(3)), np.empty((0, 3)), 0.9).tolist() == []


@given(ROUNDS, FLOORS, st.sampled_from([2.0, 1024.0, 3e6]))
def test_it_scales_with_the_times(times: NDArray[np.float64], floor: float, factor: float) -> None:
    curve = partial(quality_curve, SCORES)
    assert round_deadlines(curve, times * factor, floor).tolist() == (factor * round_deadlines(curve, times, floor)).tolist()


@given(ROUNDS, ROUNDS, FLOORS)
def test_a_slower_round_has_no_earlier_deadline(times: NDArray[np.float64], delays: NDArray[np.float64], floor: float) -> None:
    curve, count = partial(quality_curve, SCORES), min(len(times), len(delays))
    slower = times[:count] + delays[:count]
    assert (round_deadlines(curve, slower, floor) >= round_deadlines(curve, times[:count], floor)).all()


@given(ROUNDS, FLOORS, FLOORS)
def test_a_higher_floor_has_no_earlier_deadline(times: NDArray[np.float64], one: float, other: float) -> None:
    low, high = (round_deadlines(dipping_curve, times, floor) for floor in sorted((one, other)))
    assert (high >= low).all()


def test_times_refused() -> None:
    with pytest.raises(InputError, match="time of nan"):
        round_deadlines(partial(quality_curve, [1]), [[math.nan]], 0.5)
