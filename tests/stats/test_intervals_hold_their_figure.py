"""No interval excludes the figure it belongs to, whatever the rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats.interval import mean_intervals, sampling_interval
from orchestrator.stats.latency import latency_percentiles
from orchestrator.stats.pair import answered, compare_answered, one_more, paired

ROUNDING = 1e-9
ROUNDS = st.sampled_from([1, 2, 6, 30])
VISITS = st.sampled_from([None, 1, 2])
KINDS = ("constant", "one outlier", "gains", "both signs", "rare losses", "heavy losses")
SEEDS = st.integers(0, 2**32 - 1)
IDEALS = st.sampled_from([1e-6, 0.125, 0.9, 1.0])


def changes(kind: str, rounds: int, random: np.random.Generator) -> np.ndarray:
    """By how much rounds differ from ideal quality, as shares of it; above 0 where they gain."""
    if kind == "constant":
        return np.full(rounds, random.choice([-1, -random.random(), -1e-15, 0, 1e-15, random.random()]))
    if kind == "one outlier":
        found = np.zeros(rounds)
        found[random.integers(rounds)] = random.choice([-1, 1]) * random.choice([1e-9, 0.5, 1])
        return found
    if kind == "gains":
        return random.random(rounds) * random.choice([1e-6, 1])
    if kind == "both signs":
        return random.uniform(-1, 1, rounds) * random.choice([1e-6, 1])
    if kind == "rare losses":
        return -random.random(rounds) * (random.random(rounds) < 0.1)
    return -np.minimum(0.01 * random.pareto(1, rounds), 1)


def holds(low: float, figure: float, high: float) -> bool:
    rounding = ROUNDING * max(1.0, abs(figure)) if math.isfinite(figure) else 0.0
    return low - rounding <= figure <= high + rounding


def in_visits(rounds: int, of: int | None) -> np.ndarray | None:
    return None if of is None else np.arange(rounds) // of


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), rounds=ROUNDS, visits=VISITS, ideal=IDEALS, seed=SEEDS)
def test_metrics_that_are_no_mean(kind: str, rounds: int, visits: int | None, ideal: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    quality = ideal * (1 + changes(kind, rounds, random))
    answers = float(random.choice([1.0, 12.5, 5000.0]))
    [found] = mean_intervals(quality[None], ideal, answers, in_visits(rounds, visits), bounded=False)
    assert found.low >= 0
    assert found.high <= max(1.0, quality.max())
    assert holds(found.low, float(quality.mean()), found.high)
    assert all(math.isfinite(value) for value in (found.low, found.high, *found.parameters.values()))


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["constant", "one outlier", "rare losses", "heavy losses"]), rounds=ROUNDS, visits=VISITS, ideal=IDEALS, seed=SEEDS
)
def test_metrics_that_are_means(kind: str, rounds: int, visits: int | None, ideal: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    quality = ideal * (1 - np.abs(changes(kind, rounds, random)))
    [found] = mean_intervals(quality[None], ideal, float(random.choice([0.3, 1.0, 18.0, 900.0])), in_visits(rounds, visits))
    assert found.low >= 0
    assert found.high <= ideal * (1 + 1e-12)  # a mean of equal numbers may lie above them by its rounding
    assert holds(found.low, float(quality.mean()), found.high)


@pytest.mark.parametrize("lift", [1e-6, 0.05])
def test_rounds_whose_own_answers_beat_the_ideal_of_all(lift: float) -> None:
    quality = 0.8 + lift * np.array([1.0, 2.0, 1.0, 0.5])
    [found] = mean_intervals(quality[None], 0.8, 16.0)
    assert found.low < 0.8
    assert holds(found.low, float(quality.mean()), found.high)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), rounds=ROUNDS, others=ROUNDS, samples=st.sampled_from([1, 2, 20]), seed=SEEDS)
def test_differences(kind: str, rounds: int, others: int, samples: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (np.stack([1 + changes(kind, samples, random) for _ in range(count)]) for count in (rounds, others))
    units, resolution = min(rounds, others), random.choice([0.0, 1 / samples])
    before, after = a.mean(axis=1), b.mean(axis=1)
    this, more = paired(before[:units], after[:units], resolution=resolution), one_more(before, after, resolution=resolution)
    for found in (this, more, compare_answered(answered(a), answered(b))):
        assert holds(found.low, found.difference, found.high)


@settings(max_examples=60, deadline=None)
@given(
    rounds=ROUNDS,
    visits=VISITS,
    inferences=st.sampled_from([1, 3, 20, 300]),
    spread=st.sampled_from([0.0, 0.1, 2.0]),
    late=st.booleans(),
    seed=SEEDS,
)
def test_percentiles_of_time(rounds: int, visits: int | None, inferences: int, spread: float, late: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.ceil(1e6 * random.lognormal(0, 0.3, (rounds, inferences)) * random.lognormal(0, spread, (rounds, 1)))
    if late:
        times[random.random(times.shape) < 0.05] = np.inf
    for found in latency_percentiles(times, [50, 90, 99, 99.9], in_visits(rounds, visits)):
        assert holds(found.low_ns, found.value_ns, found.high_ns)


@settings(max_examples=100, deadline=None)
@given(scores=st.lists(st.sampled_from([0.0, 1.0, 0.25, 3.0]), min_size=1, max_size=30))
def test_ideal_quality_of_drawn_samples(scores: list[float]) -> None:
    found = sampling_interval(scores)
    assert holds(found.low, float(np.mean(scores)), found.high)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_are_what_they_are_called(kind: str) -> None:
    drawn = np.concatenate([changes(kind, 30, np.random.default_rng(seed)) for seed in range(50)])
    assert drawn.min() >= -1
    assert (drawn > 0).any() == (kind in ("constant", "one outlier", "gains", "both signs"))
    assert (drawn < 0).any() == (kind != "gains")
