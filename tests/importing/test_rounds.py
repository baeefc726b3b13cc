"""Rounds and samples are those of the file, or formed by time."""

from typing import Any

import numpy as np
import pytest

from orchestrator.exchange.rounds import arranged, visits_by_time

ONE_ROUND = "one round"
LAWS = {
    "rounds of the file are numbered from 0 and sorted": (
        (np.array([7, 3, 7, 3]), np.array([5, 5, 2, 2]), None, 4, True),
        {"order": [3, 1, 2, 0], "rounds": [0, 0, 1, 1], "samples": [0, 1, 0, 1], "values": [2, 5], "flag": None},
    ),
    "without samples a place in the round is one": (
        (np.array([1, 0, 1, 0, 0]), None, None, 5, False),
        {"order": [1, 3, 4, 0, 2], "samples": [0, 1, 2, 0, 1]},
    ),
    "samples asked equally often make rounds in order of time": (
        (None, np.array([8, 9, 9, 8]), np.array([40, 10, 30, 20]), 4, True),
        {"order": [3, 1, 0, 2], "rounds": [0, 0, 1, 1]},
    ),
    "scored samples asked unequally are one round": (
        (None, np.array([1, 1, 2]), None, 3, True),
        {"rounds": [0, 0, 0], "samples": [0, 1, 2], "flag": ONE_ROUND},
    ),
    "too few requests are one round": ((None, None, None, 19, False), {"rounds": [0] * 19, "flag": ONE_ROUND}),
}


@pytest.mark.parametrize(("given", "expected"), LAWS.values(), ids=LAWS)
def test_rounds_and_samples(given: tuple[Any, ...], expected: dict[str, Any]) -> None:
    made = arranged(*given)
    assert {name: np.asarray(getattr(made, name)).tolist() for name in expected} == expected


@pytest.mark.parametrize("rows", [20, 101, 1009])
def test_requests_are_cut_by_time_into_equal_rounds_and_none_is_lost(rows: int) -> None:
    start = np.random.default_rng(rows).permutation(rows) * 1000
    made = arranged(None, None, start, rows, False)
    assert sorted([*made.order.tolist(), *made.aside.tolist()]) == list(range(rows))
    in_order = start[np.concatenate([made.aside, made.order])]
    assert (np.diff(in_order) > 0).all()
    sizes = np.bincount(made.rounds)
    assert len(set(sizes.tolist())) == 1
    assert sizes[0] >= 10
    assert made.aside.size < sizes.size <= 100
    assert made.flag == "rounds by time"
    assert made.how == "cut"


def test_visits_end_where_a_pause_is_half_a_round_long() -> None:
    began = np.array([0, 10, 40, 50, 80]) * 100
    visits = visits_by_time(began, began + 1000)
    assert visits.tolist() == [0, 0, 1, 1, 2]
    assert visits_by_time(np.arange(5) * 1000, np.arange(5) * 1000 + 1000) is None
