from __future__ import annotations

import math

import numpy as np
import pytest
import scipy

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, find_metric
from orchestrator.stats.tail_quality import (
    LognormalTolerance,
    TolerancePoints,
    curve_over_tolerance,
    lognormal_from_p95,
    quality_curve,
    quality_over_tolerance,
)

RANDOM = np.random.default_rng(3)
TIMES = 2e7 * RANDOM.lognormal(0, 0.5, (7, 40))
TIMES[2, 5] = math.inf
SCORES = RANDOM.random(40)


def test_points_give_the_weighted_mean_of_the_curve() -> None:
    points, weights = (3e7, 1e7, 2e7, 2e7), (1.0, 2.0, 3.0, 4.0)
    law = TolerancePoints(points, weights)
    expected = np.array(weights) @ quality_curve(SCORES, TIMES, points) / 10
    np.testing.assert_allclose(quality_over_tolerance(SCORES, TIMES, law), expected, rtol=1e-12)
    np.testing.assert_allclose(curve_over_tolerance(lambda times, at: quality_curve(SCORES, times, at), TIMES, law), expected, rtol=1e-12)


def test_a_time_equal_to_the_tolerance_is_on_time() -> None:
    law = TolerancePoints((10.0, 20.0), (1.0, 1.0))
    assert law.waits([9, 10, 11, 20, 21]).tolist() == [1, 1, 0.5, 0.5, 0]


def test_a_lognormal_law_is_the_integral_of_the_curve_against_its_density() -> None:
    law = LognormalTolerance(2.5e7, 0.4)
    frozen = scipy.stats.lognorm(s=0.4, scale=2.5e7)
    for row, found in zip(TIMES, quality_over_tolerance(SCORES, TIMES, law), strict=True):
        steps = np.unique(row[np.isfinite(row)])
        mass = np.diff(np.append(frozen.cdf(steps), 1.0))  # between one step of the curve and the next
        assert found == pytest.approx(float(mass @ quality_curve(SCORES, row[None], steps)[:, 0]), abs=1e-12)


def test_a_lognormal_law_has_its_median_and_its_p95() -> None:
    law = lognormal_from_p95(200e6, 500e6)
    assert law.waits([200e6, 500e6]) == pytest.approx([0.5, 0.05])
    assert scipy.stats.lognorm(s=law.sigma, scale=200e6).ppf(0.95) == pytest.approx(500e6)
    with pytest.raises(InputError, match="must lie above"):
        lognormal_from_p95(5, 5)


def test_a_metric_that_is_no_mean_is_read_at_the_law_s_points() -> None:
    answers = Answers(predictions=[[0], [1], [1], [0], [1]] * 8, references=[0, 1, 0, 1, 1] * 8)
    judged = find_metric("f1_macro").judge(answers)  # type: ignore[union-attr]
    law = LognormalTolerance(2e7, 0.5)
    found = curve_over_tolerance(judged.curve, TIMES, law)
    fine = judged.curve(TIMES, scipy.stats.lognorm(s=0.5, scale=2e7).ppf((np.arange(4000) + 0.5) / 4000)).mean(axis=0)
    np.testing.assert_allclose(found, fine, atol=0.01)


def test_blocks_of_rounds_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    law = LognormalTolerance(2e7, 0.5)
    whole = quality_over_tolerance(SCORES, TIMES, law)
    monkeypatch.setattr("orchestrator.stats.tail_quality.TIMES_AT_ONCE", 80)
    np.testing.assert_allclose(quality_over_tolerance(SCORES, TIMES, law), whole, rtol=1e-12)


def test_what_cannot_be_averaged_is_refused() -> None:
    law = LognormalTolerance(2e7, 0.5)
    with pytest.raises(ValueError, match="shapes"):
        quality_over_tolerance([1, 1], [[1.0]], law)
    with pytest.raises(InputError, match="no samples"):
        quality_over_tolerance([], np.empty((2, 0)), law)
    with pytest.raises(InputError, match="times are positive"):
        quality_over_tolerance([1], [[-1.0]], law)
