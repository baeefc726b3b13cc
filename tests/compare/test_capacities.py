from __future__ import annotations

import math

import pytest

from orchestrator.compare.campaigns import Capacity, ComparedCapacity
from orchestrator.compare.comparison_tables import capacity_table
from orchestrator.stats.capacity import Estimate

NAMES = ("net", "numbers", "cpu_all", "torch", "1", "poisson", "50 ms, 99 %")


@pytest.mark.parametrize(
    ("found", "written", "numbers"),
    [
        (Capacity(20.0, Estimate(25, 22, 29)), "20, 25 [22, 29]", [20, 25, 22, 29]),
        (Capacity(None, Estimate(25, 0, math.inf)), "no rate, 25 [0, inf]", [None, 25, None, None]),
        (Capacity(None, None), "no rate", [None] * 4),
    ],
)
def test_both_sides_are_shown_without_a_verdict(found: Capacity, written: str, numbers: list[float | None]) -> None:
    table = capacity_table([ComparedCapacity(NAMES, found, Capacity(20, None))])
    assert "verdict" not in table.columns
    assert table.rows[0][-2:] == [written, "20"]
    assert list(found.numbers.values()) == numbers
