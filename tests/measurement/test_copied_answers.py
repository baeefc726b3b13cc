"""Models that change what they have returned, which rounds read only when they have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.measurement.copied_answers import run_copied
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.timing import STAMPS, Stages

SAMPLES = 3


def answers_of(postprocess: Callable[[Any], list[Any]]) -> tuple[list[Any], dict[int, str], list[int]]:
    """The answers and errors of the batches [0], [1], [2], and their stamps."""
    stamps = memoryview(bytearray(8 * STAMPS * SAMPLES)).cast("q")
    batches = [[number] for number in range(SAMPLES)]
    return *run_copied("any", "mine", batches, Stages(lambda items: items, lambda items: items, postprocess), stamps), stamps.tolist()


def test_answers_errors_and_stamps_are_those_of_any_round() -> None:
    def postprocess(items: list[int]) -> list[Any]:
        if items == [1]:
            raise ValueError("not this one")
        return [{"label": items[0], "score": float("nan")}]

    answers, errors, stamps = answers_of(postprocess)
    assert [answered and answered[0]["label"] for answered in answers] == [0, None, 2]
    assert list(errors) == [1]
    assert "not this one" in errors[1]
    assert [bool(stamp) for stamp in stamps] == [True] * 4 + [False] * 3 + [True] + [True] * 4


def one_list() -> Callable[[Any], list[Any]]:
    answer: list[int] = [0]

    def postprocess(items: list[int]) -> list[Any]:
        answer[0] = items[0]
        return answer

    return postprocess


def one_dictionary() -> Callable[[Any], list[Any]]:
    boxes: dict[str, Any] = {"labels": []}

    def postprocess(items: list[int]) -> list[Any]:
        boxes["labels"] = [*items]
        return [boxes]

    return postprocess


@pytest.mark.parametrize("make", [one_list, one_dictionary])
def test_an_answer_that_is_filled_again_is_refused(make: Callable[[], Callable[[Any], list[Any]]]) -> None:
    with pytest.raises(TrialFailed, match="model mine changes answers that it has returned already") as refused:
        answers_of(make())
    assert refused.value.fault == "answers malformed"


@pytest.mark.parametrize("returned", [{"a": 1}, {"a"}, "a", b"a"])
def test_what_is_no_list_of_answers_is_refused_before_it_is_read(returned: Any) -> None:
    with pytest.raises(TrialFailed, match=f"postprocess returned {type(returned).__name__} for a batch of 1 and must return a list"):
        answers_of(lambda items: returned)


def test_one_object_for_equal_answers_is_fine() -> None:
    table = [["cat"], ["dog"]]
    answers, _, _ = answers_of(lambda items: [table[items[0] % 2]])
    assert answers == [[["cat"]], [["dog"]], [["cat"]]]


def test_first_answers_do_not_change_with_the_model() -> None:
    """A model that answers each sample with an object that it keeps, and changes in later rounds."""
    own: list[list[int]] = [[0] for _ in range(SAMPLES)]
    answers, _, _ = answers_of(lambda items: [own[items[0]]])
    own[0][0] = 9
    assert answers[0] == [[0]]
