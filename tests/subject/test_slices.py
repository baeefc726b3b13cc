import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import contracts
from orchestrator.contracts import doubling_range
from orchestrator.subject import samples
from orchestrator.subject.samples import in_order, slices_offered


@pytest.mark.parametrize("module", [contracts, samples])
def test_examples_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.floats(0, 1e12))
def test_a_number_lies_in_its_range_which_reaches_to_twice_the_one_before(number: float) -> None:
    low, _, high = doubling_range(number).partition("-")
    assert int(low) - 1 <= number <= int(high or low)
    assert not high or int(high) == 2 * (int(low) - 1)


@given(st.lists(st.floats(0, 1e9), max_size=30))
def test_ranges_stand_in_the_order_of_their_numbers(numbers: list[float]) -> None:
    assert in_order(map(doubling_range, numbers)) == list(dict.fromkeys(map(doubling_range, sorted(numbers))))


def test_names_of_any_text_have_an_order() -> None:
    names = ["b2", "b10", "", "٣", "9" * 50, "a", "10", "9"]
    assert in_order(names) == in_order(reversed(names))
    assert in_order(["b10", "b2", "10", "9"]) == ["9", "10", "b2", "b10"]


@pytest.mark.parametrize(
    ("kind", "metrics", "offered"),
    [
        ("image_classification", ["top1"], {"own", "size"}),
        ("object_detection", ["map", "map50"], {"own", "size", "area", "class"}),
        ("multiple_choice", ["accuracy", "of another package"], {"own"}),
    ],
)
def test_what_a_task_offers_follows_from_samples_kind_and_metrics(kind: str, metrics: list[str], offered: set[str]) -> None:
    assert slices_offered(["own"], kind, metrics) == offered
