from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.contracts import InputError
from orchestrator.metrics.detection_boxes import detections, ground_truth

REFERENCE = {"boxes": [[0, 1, 2, 3], [4, 5, 6, 7]], "labels": [3, 9], "areas": [5.5, 40], "crowd": [0, 1]}
PREDICTION = {"boxes": [[0, 1, 2, 3], [4, 5, 6, 7]], "labels": [3, 9], "scores": [0.5, 1]}
EMPTY = {"boxes": [], "labels": []}


def test_pictures_are_laid_one_after_the_other():
    truth = ground_truth([REFERENCE, EMPTY, REFERENCE])
    assert truth.pictures == 3
    assert truth.picture.tolist() == [0, 0, 2, 2]
    assert truth.label.tolist() == [3, 9, 3, 9]
    assert truth.boxes.tolist() == REFERENCE["boxes"] * 2
    assert truth.areas.tolist() == [5.5, 40] * 2
    assert truth.crowd.tolist() == [False, True] * 2

    nothing = [{}, [], {**EMPTY, "scores": []}, {"boxes": None, "labels": None, "scores": None}]
    found = detections([None, PREDICTION, *nothing, PREDICTION])
    assert found.picture.tolist() == [1, 1, 6, 6]
    assert found.label.tolist() == [3, 9, 3, 9]
    assert found.boxes.tolist() == PREDICTION["boxes"] * 2
    assert found.scores.tolist() == [0.5, 1] * 2


def test_what_is_optional():
    plain = {"boxes": REFERENCE["boxes"], "labels": REFERENCE["labels"]}
    for reference in (plain, {**plain, "areas": None, "crowd": None, "name": "kitchen"}):
        truth = ground_truth([reference])
        assert truth.areas.tolist() == [6, 42]
        assert truth.crowd.tolist() == [False, False]


def test_arrays_serve_as_lists_do():
    truth = ground_truth([{name: np.array(values) for name, values in REFERENCE.items()}])
    assert truth.boxes.tolist() == REFERENCE["boxes"]
    found = detections(
        [{name: np.array(values, dtype=np.float32 if name != "labels" else np.int16) for name, values in PREDICTION.items()}]
    )
    assert (found.boxes.dtype, found.scores.dtype, found.label.dtype) == (np.float64, np.float64, np.int64)
    nothing = {"boxes": np.empty((0, 4)), "labels": np.empty(0, dtype=np.int64), "scores": np.empty(0)}
    assert detections([nothing]).boxes.shape == ground_truth([nothing]).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"boxes": [[0, 1, 2, math.nan], [4, 5, 6, 7]]}, "boxes hold nan: must be finite"),
        ({"boxes": [[0, 1, math.inf, 3], [4, 5, 6, 7]]}, "must be finite"),
        ({"boxes": [[0, 1, -2, 3], [4, 5, 6, 7]]}, "widths and heights hold -2"),
        ({"boxes": [[0, 1, 2, -3], [4, 5, 6, 7]]}, "must be finite, 0 to inf"),
        ({"boxes": [[0, 1, 2, 3]]}, r"shape \(2, 4\)"),
        ({"boxes": []}, r"shape \(2, 4\)"),
        ({"boxes": [[0, 1, 2], [4, 5, 6]]}, r"shape \(2, 4\)"),
        ({"boxes": [["0", "1", "2", "3"], ["4", "5", "6", "7"]]}, "must be numbers"),
        ({"boxes": None}, r"boxes of .* shape \(2, 4\)"),
        ({"labels": [3]}, "one entry per label"),
        ({"labels": [3.0, 9.0]}, "whole numbers"),
        ({"labels": ["cat", "dog"]}, "whole numbers"),
        ({"labels": [True, False]}, "whole numbers"),
        ({"labels": [None, 9]}, "whole numbers"),
        ({"labels": [[3, 9]]}, "whole numbers"),
        ({"labels": 3}, "whole numbers"),
        ({"labels": None}, "one entry per label"),
    ],
)
@pytest.mark.parametrize(("read", "answer"), [(ground_truth, REFERENCE), (detections, PREDICTION)])
def test_boxes_and_labels_refused(read, answer, change, says):
    assert_refused(read, {**answer, **change}, says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"areas": [1]}, r"areas .* shape \(2,\)"),
        ({"areas": [1, -1]}, "areas hold -1"),
        ({"areas": [1, math.nan]}, "areas hold nan"),
        ({"crowd": [0]}, "crowd .* one entry per label"),
        ({"crowd": [0, 2]}, "0 to 1"),
        ({"crowd": [0, math.nan]}, "0 to 1"),
    ],
)
def test_references_refused(change, says):
    assert_refused(ground_truth, {**REFERENCE, **change}, says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scores": [1]}, r"scores .* shape \(2,\)"),
        ({"scores": [1, math.nan]}, "scores hold nan"),
        ({"scores": [1, -math.inf]}, "scores hold -inf"),
        ({"scores": [True, False]}, "must be numbers"),
        ({"scores": [1, None]}, "must be numbers"),
        ({"scores": None}, "one entry per label"),
    ],
)
def test_predictions_refused(change, says):
    assert_refused(detections, {**PREDICTION, **change}, says)


def assert_refused(read, answer, says):
    with pytest.raises(InputError, match=says) as caught:
        read([EMPTY | {"scores": []}, answer])
    assert "of sample 1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("read", "answer"), [(ground_truth, 7), (detections, [[0, 1, 2, 3]])])
def test_other_forms_refused(read, answer):
    assert_refused(read, answer, "must be a mapping")
