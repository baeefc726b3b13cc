"""Rounds and samples are those of the file, or formed by time."""

import numpy as np
import pytest

from orchestrator.exchange.rounds import arranged, visits_by_time


def test_rounds_of_the_file_are_numbered_from_0_and_sorted() -> None:
    made = arranged(np.array([7, 3, 7, 3]), np.array([5, 5, 2, 2]), None, 4, True)
    assert made.order.tolist() == [3, 1, 2, 0]
    assert made.rounds.tolist() == [0, 0, 1, 1]
    assert made.samples.tolist() == [0, 1, 0, 1]
    assert made.values.tolist() == [2, 5]
    assert made.flag is None


def test_without_samples_a_place_in_the_round_is_one() -> None:
    made = arranged(np.array([1, 0, 1, 0, 0]), None, None, 5, False)
    assert made.order.tolist() == [1, 3, 4, 0, 2]
    assert made.samples.tolist() == [0, 1, 2, 0, 1]


def test_samples_asked_equally_often_make_rounds_in_order_of_time() -> None:
    samples, start = np.array([8, 9, 9, 8]), np.array([40, 10, 30, 20])
    made = arranged(None, samples, start, 4, True)
    assert made.order.tolist() == [3, 1, 0, 2]
    assert made.rounds.tolist() == [0, 0, 1, 1]


def test_scored_samples_asked_unequally_are_one_round() -> None:
    made = arranged(None, np.array([1, 1, 2]), None, 3, True)
    assert (made.rounds.tolist(), made.samples.tolist(), made.flag) == ([0, 0, 0], [0, 1, 2], "one round")


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


def test_too_few_requests_are_one_round() -> None:
    made = arranged(None, None, None, 19, False)
    assert (made.rounds.tolist(), made.flag) == ([0] * 19, "one round")


def test_visits_end_where_a_pause_is_half_a_round_long() -> None:
    began = np.array([0, 10, 40, 50, 80]) * 100
    visits = visits_by_time(began, began + 1000)
    assert visits.tolist() == [0, 0, 1, 1, 2]
    assert visits_by_time(np.arange(5) * 1000, np.arange(5) * 1000 + 1000) is None
