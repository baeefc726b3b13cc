"""Of more than 200 rounds Student's t takes the place of the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.stats.intervals import rounds_interval


def seeded() -> np.random.Generator:
    return np.random.default_rng(0)


def test_of_more_than_200_rounds_student_serves_where_twenty_lost_something() -> None:
    lost = 0.05 * np.random.default_rng(4).random(201)
    quality = np.where(np.arange(201) < 19, 0.9 - lost - 0.01, 0.9)
    assert rounds_interval(quality, 0.9, 18, seeded()).method == "korn-graubard"
    quality[19] = 0.85
    found = rounds_interval(quality, 0.9, 18, seeded())
    assert (found.method, found.parameters) == ("t", {"rounds": 201})
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 200, quality.mean(), stats.sem(quality)))
    assert rounds_interval(quality[:200], 0.9, 18, seeded()).method == "bootstrap-t"
    assert rounds_interval(quality, 0.9, 18, seeded(), balanced=False).method == "korn-graubard"


def test_students_limits_are_clipped_and_need_a_spread() -> None:
    nearly_all = np.where(np.arange(300) < 280, 0.0, 0.9)
    assert rounds_interval(nearly_all, 0.9, 18, seeded()).low > 0
    one_kept = np.where(np.arange(300) < 299, 0.0, 0.9)
    assert rounds_interval(one_kept, 0.9, 18, seeded()).low == 0
    assert rounds_interval(np.full(300, 0.8), 0.9, 18, seeded()).method == "korn-graubard"
