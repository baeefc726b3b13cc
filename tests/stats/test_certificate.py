"""The deadline a system can promise: by SciPy's Beta candidate by candidate, and as seldom false as it says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.certificate import certify, risk_of_mean, samples_to_certify, units_to_show
from orchestrator.stats.units import spread

VISITS = np.arange(120) // 2


def by_hand(deadlines: np.ndarray, units: np.ndarray, late_share: float) -> float | None:
    """Candidates from the largest down until the first whose upper limit exceeds the share, or that the guard refuses."""
    rounds, ordered = deadlines.size, np.sort(deadlines)
    bound = ordered[math.ceil((1 - late_share) * rounds - 1e-9) - 1]
    beyond = deadlines > bound
    p, variance = beyond.mean(), spread(beyond[None].astype(float), units, 3).variance[0]
    independent = p * (1 - p) / rounds
    deff = max(1, variance / independent) if independent > 0 else 1
    effective = rounds / deff * (stats.t.ppf(0.95, rounds - 1) / stats.t.ppf(0.95, 3)) ** 2
    found = None
    for candidate in ordered[::-1]:
        share = (ordered > candidate).mean()
        upper = stats.beta.ppf(0.95, share * effective + 1, (1 - share) * effective)
        kept = [(deadlines[units == number] <= candidate).mean() for number in np.unique(units)]
        if upper > late_share or risk_of_mean(kept, 1 - late_share) > 0.05:
            break
        found = float(candidate)
    return found


@given(seed=st.integers(0, 2**32 - 1), spells=st.sampled_from([1, 5, 20]), late_share=st.sampled_from([0.05, 0.1, 0.3]))
def test_it_is_the_shortest_candidate_that_holds(seed: int, spells: int, late_share: float) -> None:
    random = np.random.default_rng(seed)
    deadlines = random.lognormal(3, 0.1, 120) * np.resize(np.repeat(random.lognormal(0, 0.2, 24), spells), 120)
    found = certify(deadlines, VISITS, 120, late_share=late_share)
    assert found.ns == by_hand(deadlines, VISITS, late_share)
    if found.ns is not None:
        assert (found.breaks, found.reason, found.more_rounds) == (int((deadlines > found.ns).sum()), "", 0)


def test_rounds_after_the_number_fixed_beforehand_do_not_count() -> None:
    random = np.random.default_rng(0)
    deadlines = random.lognormal(3, 0.1, 200)
    later = np.append(deadlines[:120], np.full(80, 1e9))
    units = np.arange(200) // 2
    assert certify(deadlines, units, 120) == certify(later, units, 120) == certify(deadlines[:120], VISITS, 120)


MIXED = np.random.default_rng(0).permutation(120) + 1.0
SPELL = np.where((np.arange(120) >= 40) & (np.arange(120) < 60), 9.0, 1.0) + np.arange(120) / 1000
NEVER = np.where(np.arange(120) % 9, MIXED, math.inf)


@pytest.mark.parametrize(
    ("deadlines", "units", "more", "why"),
    [
        (np.arange(1.0, 61.0), np.arange(60) // 2, 60, "more rounds needed"),
        (MIXED, None, 0, "one stretch"),
        (MIXED, np.zeros(120, dtype=np.int64), 0, "one stretch"),
        (np.full(120, 5.0), np.arange(120) // 6, 0, "do not rule out bad ones"),
        (np.full(120, 5.0), np.arange(120) // 7, 0, "at least 20"),
        (SPELL, VISITS, 0, "spells"),
        (NEVER, VISITS, 0, "14 of 120 rounds never keep"),
        (np.full(120, math.inf), VISITS, 0, "120 of 120 rounds never keep"),
    ],
)
def test_what_certifies_nothing(deadlines: np.ndarray, units: np.ndarray | None, more: int, why: str) -> None:
    found = certify(deadlines, units, 120)
    assert (found.ns, found.more_rounds) == (None, more)
    assert why in found.reason


def test_a_larger_share_of_late_rounds_takes_fewer_visits_and_bears_rounds_that_never_keep_the_quality() -> None:
    assert certify(np.full(120, 5.0), VISITS, 120).ns == 5.0
    assert certify(np.full(120, 5.0), np.arange(120) // 6, 120, late_share=0.2).ns == 5.0
    deadlines = MIXED.copy()
    deadlines[[5, 77]] = math.inf
    found = certify(deadlines, VISITS, 120, late_share=0.3)
    assert found.ns is not None
    assert found.breaks >= 2


def test_false_certificates_are_rare() -> None:
    """Spells of 10 rounds, a sixth of all, between 8 trials that take turns: visits of 2 rounds, 16 from start to start."""
    random, false, issued = np.random.default_rng(4), 0, 0
    for _ in range(200):
        slow = np.empty(60 * 16, dtype=bool)
        state = random.random() < 1 / 6
        for place in range(slow.size):
            state = random.random() < (9 / 10 if state else 1 / 50)
            slow[place] = state
        seen = slow.reshape(60, 16)[:, :2].ravel()
        deadlines = np.where(seen, 2.0, 1.0) * random.lognormal(0, 0.05, 120)
        found = certify(deadlines, VISITS, 120, late_share=0.2)
        if found.ns is not None:
            issued += 1
            beyond = [stats.norm.sf(math.log(found.ns / level) / 0.05) for level in (1.0, 2.0)]
            false += 5 / 6 * beyond[0] + 1 / 6 * beyond[1] > 0.2
    assert issued > 0.5 * 200
    assert false <= 0.07 * 200


@pytest.mark.parametrize(
    ("percentile", "confidence", "overruns", "expected"),
    [
        (99, 0.99, 0, 459), (99.9, 0.99, 0, 4603), (90, 0.99, 0, 44), (90, 0.99, 1, 64), (95, 0.99, 1, 130), (99, 0.99, 1, 662), (99.9, 0.99, 1, 6636),
        (50, 0.5, 0, 1), (50, 0.75, 0, 2), (50, 0.875, 0, 3),  # equality counts in spite of rounding
    ],
)  # fmt: skip
def test_counts_that_loadgen_publishes(percentile: float, confidence: float, overruns: int, expected: int) -> None:
    assert samples_to_certify(percentile, confidence, overruns) == expected


@given(st.floats(1, 99.9), st.floats(0.5, 0.999), st.integers(0, 40))
def test_it_is_the_smallest_number_by_the_binomial_tail(percentile: float, confidence: float, overruns: int) -> None:
    n = samples_to_certify(percentile, confidence, overruns)
    late = 1 - percentile / 100
    assert stats.binom.cdf(overruns, n, late) <= (1 - confidence) * (1 + 1e-9)
    assert stats.binom.cdf(overruns, n - 1, late) > (1 - confidence) * (1 - 1e-9)


@pytest.mark.parametrize(("units", "bad"), [(1, 0), (10, 0), (77, 0), (77, 1), (300, 5), (5000, 20)])
def test_of_units_that_gain_all_or_nothing_it_is_a_binomial_tail(units: int, bad: int) -> None:
    gains = np.append(np.ones(units - bad), np.zeros(bad))
    for at_least in (0.5, 0.9, 0.99):
        assert risk_of_mean(gains, at_least) == pytest.approx(stats.binom.cdf(bad, units, 1 - at_least), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("at_least", [0.8, 0.9, 0.93])
def test_it_is_the_tail_of_a_mean_under_random_weights(at_least: float) -> None:
    random = np.random.default_rng(0)
    gains = np.append(random.uniform(0.9, 1.05, 40), [0.3, 0.6])
    weights = random.dirichlet(np.ones(43), 40_000)
    drawn = float((weights @ np.append(gains, 0.0) < at_least).mean())
    assert risk_of_mean(gains, at_least) == pytest.approx(drawn, abs=4 * np.sqrt(drawn * (1 - drawn) / 40_000) + 1e-4)


def test_units_to_show_are_the_fewest() -> None:
    gains = [1.0] * 29 + [0.8]
    found = units_to_show(gains, 0.95, 0.02)
    assert risk_of_mean(gains, 0.95, found / 30) <= 0.02 < risk_of_mean(gains, 0.95, (found - 1) / 30)
    assert units_to_show(gains, 0.9999, 0.02) is None
