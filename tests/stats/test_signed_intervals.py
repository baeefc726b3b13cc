from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats import signed_intervals as module
from orchestrator.stats.korn_graubard import korn_graubard
from orchestrator.stats.signed_intervals import Sway, signed_intervals

SWAY = Sway(loss=0.2, losing=15.0, gain=0.06, gaining=9.0)
IDEAL = 0.18


def test_examples_run():
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def limits(part, most, answers):
    """Korn and Graubard's limits of a mean part, written out."""
    rounds, n = len(part), len(part) * answers
    pi = part.mean() / most
    effective = n
    if np.ptp(part):
        deff = max(1, (stats.sem(part) / most) ** 2 / (pi * (1 - pi) / n))
        effective = n / deff * (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, rounds - 1)) ** 2
    x = pi * effective
    low = stats.beta.ppf(0.025, x, effective - x + 1) if x else 0.0
    return most * low, most * stats.beta.ppf(0.975, x + 1, effective - x)


def test_limits_by_hand():
    random = np.random.default_rng(4)
    quality = IDEAL + random.choice([-0.03, -0.01, 0, 0, 0.01, 0.02], 30)
    lost, gained = np.maximum(IDEAL - quality, 0), np.maximum(quality - IDEAL, 0)
    l1, l2 = limits(lost, SWAY.loss, SWAY.losing)
    g1, g2 = limits(gained, SWAY.gain, SWAY.gaining)
    loss, gain, c = lost.mean(), gained.mean(), stats.pearsonr(lost, gained).statistic
    assert c < 0
    [found] = signed_intervals(quality[None], IDEAL, SWAY)
    assert found.method == "signed korn-graubard"
    assert found.low == pytest.approx(
        IDEAL - loss + gain - math.sqrt((l2 - loss) ** 2 + (gain - g1) ** 2 - 2 * c * (l2 - loss) * (gain - g1))
    )
    assert found.high == pytest.approx(
        IDEAL - loss + gain + math.sqrt((loss - l1) ** 2 + (g2 - gain) ** 2 - 2 * c * (loss - l1) * (g2 - gain))
    )


def test_without_anything_to_gain_it_is_korn_and_graubard():
    quality = IDEAL - np.array([0.0] * 25 + [0.01, 0.02, 0.01, 0.05, 0.01])
    [found] = signed_intervals(quality[None], IDEAL, Sway(IDEAL, 15.0, 0.0, 0.0))
    known = korn_graubard(IDEAL - quality, IDEAL, 15.0)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_rounds_that_only_gain_reach_above_ideal_quality():
    quality = IDEAL + np.array([0.0, 0.01, 0.02] * 10)
    [found] = signed_intervals(quality[None], IDEAL, SWAY)
    assert found.low < quality.mean() < found.high
    assert found.high > IDEAL
    assert found.high - found.low < 0.03  # and not all there is, as where no number of losses explains the variance


def test_rounds_that_never_differ_leave_room_on_both_sides():
    [found] = signed_intervals([[IDEAL] * 30], IDEAL, SWAY)
    assert IDEAL - found.low == pytest.approx(SWAY.loss * (1 - 0.025 ** (1 / (30 * SWAY.losing))))
    assert found.high - IDEAL == pytest.approx(SWAY.gain * (1 - 0.025 ** (1 / (30 * SWAY.gaining))))


def test_nothing_costs_anything_alone():
    [found] = signed_intervals([[IDEAL, IDEAL, IDEAL - 0.1, IDEAL]], IDEAL, Sway(0.0, 0.0, 0.0, 0.0))
    assert found.low < IDEAL - 0.025 < found.high


def test_a_single_round_says_nothing():
    [found] = signed_intervals([[0.3]], IDEAL, SWAY)
    assert (found.low, found.high, found.method) == (0, 1, "none")


@pytest.mark.parametrize(("quality", "high", "method"), [([0.0, 0.0], 0.0, "exact"), ([0.0, 0.1], 1.0, "none")])
def test_without_ideal_quality(quality, high, method):
    [found] = signed_intervals([quality], 0.0, Sway(0.0, 0.0, 0.0, 0.0))
    assert (found.low, found.high, found.method) == (0.0, high, method)


@pytest.mark.parametrize("late", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("gainers", ["rare", "often"])
def test_it_covers(late, gainers):
    random = np.random.default_rng(3)
    costs = np.concatenate([np.full(20, 0.01), np.full(10, -0.004)])
    chance = np.where(costs > 0, late, late if gainers == "rare" else min(4 * late, 0.9))
    truth = 0.2 - float(costs @ chance)
    sway = Sway(0.2, 20.0, 0.04, 10.0)
    quality = 0.2 - (random.random((300, 30, 30)) < chance) @ costs
    covered = [found.low <= truth <= found.high for found in signed_intervals(quality.reshape(300, 30), 0.2, sway)]
    assert np.mean(covered) >= 0.93


@pytest.mark.parametrize("quality", [[[]], [[math.nan]], [[-0.1]], [0.5]])
def test_what_is_no_quality_is_refused(quality):
    with pytest.raises(InputError, match="needs"):
        signed_intervals(quality, IDEAL, SWAY)


@given(arrays(np.float64, 24, elements=st.sampled_from([0.0, 0.1, 0.15, 0.18, 0.2, 0.24])))
def test_what_times_say_narrows_no_interval(quality):
    """Not against what losses and gains say alone, nor where neither varies against that of this session."""
    visits = np.repeat(np.arange(12), 2)
    [alone] = signed_intervals([quality], IDEAL, SWAY, dependent=np.array([np.ptp(quality) > 0]), visits=visits)
    [found] = signed_intervals([quality], IDEAL, SWAY, dependent=np.array([True]), visits=visits, alike=True)
    assert found.low <= alone.low + 1e-12
    assert found.high >= alone.high - 1e-12
