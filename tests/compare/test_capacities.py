import math
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.compare.comparison_tables import found_by
from orchestrator.compare.documents import numbers_of
from orchestrator.stats.capacity import Estimate


@pytest.mark.parametrize(
    ("certified", "estimate", "written", "numbers"),
    [
        (SimpleNamespace(rate_per_s=20.0), Estimate(25, 22, 29), "20, 25 [22, 29]", [20, 25, 22, 29]),
        (None, Estimate(25, 0, math.inf), "no rate, 25 [0, inf]", [None, 25, None, None]),
        (None, None, "no rate", [None] * 4),
    ],
)
def test_what_a_search_has_found_is_written_and_told_in_numbers(certified: Any, estimate: Any, written: str, numbers: list[Any]) -> None:
    search: Any = SimpleNamespace(certified=certified, estimate=estimate)
    assert found_by(search) == written
    assert list(numbers_of(search).values()) == numbers
