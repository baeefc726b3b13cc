from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.contracts import InputError
from orchestrator.stats.interval import clopper_pearson, sampling_interval
from orchestrator.stats.latency import latency_percentiles
from orchestrator.stats.pair import holm_adjusted
from orchestrator.stats.thresholds import own_thresholds


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: clopper_pearson(1, 3, confidence=1.5), "confidence 1.5"),
        (lambda: sampling_interval([-1.0, 1.0]), "finite and not negative"),
        (lambda: sampling_interval([1.0], confidence=2), "confidence 2"),
        (lambda: holm_adjusted([0.1, -1]), "p-values of shape"),
        (lambda: holm_adjusted([0.1, float("nan")]), "each between 0 and 1"),
        (lambda: holm_adjusted([[0.1]]), r"must be \[tests\]"),
        (lambda: latency_percentiles(np.ones((3, 40)), [50], confidence=95), "confidence 95"),
        (lambda: latency_percentiles(np.ones((3, 40)), [50], confidence=1), "confidence 1: must"),
        (lambda: latency_percentiles(np.ones((3, 40)), [50], confidence=0), "confidence 0: must"),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(call: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_times_that_are_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \[rounds, samples\]"):
        own_thresholds([1, 2, 3], [95])
