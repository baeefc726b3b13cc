from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.history import change_points
from orchestrator.history.change_points import FEWEST, course, fewest_campaigns, normal_scores, penalty

Floats = NDArray[np.float64]


def starts(values: Floats, **more: float) -> list[int]:
    return [level.start for level in course(values, **more).levels]  # type: ignore[arg-type]


def cost(scores: Floats, breaks: tuple[int, ...], of_one: float) -> float:
    parts = np.split(scores, breaks)
    return sum(float(((part - part.mean()) ** 2).sum()) for part in parts) + of_one * len(breaks)


def cheapest(scores: Floats, of_one: float) -> float:
    """The least cost of all ways to divide a short series."""
    count = scores.size
    every = (
        breaks
        for number in range(4)
        for breaks in combinations(range(FEWEST, count - FEWEST + 1), number)
        if all(after - before >= FEWEST for before, after in pairwise(breaks))
    )
    return min(cost(scores, breaks, of_one) for breaks in every)


@pytest.mark.parametrize("seed", range(4))
def test_levels_are_the_cheapest_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=15) + 3 * (np.arange(15) >= random.integers(3, 12)) - 3 * (np.arange(15) >= random.integers(6, 15))
    scores = normal_scores(values)
    for of_one in (1.0, 2.5, 5.0):
        found = tuple(change_points._breaks(scores, of_one))
        assert cost(scores, found, of_one) == pytest.approx(cheapest(scores, of_one))


@pytest.mark.parametrize("law", ["normal", "bursts", "ties"])
def test_a_history_without_a_change_seldom_shows_one(law: str) -> None:
    random = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        values = random.normal(size=40)
        if law == "bursts":
            values -= 10 * (random.random(40) < 0.1)
        if law == "ties":
            values = np.minimum(random.poisson(0.4, 40), 2).astype(float)
        alarms += len(course(values).levels) > 1
    assert alarms <= 10  # 5 %


def test_a_change_is_found_where_it_is_and_a_bad_night_is_none() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.01, 90)
    assert starts(values) == [0]
    values[20] = 0.3
    assert starts(values) == [0]
    values[60:] -= 0.06
    found = course(values)
    assert [level.start for level in found.levels] == [0, 60]
    assert found.levels[1].mean == pytest.approx(0.74, abs=0.005)
    (change,) = found.changes
    assert change == found.levels


def test_a_shift_below_the_noise_is_no_change_point() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.01, 600) - 0.006 * (np.arange(600) >= 300)
    assert change_points._breaks(normal_scores(values), penalty(600)) != []
    assert starts(values) == [0]
    clear = values - 0.02 * (np.arange(600) >= 300)
    assert starts(clear) == [0, 300]
    assert starts(clear, expected_noise=0.03) == [0]
    assert course(clear, expected_noise=0.03).noise == 0.03


def test_more_series_make_a_change_harder_to_show() -> None:
    values = np.concatenate([np.arange(12) / 100, 1 + np.arange(12) / 100])
    assert starts(values) == [0, 12]
    assert starts(values, series=24) == [0]
    assert fewest_campaigns(24) > 24 > fewest_campaigns(1)
