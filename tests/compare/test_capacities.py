from __future__ import annotations

import math

import pytest

from orchestrator.compare.campaigns import Capacity
from orchestrator.stats.capacity import Estimate


@pytest.mark.parametrize(
    ("found", "written", "numbers"),
    [
        (Capacity(20.0, Estimate(25, 22, 29)), "20, 25 [22, 29]", [20, 25, 22, 29]),
        (Capacity(None, Estimate(25, 0, math.inf)), "no rate, 25 [0, inf]", [None, 25, None, None]),
        (Capacity(None, None), "no rate", [None] * 4),
    ],
)
def test_what_a_search_has_found_is_written_and_told_in_numbers(found: Capacity, written: str, numbers: list[float | None]) -> None:
    assert str(found) == written
    assert list(found.numbers.values()) == numbers
