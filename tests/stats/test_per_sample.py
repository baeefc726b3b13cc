from __future__ import annotations

import numpy as np
import pytest

from orchestrator.contracts import InputError
from orchestrator.stats.convergence import rounds_each_sample_needs


def test_steady_samples_need_the_fewest_rounds_and_drifting_ones_more() -> None:
    rng = np.random.default_rng(0)
    steady = rng.lognormal(16, 0.1, (80, 3))
    jumps = rng.lognormal(16, 0.02, (80, 1)) * np.where(np.arange(80) < 40, 1.0, 3.0)[:, np.newaxis]
    needed = rounds_each_sample_needs(np.concatenate([steady, jumps], axis=1))
    assert needed[:3].tolist() == [60, 60, 60]
    assert needed[3] > 60


def test_too_few_rounds_settle_nothing() -> None:
    times = np.random.default_rng(0).lognormal(16, 0.1, (59, 2))
    assert rounds_each_sample_needs(times).tolist() == [np.inf, np.inf]


def test_a_sample_that_starts_late_counts_from_its_first_time() -> None:
    times = np.random.default_rng(0).lognormal(16, 0.1, (80, 1))
    times[:40] = np.inf
    assert rounds_each_sample_needs(times, largest=1.0).tolist() == [70]
    assert rounds_each_sample_needs(np.full((80, 1), np.inf)).tolist() == [np.inf]


def test_every_distance_of_the_window_counts() -> None:
    times = np.random.default_rng(0).lognormal(16, 0.1, (60, 1))
    assert rounds_each_sample_needs(times, initial=10, step=10, window=2, largest=1.0).tolist() == [40]
    assert rounds_each_sample_needs(times, largest=1e-6).tolist() == [np.inf]


def test_times_are_checked() -> None:
    with pytest.raises(InputError, match="positive"):
        rounds_each_sample_needs([[0.0]])
