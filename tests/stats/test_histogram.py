from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orchestrator.contracts import InputError
from orchestrator.stats.density import LOG_STEP, LogHistogram

some_times = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(1e3, 2e4) | st.just(np.inf))


def histogram_of(*rounds: np.ndarray) -> LogHistogram:
    histogram = LogHistogram()
    for times in rounds:
        histogram.add(times)
    return histogram


def counted(histogram: LogHistogram) -> dict[int, int]:
    return {histogram.first + i: int(n) for i, n in enumerate(histogram.counts) if n}


@settings(max_examples=40, deadline=None)
@given(st.lists(some_times, min_size=1, max_size=4))
def test_counts_of_rounds_add_up(rounds: list[np.ndarray]) -> None:
    pooled = np.concatenate(rounds)
    finite = pooled[np.isfinite(pooled)]
    bins, numbers = np.unique(np.floor(np.log(finite) / LOG_STEP).astype(int), return_counts=True)
    assert counted(histogram_of(*rounds)) == dict(zip(bins.tolist(), numbers.tolist(), strict=True))
    assert counted(histogram_of(*rounds[::-1])) == counted(histogram_of(*rounds))


@settings(max_examples=40, deadline=None)
@given(some_times, st.sampled_from([1, 2, 8, 1024]))
def test_wider_bins_hold_what_their_parts_held(times: np.ndarray, factor: int) -> None:
    finite = times[np.isfinite(times)]
    coarse = histogram_of(times).coarsened(factor)
    bins, numbers = np.unique(np.floor(np.log(finite) / LOG_STEP).astype(int) // factor, return_counts=True)
    assert counted(coarse) == dict(zip(bins.tolist(), numbers.tolist(), strict=True))
    assert coarse.step == factor * LOG_STEP


def test_samples_without_a_time_are_not_counted() -> None:
    assert histogram_of(np.array([np.inf, np.inf])).counts.size == 0
    assert histogram_of(np.array([1, 2**62]), np.array([5.0, np.inf, 5.0])).counts.sum() == 4


def test_add_refuses_what_is_no_time() -> None:
    with pytest.raises(InputError, match="positive"):
        LogHistogram().add([1.0, np.nan])


def test_occupied_bins_and_quantiles() -> None:
    times = np.random.default_rng(0).lognormal(16, 0.3, 1001)
    histogram = histogram_of(times)
    centres, numbers = histogram.occupied()
    assert numbers.sum() == 1001
    assert np.interp(np.log(times.max()), centres, centres) == pytest.approx(np.log(times.max()), abs=LOG_STEP)
    expected = np.quantile(np.log(times), [0.25, 0.5, 1], method="inverted_cdf")
    np.testing.assert_allclose(histogram.quantiles([0.25, 0.5, 1]), expected, rtol=0, atol=LOG_STEP / 2 + 1e-12)


def test_on_grid_spreads_wide_bins_and_merges_narrow_ones() -> None:
    histogram = LogHistogram(step=0.5, first=2, counts=np.array([4, 0, 2]))
    np.testing.assert_array_equal(histogram.on_grid(0.25, 3, 8), [0, 2, 2, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(histogram.on_grid(0.5, 1, 5), [0, 4, 0, 2, 0])
    np.testing.assert_array_equal(histogram.on_grid(1.0, 0, 4), [0, 4, 2, 0])
