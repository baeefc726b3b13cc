from __future__ import annotations

import pytest

from orchestrator.compare.capacities import ComparedCapacity, capacity_table
from orchestrator.stats.capacity_search import Bracket

NAMES = ("net", "numbers", "cpu_all", "torch", "1", "poisson", "50 ms, 99 %")


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ((20, 22), (22, 24), "higher"),
        ((20, 22), (21, 23), "no difference shown"),
        ((20, 22), (16, 20), "lower"),
        ((20, 22), (16, 21), "no difference shown"),
        ((None, 5), (10, None), "higher"),
        ((20, None), (None, 5), "lower"),
        ((20, None), (40, None), "no difference shown"),
        ((None, 5), (None, 7), "no difference shown"),
    ],
)
def test_brackets_differ_where_no_rate_can_be_both(before: tuple[float, float], after: tuple[float, float], outcome: str) -> None:
    found = ComparedCapacity(NAMES, Bracket(*before), Bracket(*after))
    assert found.outcome == outcome
    (row,) = capacity_table([found]).rows
    assert row[-1] == outcome
    assert row[-3] == f"{before[0] or 'no rate'} to {before[1] or '?'}"
