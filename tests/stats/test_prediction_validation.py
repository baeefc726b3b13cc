from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.later_mean import later_means
from orchestrator.stats.long_run import depend, long_run_spreads
from orchestrator.stats.prediction import Figures, predict_quality
from orchestrator.stats.prediction_validation import (
    VALIDATED_PERCENTILES,
    halves_of,
    halves_of_mean,
    validate_from_curve,
    validate_prediction,
)
from orchestrator.stats.tail_quality import quality_curve


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def lognormal(rounds: int, samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(16, 0.1, (rounds, samples))


def observed_figures(scores, test, threshold) -> Figures:
    quality = np.array([math.fsum(s for s, t in zip(scores, row, strict=True) if t <= threshold) / len(scores) for row in test])
    return Figures(quality.mean(), quality.var(ddof=1), quality.min())


@pytest.mark.parametrize(("rounds", "tests"), [(20, 10), (21, 10), (59, 29), (60, 30), (61, 30), (200, 30)])
def test_the_last_rounds_are_the_test(rounds: int, tests: int) -> None:
    found = validate_prediction(np.ones(3), lognormal(rounds, 3), random=generator())
    assert [one.percentile for one in found] == list(VALIDATED_PERCENTILES)
    assert {(one.fit_rounds, one.test_rounds) for one in found} == {(rounds - tests, tests)}


@pytest.mark.parametrize(("rounds", "tests"), [(50, 25), (100, 30)])
@pytest.mark.parametrize("method", ["block-bootstrap", "poisson-binomial"])
def test_every_figure_by_hand(method, rounds: int, tests: int) -> None:
    scores, times = np.array([1.0, 0, 1, 1, 1]), lognormal(rounds, 5)
    fit, test = times[:-tests], times[rounds - tests :]
    for one in validate_prediction(scores, times, random=generator(), method=method):
        assert one.threshold_ns == np.quantile(fit, one.percentile / 100, method="inverted_cdf")
        assert one.recomputed_threshold_ns == np.quantile(test, one.percentile / 100, method="inverted_cdf")
        predicted = predict_quality(scores, fit, [one.threshold_ns], rounds=tests, random=generator(), method=method)
        assert one.predicted == pytest.approx((predicted.mean[0], predicted.variance[0], predicted.minimum[0]))
        assert one.observed == pytest.approx(observed_figures(scores, test, one.threshold_ns))
        assert one.observed_at_recomputed == pytest.approx(observed_figures(scores, test, one.recomputed_threshold_ns))
        assert one.difference == pytest.approx([abs(a - b) for a, b in zip(one.predicted, one.observed, strict=True)])
        paper = [abs(a - b) for a, b in zip(one.predicted, one.observed_at_recomputed, strict=True)]
        assert one.difference_as_in_paper == pytest.approx(paper)
        raw = [raw_figures(scores, some, one.percentile) for some in (fit, test)]
        assert one.difference_as_in_paper_program == pytest.approx([abs(a - b) for a, b in zip(*raw, strict=True)])


@pytest.mark.parametrize("method", ["block-bootstrap", "poisson-binomial", "monte-carlo"])
def test_what_methods_share_is_found_once_and_changes_nothing(method) -> None:
    scores, times, visits = np.array([1.0, 0, 1, 1, 1]), lognormal(90, 5), np.repeat(np.arange(18), 5)
    halves = halves_of_mean(scores, times, visits=visits)
    alone, shared = (
        validate_prediction(scores, times, random=generator(), method=method, draws=99, visits=visits, halves=known)
        for known in (None, halves)
    )
    assert len(alone) == len(VALIDATED_PERCENTILES)
    assert repr(shared) == repr(alone)


def raw_figures(scores: np.ndarray, times: np.ndarray, percentile: float) -> tuple[float, float, float]:
    """Return what the paper's program takes of rounds: plain mean, variance and minimum, late at its own linear percentile or above."""
    qualities = ((times < np.percentile(times, percentile)) * scores).mean(axis=1)
    return float(qualities.mean()), float(qualities.var()), float(qualities.min())


def test_the_papers_program_has_no_figures_where_a_sample_has_no_time() -> None:
    times = lognormal(60, 20)
    times[3, 4] = np.inf
    for one in validate_prediction(np.ones(20), times, random=generator()):
        assert np.isnan(one.difference_as_in_paper_program).all()
        assert np.isfinite(one.difference_as_in_paper).all()


def test_the_test_rounds_have_no_say_in_threshold_or_prediction() -> None:
    times = lognormal(60, 20)
    disturbed = times.copy()
    disturbed[30:] *= 3
    before, after = (validate_prediction(np.ones(20), t, random=generator()) for t in (times, disturbed))
    assert [(one.threshold_ns, one.predicted) for one in before] == [(one.threshold_ns, one.predicted) for one in after]


def test_the_papers_measure_cannot_see_that_the_test_rounds_are_three_times_slower() -> None:
    times = lognormal(60, 200)
    times[30:] *= 3
    for one in validate_prediction(np.ones(200), times, random=generator()):
        assert one.observed.mean == 0
        assert one.difference.mean == pytest.approx(one.predicted.mean)
        assert one.difference_as_in_paper.mean < 1e-12


def test_rounds_alike_are_predicted_without_difference() -> None:
    times = np.tile(lognormal(10, 30), (4, 1))
    for one in validate_prediction(np.ones(30), times, random=generator()):
        assert one.difference == pytest.approx((0, 0, 0), abs=1e-12)


def test_any_metric_by_monte_carlo_and_whole_rounds() -> None:
    times, scores = lognormal(60, 30), np.linspace(0, 1, 30)

    def curve(some, thresholds):
        return quality_curve(scores, some, thresholds)

    for method in ("block-bootstrap", "monte-carlo"):
        mean = validate_prediction(scores, times, random=generator(), method=method, draws=300, percentiles=[90])
        whole = validate_from_curve(curve, times, random=generator(), method=method, draws=300, percentiles=[90])
        assert mean == whole


def test_whole_nanoseconds_stay_whole() -> None:
    times = np.arange(2**60, 2**60 + 60).reshape(20, 3)
    found = validate_prediction(np.ones(3), times, random=generator(), percentiles=[60])
    assert found[0].threshold_ns == 2**60 + 17
    assert found[0].recomputed_threshold_ns == 2**60 + 47
    assert found[0].observed.mean == 0
    assert found[0].observed_at_recomputed.mean == pytest.approx(0.6)


def test_percentiles_on_samples_without_a_time() -> None:
    times = lognormal(40, 10)
    times[:20, 0] = math.inf
    assert [one.percentile for one in validate_prediction(np.ones(10), times, random=generator())] == [60, 90]
    assert validate_prediction(np.ones(10), times, random=generator(), percentiles=[95]) == ()
    late_test = validate_prediction(np.ones(10), times[::-1], random=generator(), percentiles=[99])
    assert late_test[0].recomputed_threshold_ns == math.inf
    assert late_test[0].observed_at_recomputed.mean == pytest.approx(0.9)


def test_the_interval_of_the_later_mean_by_hand() -> None:
    times, scores = lognormal(80, 50), np.ones(50)
    for one in validate_prediction(scores, times, random=generator()):
        quality = (times[:50] <= one.threshold_ns).mean(axis=1)
        error = quality.std(ddof=1) * math.sqrt(1 / 50 + 1 / 30)
        low, high = stats.t.interval(0.95, 49, quality.mean(), error)
        assert (one.low, one.high) == pytest.approx((low, min(high, 1.0)))
        assert (one.degrees, one.unit, one.inside) == (49, "rounds", bool(low <= one.observed.mean <= high))


def test_rounds_that_depend_on_each_other_widen_the_interval() -> None:
    slow = np.where(np.arange(90) // 10 % 3 == 1, 1.1, 1.0)[:, None]
    times, scores = lognormal(90, 50) * slow, np.ones(50)
    [one] = validate_prediction(scores, times, random=generator(), percentiles=[90])
    quality = (times[:60] <= one.threshold_ns).mean(axis=1)
    [spread] = long_run_spreads(quality[None])
    half = stats.t.ppf(0.975, 3) * math.sqrt(spread.variance * (1 + 60 / 30))
    assert (one.low, one.high) == pytest.approx((max(quality.mean() - half, 0), min(quality.mean() + half, 1)))
    assert (one.degrees, one.unit) == (3, "cosines")
    [independent] = validate_prediction(scores, times, random=generator(), percentiles=[90], method="poisson-binomial")
    assert independent.high - independent.low < (one.high - one.low) / 3


def test_with_visits_the_test_is_whole_visits_and_they_are_what_is_drawn() -> None:
    visits = np.repeat(np.arange(14), 7)
    slow = np.where(visits % 3 == 0, 1.2, 1.0)[:, None]
    times = lognormal(98, 40) * slow
    [one] = validate_prediction(np.ones(40), times, random=generator(), percentiles=[90], visits=visits)
    assert (one.fit_rounds, one.test_rounds, one.unit) == (70, 28, "cosines")  # 10 visits are too few
    visits = np.repeat(np.arange(49), 2)
    times = lognormal(98, 40) * np.where(visits % 2 == 0, 1.2, 1.0)[:, None]
    [one] = validate_prediction(np.ones(40), times, random=generator(), percentiles=[90], visits=visits)
    quality = (times[:68] <= one.threshold_ns).mean(axis=1)
    means, worst = quality.reshape(34, 2).mean(axis=1), quality.reshape(34, 2).min(axis=1)
    half = stats.t.ppf(0.975, 34 // 3) * means.std(ddof=1) * math.sqrt(1 / 34 + 1 / 15)
    assert (one.fit_rounds, one.unit, one.degrees) == (68, "visits", 11)
    assert (one.low, one.high) == pytest.approx((quality.mean() - half, min(quality.mean() + half, 1)))
    assert one.predicted.minimum == np.quantile(worst, 1 - 2 ** (-1 / 15), method="inverted_cdf")
    with pytest.raises(ValueError, match="visits of 3 rounds and times of 98"):
        validate_prediction(np.ones(40), times, random=generator(), visits=np.arange(3))


def test_rounds_that_do_not_vary_predict_no_limits() -> None:
    for method in ("block-bootstrap", "poisson-binomial"):
        for one in validate_prediction(np.ones(3), np.tile([1.0, 2.0, 3.0], (40, 1)), random=generator(), method=method):
            assert math.isnan(one.low)
            assert math.isnan(one.high)
            assert one.inside is None


def test_the_interval_of_independent_samples_by_hand() -> None:
    times, scores = lognormal(80, 50), np.ones(50)
    for one in validate_prediction(scores, times, random=generator(), method="poisson-binomial"):
        half = stats.t.ppf(0.975, 49) * math.sqrt(one.predicted.variance * (1 / 50 + 1 / 30))
        mean = one.predicted.mean
        assert (one.low, one.high) == pytest.approx((mean - half, min(mean + half, 1.0)))


def test_limits_lie_within_what_is_possible() -> None:
    slow = np.where(np.arange(60) // 10 % 2 == 0, 1.0, 3.0)[:, None]
    [one] = validate_prediction(np.ones(20), lognormal(60, 20) * slow, random=generator(), percentiles=[60])
    assert (one.low, one.high) == (0.0, 1.0)


def test_median_times_tell_dependence_that_quality_does_not_show() -> None:
    times = lognormal(90, 51)
    times[:, :40] *= np.where(np.arange(90) // 10 % 2 == 0, 1.0, 1.5)[:, None]  # none of these is ever near the threshold
    times[:, 40:] *= 10
    [one] = validate_prediction(np.ones(51), times, random=generator(), percentiles=[95])
    quality = (times[:60] <= one.threshold_ns).mean(axis=1)
    assert not depend(quality[None])[0]
    assert one.unit == "cosines"


def test_later_means_of_one_round_are_not_known() -> None:
    found = later_means([[0.5], [0.7]], 3, dependent=np.array([False, True]))
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()


def test_inferences_of_other_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="times of 20 rounds and inferences of 19: the rounds must be the same"):
        halves_of(partial(quality_curve, np.ones(3)), lognormal(20, 3), inferences=lognormal(19, 3))


def test_too_few_rounds_are_refused() -> None:
    with pytest.raises(InputError, match="19 rounds: at least 20"):
        validate_prediction(np.ones(3), lognormal(19, 3), random=generator())
    with pytest.raises(InputError, match="percentile 120"):
        validate_prediction(np.ones(3), lognormal(20, 3), random=generator(), percentiles=[120])
