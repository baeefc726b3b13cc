"""Verdicts against exact tails, brute force and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.stats.certificate import certify, risk_of_mean, units_to_show
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.requirements import mean_reaches, planned_units, rounds_keep, starts_keep

VISITS = np.arange(120) // 2


def upper(broke: int, rounds: int, error: float) -> float:
    """The definition: Clopper-Pearson's limit of as many rounds as these are worth with 3 degrees of freedom, if independent."""
    worth = rounds * (stats.t.ppf(1 - error, rounds - 1) / stats.t.ppf(1 - error, 3)) ** 2
    return float(stats.beta.ppf(1 - error, broke / rounds * worth + 1, (1 - broke / rounds) * worth))


def test_a_share_of_rounds_has_the_limit_of_its_definition() -> None:
    values = np.full(120, 1.0)
    found = rounds_keep(values, 2.0, VISITS, 120, late_share=0.1, error=0.05)
    assert (found.verdict, found.figure, found.low, found.units) == ("met", 0.0, 0.0, 120)
    assert found.high == pytest.approx(upper(0, 120, 0.05))


def test_met_is_what_the_certificate_says() -> None:
    random = np.random.default_rng(1)
    for _ in range(40):
        values = 5 + random.lognormal(0, 0.3, 120)
        promise = certify(values, VISITS, 120).ns
        if promise is None:
            continue
        for bound, verdict in ((promise, "met"), (np.nextafter(promise, 0), "not shown")):
            found = rounds_keep(values, bound, VISITS, 120, late_share=0.1, error=0.05)
            assert (found.verdict, found.certified) == (verdict, promise)


def test_rounds_of_few_visits_or_one_stretch_show_nothing() -> None:
    values = np.full(120, 1.0)
    for units, more in ((None, None), (np.arange(120) // 12, 12 * 29 - 120), (np.arange(120) // 8, 8 * 29 - 120)):
        found = rounds_keep(values, 2.0, units, 120, late_share=0.1, error=0.05)
        assert (found.verdict, found.more) == ("not shown", more)  # 0.9^29 < 0.05
        assert rounds_keep(values, 0.5, units, 120, late_share=0.1, error=0.05).verdict == "not shown"
        for asked in (0.5, 2.0):
            assert mean_reaches(values, asked, 1.0, 10, units, error=0.05).verdict == "not shown"
    assert mean_reaches(values, 0.5, 1.0, 10, np.arange(120) // 8, error=0.05).more == 40
    assert mean_reaches(values, 0.5, 1.0, 10, None, error=0.05).more is None


def test_missing_rounds_allow_no_met() -> None:
    values = np.full(100, 1.0)
    found = rounds_keep(values, 2.0, VISITS[:100], 120, late_share=0.1, error=0.05)
    assert (found.verdict, found.more) == ("not shown", 20)
    assert rounds_keep(values, 0.5, VISITS[:100], 120, late_share=0.1, error=0.05).verdict == "not met"
    later = np.append(np.full(120, 1.0), np.full(40, 9.0))
    assert rounds_keep(later, 2.0, np.arange(160) // 2, 120, late_share=0.1, error=0.05).verdict == "met"


@pytest.mark.parametrize("broken", [2, 5])
def test_so_many_more_rounds_like_these_show_a_share(broken: int) -> None:
    """Rounds that are repeated as they are, until the upper limit comes down."""
    values = np.full(60, 1.0)
    values[:: 60 // broken] = 9.0
    late = float((values > 2).mean())
    found = rounds_keep(values, 2.0, np.arange(60) // 2, 60, late_share=max(2 * late, 0.05), error=0.05)
    assert found.verdict == "not shown"
    times = math.ceil((60 + found.more) / 60)
    enough = np.tile(values, times)
    assert rounds_keep(enough, 2.0, np.arange(enough.size) // 2, enough.size, late_share=max(2 * late, 0.05), error=0.05).verdict == "met"


def test_a_mean_is_met_by_its_interval_and_the_guard() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        gained = random.binomial(18, 0.97, 120) / 20
        [interval] = mean_intervals(gained[None], 0.9, 18, VISITS)
        means = gained.reshape(60, 2).mean(axis=1)
        for asked in (0.75, 0.8, 0.83, 0.85, 0.86, 0.87, 0.9):
            met = interval.low >= asked and risk_of_mean(means, asked) <= 0.05
            expected = "met" if met else "not met" if interval.high < asked else "not shown"
            found = mean_reaches(gained, asked, 0.9, 18, VISITS, error=0.05)
            assert (found.verdict, found.low, found.high) == (expected, interval.low, interval.high)


def test_a_mean_that_visits_not_seen_may_lower_takes_more_of_them() -> None:
    """0.95^58 > 0.05 > 0.95^59."""
    found = mean_reaches(np.ones(100), 0.95, 1.0, 10**4, np.arange(100) // 2, error=0.05)
    assert (found.verdict, found.more) == ("not shown", 18)
    assert mean_reaches(np.ones(118), 0.95, 1.0, 10**4, np.arange(118) // 2, error=0.05).verdict == "met"


def test_a_mean_whose_interval_is_wide_takes_as_many_more_as_narrow_it() -> None:
    gained = np.random.default_rng(3).binomial(10, 0.9, 120) / 10
    found = mean_reaches(gained, 0.88, 1.0, 10, VISITS, error=0.05)
    narrow = 120 * ((found.figure - found.low) / (found.figure - 0.88)) ** 2
    unseen = units_to_show(gained.reshape(60, 2).mean(axis=1), 0.88, 0.05)
    assert found.more == math.ceil(max(narrow, 2 * (unseen or 0))) - 120
    assert mean_reaches(gained, found.figure, 1.0, 10, VISITS, error=0.05).more is None


@pytest.mark.parametrize("late_share", [0.5, 0.1])
@pytest.mark.parametrize("size", [4, 5, 28, 29, 60])
def test_starts_by_exact_tails(late_share: float, size: int) -> None:
    for broke in range(size + 1):
        values = np.where(np.arange(size) < broke, 3.0, 1.0)
        found = starts_keep(values, 2.0, late_share=late_share, error=0.05)
        met = stats.binom.cdf(broke, size, late_share) <= 0.05
        not_met = stats.binom.sf(broke - 1, size, late_share) < 0.05
        assert found.verdict == ("met" if met else "not met" if not_met else "not shown")
        if found.more is not None:
            worth = [stats.binom.cdf(broke * (size + more) / size, size + more, late_share) for more in (found.more, 0)]
            assert found.verdict == "not shown"
            assert broke or worth[0] <= 0.05 < worth[1]


def test_planned_starts_have_their_power_by_exact_tails() -> None:
    for allowed in (0.5, 0.1, 0.01):
        found = planned_units("starts", allowed, 0.05)
        counts = np.arange(found + 1)
        shown = stats.binom.cdf(counts, found, allowed) <= 0.05
        assert stats.binom.pmf(counts, found, allowed / 4)[shown].sum() >= 0.9
    assert planned_units("starts", 1e-7, 0.05) is None


@pytest.mark.parametrize(("share", "most"), [(0.102, 0.06), (0.2, 0.01)])
def test_a_bound_that_is_broken_too_often_is_seldom_called_kept(share: float, most: float) -> None:
    drawn = np.random.default_rng(11).random((200, 120)) + 1
    met = [rounds_keep(row, 2 - share, VISITS, 120, late_share=0.1, error=0.05).verdict == "met" for row in drawn]
    assert np.mean(met) <= most
