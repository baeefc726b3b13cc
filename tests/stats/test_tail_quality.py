from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.stats import tail_quality
from orchestrator.stats.tail_quality import lower_percentile, quality_curve


def brute_force(scores, times, thresholds):
    """The definition, one comparison at a time in Python's own numbers."""
    return [
        [
            math.fsum(s for s, t in zip(scores, row, strict=True) if t <= theta and not math.isinf(t)) / len(scores)
            for row in np.asarray(times).tolist()
        ]
        for theta in np.asarray(thresholds).tolist()
    ]


@st.composite
def campaigns(draw):
    rounds, samples, bounds = draw(st.integers(0, 4)), draw(st.integers(1, 8)), draw(st.integers(0, 6))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.7]), min_size=samples, max_size=samples))
    whole = draw(st.booleans())
    number = st.integers(1, 12) if whole else st.one_of(st.integers(1, 12).map(float), st.just(math.inf))
    times = draw(st.lists(st.lists(number, min_size=samples, max_size=samples), min_size=rounds, max_size=rounds))
    theta = st.one_of(st.integers(0, 13), st.floats(-1, 14), st.sampled_from([math.inf, -math.inf]))
    thresholds = draw(st.lists(theta, min_size=bounds, max_size=bounds))
    array = np.array(times, dtype=np.int64 if whole else np.float64).reshape(rounds, samples)
    return scores, array, np.array(thresholds)


def test_examples_run():
    result = doctest.testmod(tail_quality)
    assert result.attempted > 0
    assert result.failed == 0


@given(campaigns())
def test_curve_equals_brute_force(campaign):
    scores, times, thresholds = campaign
    curve = quality_curve(scores, times, thresholds)
    assert curve.shape == (len(thresholds), len(times))
    np.testing.assert_allclose(curve, np.reshape(brute_force(*campaign), curve.shape), rtol=0, atol=1e-12)


@given(campaigns())
def test_quality_of_a_mean_never_falls_when_the_threshold_rises(campaign):
    scores, times, thresholds = campaign
    curve = quality_curve(scores, times, np.sort(thresholds))
    assert (np.diff(curve, axis=0) >= 0).all()


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_infinite_threshold_gives_plain_quality(dtype):
    random = np.random.default_rng(0)
    scores = random.random(500)
    times = random.integers(1, 10**9, (7, 500)).astype(dtype)
    np.testing.assert_allclose(quality_curve(scores, times, [np.inf])[0], scores.mean(), rtol=0, atol=1e-12)


def test_many_samples_in_several_blocks(monkeypatch):
    monkeypatch.setattr(tail_quality, "BLOCK", 64)
    random = np.random.default_rng(1)
    scores, times = random.random(30), random.integers(1, 1000, (11, 30))
    thresholds = random.integers(1, 1000, 9)
    np.testing.assert_allclose(quality_curve(scores, times, thresholds), brute_force(scores, times, thresholds), rtol=0, atol=1e-12)


def test_large_case_equals_the_sums_of_a_mask():
    random = np.random.default_rng(2)
    scores = random.random(10_000)
    times = (1e7 * np.exp(random.normal(0, 0.3, (20, 10_000)))).astype(np.int64)
    thresholds = np.quantile(times, np.linspace(0, 1, 20))
    expected = [(scores * (times <= theta)).mean(axis=1) for theta in thresholds]
    np.testing.assert_allclose(quality_curve(scores, times, thresholds), expected, rtol=0, atol=1e-12)


def test_counts_are_exact_for_scores_of_0_and_1():
    times = np.arange(1, 50)[None, :]
    curve = quality_curve(np.ones(49), times, np.arange(1, 50))[:, 0]
    assert curve.tolist() == [count / 49 for count in range(1, 50)]


def test_a_sample_without_a_time_is_late_at_every_threshold():
    assert quality_curve([1, 1], [[math.inf, 5.0]], [math.inf, 1e300]).tolist() == [[0.5], [0.5]]


def test_all_late_scores_nothing_and_the_bound_is_inclusive():
    assert quality_curve([1, 1], [[5, 6]], [4, 5, -3]).tolist() == [[0.0], [0.5], [0.0]]


def test_integers_beyond_what_floats_hold_are_told_apart():
    times = np.array([[2**60, 2**60 + 1]])
    assert quality_curve([1, 1], times, np.array([2**60])).tolist() == [[0.5]]
    assert quality_curve([1, 1], times, np.array([float(2**60)])).tolist() == [[0.5]]
    assert quality_curve([1, 1], times, [np.inf]).tolist() == [[1.0]]


@pytest.mark.parametrize("wrong", [math.nan, 0.0, -5.0])
def test_times_refused(wrong):
    with pytest.raises(InputError, match="positive"):
        quality_curve([1.0, 1.0], [[1.0, wrong]], [2.0])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.5])
def test_scores_refused(wrong):
    with pytest.raises(InputError, match="scores"):
        quality_curve([1.0, wrong], [[1, 1]], [2])


@pytest.mark.parametrize("wrong", [[math.nan]])
def test_thresholds_refused(wrong):
    with pytest.raises(InputError, match="thresholds"):
        quality_curve([1.0], [[1]], wrong)


def test_no_samples_refused():
    with pytest.raises(InputError, match="no samples"):
        quality_curve([], np.empty((3, 0)), [1])


@pytest.mark.parametrize(("scores", "times", "thresholds"), [([1], [1], [1]), ([1], [[1, 2]], [1])])
def test_shapes_refused(scores, times, thresholds):
    with pytest.raises(ValueError, match="shapes"):
        quality_curve(scores, times, thresholds)


def test_a_percentile_needs_rounds_below_it():
    quality = np.random.default_rng(3).permutation(np.arange(1, 201)) / 200
    assert [lower_percentile(quality, percent) for percent in (10, 5)] == [20 / 200, None]
    assert lower_percentile(quality[:1], 10) is None
