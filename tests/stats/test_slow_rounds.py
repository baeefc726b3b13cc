"""Association with evidence against SciPy in every order; streaks, windows and silences against a loop."""

from itertools import groupby

import numpy as np
import pytest
import scipy.stats
from effort import EFFORT
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats.slow_rounds import (
    LEVEL,
    _orders,
    _starts_of_visits,
    association,
    disturbed,
    divide_lateness,
    late_in_windows,
    silences,
    staleness,
    streak_of_each,
    worst_window_of_each,
)


def level(x: np.ndarray) -> np.ndarray:
    """A series without mean and straight line."""
    line = np.polynomial.polynomial.polyfit(np.arange(x.size), x, 1)
    return x - np.polynomial.polynomial.polyval(np.arange(x.size), line)


def by_hand(harm: np.ndarray, evidence: np.ndarray, orders: list[np.ndarray]) -> float:
    """The larger of the two one-sided p-values of one test, by correlations in every order."""
    p_values = []
    for statistic in (scipy.stats.rankdata(evidence), evidence):
        ranks = level(scipy.stats.rankdata(harm))
        values = np.array([np.corrcoef(ranks, level(statistic)[order])[0, 1] for order in orders])
        p_values.append(float((values >= values[0] - 1e-9).mean()))
    return max(p_values)


def test_one_test_is_that_of_scipy_over_all_shifts() -> None:
    random = np.random.default_rng(2)
    for _ in range(5):
        harm, evidence = random.random(31), random.exponential(size=31)
        found = association([harm], [evidence])
        shifts = [np.roll(np.arange(31), shift) for shift in range(31)]
        assert found.p_values[0, 0] == pytest.approx(by_hand(harm, evidence, shifts))
        ranks = (level(scipy.stats.rankdata(each)) for each in (harm, evidence))
        assert found.correlations[0, 0] == pytest.approx(scipy.stats.pearsonr(*ranks)[0])


def test_visits_of_one_length_are_exchanged_and_others_stay() -> None:
    visits = np.repeat([3, 1, 7, 4, 6, 9, 8], [2, 2, 2, 3, 2, 2, 2])
    starts = _starts_of_visits(visits)
    orders = np.array(list(_orders(starts)))
    assert (np.sort(orders, axis=1) == np.arange(15)).all()
    assert (orders[0] == np.arange(15)).all()
    assert (orders[:, 6:9] == [6, 7, 8]).all()
    assert len(np.unique(orders, axis=0)) > 400
    random = np.random.default_rng(3)
    harm, evidence = random.random(15), random.random(15)
    found = association([harm], [evidence], visits)
    assert found.method == "visits exchanged"
    assert found.p_values[0, 0] == pytest.approx(by_hand(harm, evidence, list(orders)))


@pytest.mark.parametrize("seed", range(3))
def test_the_maximum_is_stepped_down(seed: int) -> None:
    """Adjusted p-values by brute force: each over the largest of itself and all that stand out less."""
    random = np.random.default_rng(seed)
    harm = random.random(40)
    evidence = np.stack([harm + random.random(40) * scale for scale in (1, 3, 5, 5, 30)])
    adjusted = []
    for ranked in (True, False):
        series = np.stack([level(scipy.stats.rankdata(row) if ranked else row) for row in evidence])
        ranks = level(scipy.stats.rankdata(harm))
        values = np.array([[np.roll(row, shift) @ ranks for shift in range(40)] for row in series])
        values /= np.sqrt((values**2).mean(axis=1, keepdims=True))
        order = np.argsort(-values[:, 0])
        found, least = np.empty(5), 0.0
        for place, row in enumerate(order):
            least = max(least, float((values[order[place:]].max(axis=0) >= values[row, 0] - 1e-9).mean()))
            found[row] = least
        adjusted.append(found)
    assert association([harm], evidence).p_values[0] == pytest.approx(np.maximum(*adjusted))


def share_named(random: np.random.Generator, counted: bool) -> float:
    """How often rare events at one rate are named in rounds of two lengths."""
    named = 0
    for _ in range(200):
        durations = np.where(random.random(120) < 0.3, 2.5, 1.0) * random.lognormal(0, 0.1, 120)
        events = random.poisson(0.2 * durations)
        named += bool(association([durations], [events if counted else events / durations]).p_values[0, 0] <= LEVEL)
    return named / 200


def test_a_longer_round_that_collects_more_is_no_cause() -> None:
    random = np.random.default_rng(5)
    assert share_named(random, counted=True) > 0.4
    assert share_named(random, counted=False) < 0.09


def test_series_that_say_nothing() -> None:
    random = np.random.default_rng(7)
    time = random.random(30)
    five_rounds = np.where(np.arange(30) < 5, 1.0, 0.0)
    found = association([time, np.zeros(30)], [time, np.full(30, 0.1), np.full(30, np.nan), five_rounds])
    assert np.isfinite(found.correlations).tolist() == [[True, False, False, False], [False] * 4]
    assert found.p_values.ravel().tolist() == [1 / 30, *[1.0] * 7]
    six_rounds = np.where(np.arange(30) < 6, 1.0, 0.0)
    assert np.isfinite(association([time], [six_rounds]).correlations).all()
    unknown = np.where(np.arange(30) % 7, time, np.nan)
    assert association([time], [unknown]).p_values[0, 0] == pytest.approx(1 / 30)
    ranks = scipy.stats.rankdata(unknown, nan_policy="omit")
    in_the_middle = level(np.where(np.isnan(ranks), np.nanmean(ranks), ranks))
    expected = scipy.stats.pearsonr(level(scipy.stats.rankdata(time)), in_the_middle)[0]
    assert association([time], [unknown]).correlations[0, 0] == pytest.approx(expected)
    five_and_unknown = np.where(np.arange(30) < 20, five_rounds, np.nan)
    assert np.isnan(association([time], [five_and_unknown]).correlations).all()
    late_beyond_all = np.where(np.arange(30) == 4, np.inf, time)
    assert association([late_beyond_all], [late_beyond_all.clip(max=9)]).p_values[0, 0] == pytest.approx(1 / 30)


def test_the_boundary_of_disturbed_rounds_leaves_least_variance() -> None:
    random = np.random.default_rng(8)
    for _ in range(5):
        values = random.choice(random.exponential(size=12), 40)
        costs = {}
        for boundary in np.unique(values)[:-1]:
            above = values > boundary
            costs[boundary] = values[above].var() * above.sum() + values[~above].var() * (~above).sum()
        assert (disturbed(values) == (values > min(costs, key=lambda at: costs[at]))).all()
    assert not disturbed([2.0, 2.0]).any()
    assert not disturbed([np.nan, np.nan]).any()
    assert disturbed([np.nan, 1.0, 5.0]).tolist() == [False, False, True]


def test_lateness_is_divided_as_analysis_of_variance_does() -> None:
    """Mean squares of a two-way layout by projections, from the definition."""
    random = np.random.default_rng(9)
    late = random.random((9, 7)) < 0.2 + 0.3 * (np.arange(9) % 3 == 0)[:, None] + 0.3 * (np.arange(7) < 2)
    rounds, samples = np.eye(9) - 1 / 9, np.eye(7) - 1 / 7
    means = np.full(9, 1 / 9), np.full(7, 1 / 7)
    x = late.astype(float)
    of_round = 7 * np.sum((rounds @ x @ means[1]) ** 2) / 8
    of_sample = 9 * np.sum((means[0] @ x @ samples) ** 2) / 6
    rest = np.sum((rounds @ x @ samples) ** 2) / 48
    parts = np.array([(of_sample - rest) / 9, (of_round - rest) / 7, rest])
    assert (parts > 0).all()
    found = divide_lateness(late)
    assert [*found.values()] == pytest.approx(parts / parts.sum())


def shares(*parts: float) -> dict[str, float]:
    return dict(zip(("by_sample", "by_round", "by_neither"), parts, strict=True))


def test_extremes_of_lateness() -> None:
    assert divide_lateness(np.eye(6, dtype=bool)) == shares(0.0, 0.0, 1.0)
    whole_rounds = np.repeat([[True], [False], [False]], 4, axis=1)
    assert divide_lateness(whole_rounds) == shares(0.0, 1.0, 0.0)
    assert divide_lateness(whole_rounds.T) == shares(1.0, 0.0, 0.0)
    for nothing in (np.zeros((4, 4)), np.ones((4, 4)), np.eye(1), np.array([[1, 0, 1]])):
        assert divide_lateness(nothing) is None


FLAGS = st.lists(st.booleans(), max_size=40)


@given(FLAGS, st.integers(1, 12))
@settings(max_examples=60 * EFFORT)
def test_streaks_and_windows_are_those_of_a_loop(late: list[bool], length: int) -> None:
    ages, streak = [], 0
    for one in late:
        streak = streak + 1 if one else 0
        ages.append(streak)
    assert staleness(late).tolist() == ages
    runs = [list(run) for _, run in groupby(late)]
    assert streak_of_each(late).tolist() == [len(run) * run[0] for run in runs for _ in run]
    held = min(length, len(late))
    windows = [range(at, at + held) for at in range(len(late) - held + 1)]
    worst = [max(sum(late[each] for each in window) for window in windows if place in window) for place in range(len(late))]
    assert worst_window_of_each(late, length).tolist() == worst
    assert late_in_windows(late, length).tolist() == [sum(late[at : at + length]) for at in range(len(late) - length + 1)]


@given(FLAGS, st.integers(0, 2**32))
@settings(max_examples=60 * EFFORT)
def test_silences_are_those_of_a_loop(late: list[bool], seed: int) -> None:
    random = np.random.default_rng(seed)
    due = np.cumsum(random.integers(0, 20, size=len(late))) + 50
    answered = due - random.integers(0, 50, size=len(late))
    expected, since, count = [], 0, 0
    for place, one in enumerate(late):
        if one and not count:
            since = int(due[place])
        if count and not one:
            expected.append((count, max(int(answered[place]) - since, 0)))
        count = count + 1 if one else 0
    if count:
        expected.append((count, int(due[-1]) - since))
    answers, lasted_ns = silences(late, due, answered)
    assert list(zip(answers.tolist(), lasted_ns.tolist(), strict=True)) == expected
