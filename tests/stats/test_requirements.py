"""Verdicts of known shares and sizes, against exact binomial sums and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.deadline import certify_deadline
from orchestrator.stats.requirements import (
    by_interval,
    more_for_mean,
    planned_units,
    rounds_keep,
    rounds_to_show,
    starts_keep,
)


@pytest.mark.parametrize("allowed", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("error", [0.05, 0.001])
def test_the_fewest_units_without_a_break(allowed: float, error: float) -> None:
    found = rounds_to_show(0.0, allowed, error)
    assert found == math.ceil(math.log(error) / math.log1p(-allowed) - 1e-12)


@pytest.mark.parametrize("breaking", [0.02, 0.05, 0.08])
def test_units_with_breaks_by_brute_force(breaking: float) -> None:
    found = rounds_to_show(breaking, 0.1, 0.05)
    units = np.arange(1, 5000)
    shows = stats.binom.cdf(np.floor(breaking * units + 1e-9), units, 0.1) <= 0.05
    assert found == units[shows.argmax()]


@pytest.mark.parametrize(("allowed", "error"), [(0.1, 0.025), (0.5, 0.025), (0.05, 0.001)])
def test_the_planned_size_has_its_power_and_one_less_has_not(allowed: float, error: float) -> None:
    def power(units: int) -> float:
        counts = np.arange(units + 1)
        shown = stats.binom.cdf(counts, units, allowed) <= error
        return float(stats.binom.pmf(counts, units, allowed / 4)[shown].sum())

    found = planned_units(allowed, error)
    assert found is not None
    assert power(found) >= 0.9 > max(power(units) for units in range(1, found))


def test_more_rounds_than_anybody_measures_are_none() -> None:
    assert rounds_to_show(0.0, 1e-7, 0.05) is None
    assert rounds_to_show(0.1, 0.1, 0.05) is None
    assert planned_units(1e-7, 0.025) is None


def test_starts_are_judged_by_exact_tails() -> None:
    """Of 20 starts 0.5^20 sum over k <= 5 is 0.0207, and over k <= 6 it is 0.0577."""
    values = np.ones(20)
    values[:5] = 3
    assert starts_keep(values, 2.0, late_share=0.5, error=0.05).verdict == "met"
    values[5] = 3
    assert starts_keep(values, 2.0, late_share=0.5, error=0.05).verdict == "not shown"
    values[:15] = 3
    assert starts_keep(values, 2.0, late_share=0.5, error=0.05).verdict == "not met"


def test_rounds_far_within_a_bound_are_alike_however_they_follow_one_another() -> None:
    slow_then_fast = np.repeat([10.0, 14.0], 30)
    far = rounds_keep(slow_then_fast, 1000.0, late_share=0.1, error=0.05, looks=(60,))
    assert (far.verdict, far.design_effect, far.certified) == ("met", 1.0, 14.0)
    near = rounds_keep(slow_then_fast, 15.0, late_share=0.1, error=0.05, looks=(60,))
    assert near.verdict == "not shown"
    assert near.design_effect > 5
    assert near.more is not None


def test_looks_that_have_risked_all_leave_nothing_to_project() -> None:
    found = rounds_keep([1.0, 2.0, 3.0], 1.5, late_share=0.5, error=0.5, looks=(2,))
    assert (found.verdict, found.broke, found.more, found.reason) == ("not shown", 2, None, "earlier looks risked all the error allowed")


def test_later_rounds_withdraw_what_earlier_ones_have_shown() -> None:
    values = np.r_[np.ones(60), np.tile([1.0, 1.0, 9.0], 20)]
    found = rounds_keep(values, 2.0, late_share=0.2, error=0.05, looks=(60,))
    assert found.verdict == "not shown"
    assert found.reason == "20 of 60 later rounds broke it"


def test_rounds_without_a_time_break_every_bound() -> None:
    values = np.where(np.arange(60) % 2 == 0, np.inf, 1.0)
    assert rounds_keep(values, 2.0, late_share=0.1, error=0.05, looks=(60,)).verdict == "not met"


def test_rounds_that_are_missing_to_a_fixed_number() -> None:
    """Where rounds depend on each other, a trial that stopped early is not read at all."""
    values = np.repeat(np.random.default_rng(3).lognormal(0, 0.2, 30), 4)
    found = rounds_keep(values, 1.6, late_share=0.5, error=0.05, looks=(100,), missing=20)
    assert found.design_effect > 1
    assert (found.verdict, found.more) == ("not shown", 20)
    assert rounds_keep(values, 1.6, late_share=0.5, error=0.05, looks=(100,)).verdict == "met"


@pytest.mark.parametrize(("share", "most"), [(0.102, 0.06), (0.2, 0.01)])
def test_a_bound_that_is_broken_too_often_is_seldom_called_kept(share: float, most: float) -> None:
    random = np.random.default_rng(11)
    drawn = random.random((200, 114))
    met = [rounds_keep(row + 1, 2 - share, late_share=0.1, error=0.05, looks=(114,)).verdict == "met" for row in drawn]
    assert np.mean(met) <= most


def test_a_bound_that_is_seldom_broken_is_found_at_the_planned_size() -> None:
    drawn = np.random.default_rng(12).random((100, 114))
    met = [rounds_keep(row + 1, 2 - 0.025, late_share=0.1, error=0.05, looks=(114,)).verdict == "met" for row in drawn]
    assert np.mean(met) >= 0.8


def test_limits_on_the_bound_itself() -> None:
    assert by_interval(0.9, 0.95, 0.9) == "met"
    assert by_interval(0.8, 0.9, 0.9) == "not shown"
    assert more_for_mean(30, 0.9, 0.85, 0.9) is None
    assert more_for_mean(30, 0.95, 0.92, 0.9) is None


@pytest.mark.parametrize(("values", "bound", "error"), [([], 1.0, 0.05), ([1.0], 0.0, 0.05), ([1.0], 1.0, 0.0), ([[1.0]], 1.0, 0.05)])
def test_what_cannot_be_judged_is_refused(values: list[float], bound: float, error: float) -> None:
    with pytest.raises(InputError):
        starts_keep(values, bound, late_share=0.5, error=error)


def test_what_is_certified_is_one_of_the_values_and_may_be_the_bound_itself() -> None:
    values = np.random.default_rng(2).permutation(60) + 101.0
    promise = certify_deadline(values, (60,), late_share=0.1, confidence=1 - 0.05 / 2)
    kept = rounds_keep(values, float(promise.ns or 0), late_share=0.1, error=0.05, looks=(60,))
    assert (kept.verdict, kept.certified) == ("met", promise.ns)
    assert np.sum(values <= promise.ns) == promise.rank
    below = rounds_keep(values, float(promise.ns or 0) - 0.5, late_share=0.1, error=0.05, looks=(60,))
    assert (below.verdict, below.certified) == ("not shown", promise.ns)


def test_one_round_that_is_missing_is_told_in_the_singular() -> None:
    """0.9^36 < 0.025 < 0.9^35."""
    found = rounds_keep(np.random.default_rng(3).permutation(35) + 101.0, 300.0, late_share=0.1, error=0.05, looks=(35,))
    assert (found.verdict, found.more, found.reason) == ("not shown", 1, "1 more round needed")


def test_a_further_look_needs_more_rounds_than_there_are_and_risks_half_of_what_is_left() -> None:
    """One of the first 37 rounds broke the bound. They spent 0.9^37 = 0.0203 of 0.025; of 80 rounds at most one breaks it by chance in 0.0022."""
    values = np.random.default_rng(3).permutation(60) + 101.0
    values[5] = 500.0
    found = rounds_keep(values, 300.0, late_share=0.1, error=0.05, looks=(37,))
    assert (found.verdict, found.more, found.reason) == ("not shown", 20, "20 more rounds needed")
    left = (0.025 - 0.9**37) / 2
    assert stats.binom.cdf(1, 80, 0.1) <= left < stats.binom.cdf(1, 79, 0.1)
    shown = np.r_[values, np.full(20, 101.0)]
    assert rounds_keep(shown, 300.0, late_share=0.1, error=0.05, looks=(37, 80)).verdict == "met"
    assert rounds_keep(shown[:79], 300.0, late_share=0.1, error=0.05, looks=(37, 79)).verdict == "not shown"


@pytest.mark.parametrize("broken", [0, 1, 2, 3])
def test_starts_that_are_missing_are_counted_from_those_there_are(broken: int) -> None:
    """Of 12 starts two broke it: 15 of which two do would show it, 14 would not, and 11 of which one did are fewer than there are."""
    values = np.ones(12)
    values[:broken] = 3
    found = starts_keep(values, 2.0, late_share=0.5, error=0.0125)
    if found.verdict == "met":
        assert stats.binom.cdf(broken, 12, 0.5) <= 0.0125 / 2
        return
    assert found.more is not None

    def shown(units: int) -> bool:
        return bool(stats.binom.cdf(broken * units // 12, units, 0.5) <= 0.0125 / 2)

    assert shown(12 + found.more)
    assert not any(shown(units) for units in range(13, 12 + found.more))
    assert broken != 2 or found.more == 3


def test_rounds_that_depend_on_each_other_are_missing_as_many_times_over() -> None:
    """Two spells of three rounds broke it, of 120: more are missing than if none had, and with them it is shown."""
    level = np.random.default_rng(5).random(40) * 0.001 + 1
    level[[7, 23]] = 9.0
    found = rounds_keep(np.repeat(level, 3), 1.5, late_share=0.1, error=0.002, looks=(120,))
    assert (found.verdict, found.broke, found.design_effect > 1) == ("not shown", 6, True)
    assert found.more is not None
    assert 120 + found.more > 66 * found.design_effect  # 0.9^66 < 0.001 < 0.9^65
    worth = int((120 + found.more) / found.design_effect + 1e-9)
    assert stats.binom.cdf(math.ceil(0.05 * worth - 1e-9), worth, 0.1) <= 0.001


def test_a_mean_at_its_next_look_has_a_wider_interval() -> None:
    assert more_for_mean(30, 0.92, 0.88, 0.90, wider=1.5) == 240


def test_a_look_that_risked_all_leaves_nothing_for_another() -> None:
    found = rounds_keep([1.0, 3.0], 2.0, late_share=0.5, error=0.5, looks=(2,))  # P(Bin(2, 0.5) = 0) is all of 0.5/2
    assert (found.verdict, found.more, found.reason) == ("not shown", None, "earlier looks risked all the error allowed")
