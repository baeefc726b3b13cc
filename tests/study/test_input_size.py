from __future__ import annotations

import math

import numpy as np
import pytest
import scipy

from orchestrator.study.sizes import least_squares, moments

RANDOM = np.random.default_rng(1)


def test_a_line_is_scipy_s() -> None:
    x, y = RANDOM.random(20), RANDOM.random(20)
    expected = scipy.stats.linregress(x, y)
    assert least_squares(x, y)[:3] == pytest.approx((expected.slope, expected.intercept, expected.rvalue**2))


def test_moments_leave_out_what_has_no_time() -> None:
    times = RANDOM.lognormal(16, 0.2, (9, 4))
    times[3, 1] = math.inf
    times[1:, 2] = math.inf
    means, variances = moments(times)
    assert means[[0, 3]] == pytest.approx(times[:, [0, 3]].mean(axis=0) / 1e6)
    assert variances[1] == pytest.approx(np.delete(times[:, 1], 3).var(ddof=1) / 1e12)
    assert np.isnan([means[2], variances[2]]).all()


def test_time_that_grows_with_size_is_explained_by_it() -> None:
    sizes = np.array([1, 2, 4, 8, 16])
    times = (5 + 2 * sizes) * 1e6 * (1 + 1e-6 * RANDOM.standard_normal((50, 5)))
    mean, variance = (least_squares(sizes, of) for of in moments(times))
    assert mean[:3] == pytest.approx((2, 5, 1), abs=1e-4)
    assert variance[0] > 0
    level = least_squares([3] * 5, moments(times)[0])
    assert (level[0], level[2]) == (0, 0)


def test_what_does_not_vary_has_no_share() -> None:
    assert math.isnan(least_squares(np.array([1.0, 2.0]), np.array([3.0, 3.0]))[2])
