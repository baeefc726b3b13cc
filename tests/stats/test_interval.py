"""Intervals of means: by SciPy's Beta step by step, within what is possible, and around their figure."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy import stats

from orchestrator.stats.interval import clopper_pearson, korn_graubard, mean_intervals, sampling_interval
from orchestrator.stats.latency import latency_percentiles
from orchestrator.stats.pair import answered, compare_answered, one_more, paired
from orchestrator.stats.units import spread

VISITS = np.arange(60) // 2


def by_the_formula(share: float, n: float, variance: float, degrees: int, confidence: float) -> tuple[float, float]:
    """Korn and Graubard (1998), section 3, written out."""
    quantile = (1 + confidence) / 2
    independent = share * (1 - share) / n
    deff = max(1.0, variance / independent) if independent > 0 else 1.0
    shrink = (stats.t.ppf(quantile, n - 1) / stats.t.ppf(quantile, degrees)) ** 2 if n - 1 > degrees else 1.0
    effective = n / deff * shrink
    x = share * effective
    low = stats.beta.ppf(1 - quantile, x, effective - x + 1) if x > 0 else 0.0
    high = stats.beta.ppf(quantile, x + 1, effective - x) if x < effective else 1.0
    return low, high


@given(
    share=st.sampled_from([0.0, 1e-3, 0.1, 0.5, 0.93, 1.0]),
    n=st.sampled_from([3.0, 30.0, 640.5, 1e6]),
    excess=st.sampled_from([0.0, 0.5, 1.0, 7.0, 200.0]),
    degrees=st.sampled_from([1, 4, 15, 900]),
    confidence=st.sampled_from([0.8, 0.95, 0.999]),
)
def test_korn_and_graubard_by_hand(share: float, n: float, excess: float, degrees: int, confidence: float) -> None:
    variance = excess * share * (1 - share) / n
    found = korn_graubard([share], n, [variance], degrees, confidence)
    low, high = by_the_formula(share, n, variance, degrees, confidence)
    assert (found[0][0], found[1][0]) == (pytest.approx(low, rel=1e-6, abs=1e-12), pytest.approx(high, rel=1e-6, abs=1e-12))


def test_losses_of_a_mean_have_that_interval_of_their_share() -> None:
    random = np.random.default_rng(0)
    curve = 0.9 - 0.9 / 18 * random.binomial(18, [[0.02], [0.3]], (2, 60))
    known = spread(curve, VISITS)
    for found, quality, variance in zip(mean_intervals(curve, 0.9, 18.0, VISITS), curve, known.variance, strict=True):
        share = 1 - quality.mean() / 0.9
        low, high = by_the_formula(share, 60 * 18, variance / 0.81, 4, 0.95)
        assert (found.low, found.high) == (pytest.approx(0.9 * (1 - high)), pytest.approx(0.9 * (1 - low)))
        assert (found.method, found.parameters["units"], found.parameters["degrees"]) == ("korn-graubard", 30, 4)
        assert found.parameters["pi"] == pytest.approx(share)


def test_a_metric_that_is_no_mean_has_students_t() -> None:
    curve = 0.8 + 0.05 * np.random.default_rng(0).normal(size=(1, 60))
    [found] = mean_intervals(curve, 0.8, 18.0, VISITS, bounded=False)
    half = stats.t.ppf(0.975, 4) * math.sqrt(spread(curve, VISITS).variance[0])
    assert (found.low, found.high) == (pytest.approx(curve.mean() - half), pytest.approx(curve.mean() + half))
    assert found.method == "t"


def test_where_nothing_varies_one_answer_might_have() -> None:
    [found] = mean_intervals(np.full((1, 60), 0.8), 0.8, 16.0, VISITS, bounded=False)
    assert 0.8 - found.low == pytest.approx(stats.t.ppf(0.975, 4) * 0.8 / (60 * 16))
    [mean] = mean_intervals(np.full((1, 60), 0.8), 0.8, 16.0, VISITS)
    assert mean.high == 0.8
    assert 1 - mean.low / 0.8 == pytest.approx(by_the_formula(0.0, 960, 0.0, 4, 0.95)[1])


@pytest.mark.parametrize("units", [None, np.arange(30) // 3])
def test_in_one_stretch_rounds_are_the_units(units: np.ndarray | None) -> None:
    curve = 0.9 - 0.05 * np.random.default_rng(3).integers(0, 2, (1, 30))
    [found], [same] = mean_intervals(curve, 0.9, 18.0, units), mean_intervals(curve, 0.9, 18.0, np.arange(30))
    assert found == same
    assert found.parameters["units"] == 30


def test_what_says_nothing_allows_all_that_is_possible() -> None:
    [one_round] = mean_intervals([[0.7]], 0.9, 18.0)
    assert (one_round.low, one_round.high, one_round.method) == (0.0, 0.9, "none")
    [better] = mean_intervals([[0.1, 0.2]], 0.0, 0.0)
    assert (better.low, better.high, better.method) == (0.0, 0.2, "none")
    [nothing] = mean_intervals([[0.0, 0.0]], 0.0, 0.0)
    assert (nothing.low, nothing.high, nothing.method) == (0.0, 0.0, "exact")
    assert mean_intervals(np.zeros((0, 5)), 0.9, 18.0) == []


@pytest.mark.parametrize("late", [0.01, 0.2])
def test_it_covers_the_mean_of_spells_within_reach(late: float) -> None:
    """Spells of 1.25 visits on average, in a sixth of all: 240 rounds in visits of 2."""
    random, covered = np.random.default_rng(7), 0
    for _ in range(200):
        slow = np.empty(120, dtype=bool)
        state = random.random() < 1 / 6
        for place in range(120):
            state = random.random() < (1 / 5 if state else 4 / 25)
            slow[place] = state
        lost = random.binomial(20, np.where(np.repeat(slow, 2), min(4 * late, 1), late)) / 20
        [found] = mean_intervals(1 - lost[None], 1.0, 20.0, np.arange(240) // 2)
        truth = 1 - (late * 5 / 6 + min(4 * late, 1) / 6)
        covered += found.low <= truth <= found.high
    assert covered >= 0.93 * 200


@pytest.mark.parametrize(
    ("curve", "ideal", "answers"),
    [([[0.1, math.nan]], 0.5, 9.0), (np.zeros((1, 0)), 0.5, 9.0), ([[0.1]], math.nan, 9.0), ([[0.1]], 0.5, 0.0), ([[0.1]], 0.5, math.nan)],
)
def test_what_has_no_interval_is_refused(curve: object, ideal: float, answers: float) -> None:
    with refused("invalid"):
        mean_intervals(curve, ideal, answers)  # type: ignore[arg-type]


@given(n=st.integers(1, 500), data=st.data(), confidence=st.sampled_from([0.8, 0.95, 0.999]))
def test_clopper_pearson_equals_scipys(n: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, n))
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    assert [float(limit) for limit in clopper_pearson(successes, n, confidence)] == pytest.approx(list(expected), abs=1e-9)


def test_sampling_intervals_are_of_other_samples() -> None:
    right = sampling_interval([1, 1, 1, 1, 0])
    assert (right.low, right.high) == pytest.approx(stats.binomtest(4, 5).proportion_ci(method="exact"))
    scores = np.array([0.5, 1.0, 0.25, 0.75, 0.8])
    parts = sampling_interval(scores)
    low, high = stats.t.interval(0.95, 4, scores.mean(), scores.std(ddof=1) / math.sqrt(5))
    assert (parts.low, parts.high, parts.method) == (pytest.approx(max(low, 0.25)), min(high, 1.0), "t")
    assert (sampling_interval([0.5]).low, sampling_interval([0.5]).high) == (0.0, math.inf)


ROUNDING = 1e-9
ROUNDS = st.sampled_from([1, 2, 6, 30])
SIZES_OF_VISITS = st.sampled_from([None, 1, 2])
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


@settings(max_examples=60)
@given(kind=st.sampled_from(KINDS), rounds=ROUNDS, visits=SIZES_OF_VISITS, ideal=IDEALS, seed=SEEDS)
def test_metrics_that_are_no_mean(kind: str, rounds: int, visits: int | None, ideal: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    quality = ideal * (1 + changes(kind, rounds, random))
    answers = float(random.choice([1.0, 12.5, 5000.0]))
    [found] = mean_intervals(quality[None], ideal, answers, in_visits(rounds, visits), bounded=False)
    assert found.low >= 0
    assert found.high <= max(1.0, quality.max())
    assert holds(found.low, float(quality.mean()), found.high)
    assert all(math.isfinite(value) for value in (found.low, found.high, *found.parameters.values()))


@settings(max_examples=30)
@given(kind=st.sampled_from(KINDS), rounds=ROUNDS, others=ROUNDS, samples=st.sampled_from([1, 2, 20]), seed=SEEDS)
def test_differences(kind: str, rounds: int, others: int, samples: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (np.stack([1 + changes(kind, samples, random) for _ in range(count)]) for count in (rounds, others))
    units, resolution = min(rounds, others), random.choice([0.0, 1 / samples])
    before, after = a.mean(axis=1), b.mean(axis=1)
    this, more = paired(before[:units], after[:units], resolution=resolution), one_more(before, after, resolution=resolution)
    for found in (this, more, compare_answered(answered(a), answered(b))):
        assert holds(found.low, found.difference, found.high)


@settings(max_examples=30)
@given(
    rounds=ROUNDS,
    visits=SIZES_OF_VISITS,
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
