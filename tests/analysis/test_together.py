"""Bounds on several clocks at once, against what they say one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.tables.tail_quality import latest

TIMES = st.one_of(st.integers(1, 2**50).map(float), st.just(float("inf")))
BOUNDS = st.integers(1, 2**50)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=20), BOUNDS, BOUNDS)
def test_an_answer_is_on_time_exactly_where_every_clock_is(pairs: list[tuple[float, float]], one: int, other: int) -> None:
    first, second = (np.array([[pair[place] for pair in pairs]]) for place in (0, 1))
    found = latest([first, second], [one, other])
    assert ((found <= one) == ((first <= one) & (second <= other))).all()
    assert (found > 0).all()
    assert (np.isinf(found) == (np.isinf(first) | np.isinf(second))).all()
