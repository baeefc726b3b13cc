import math
from dataclasses import replace

import numpy as np
import pytest
from detections import random_task
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from orchestrator.metrics import (
    METRICS,
    Answers,
    detection,
    find_metric,
)
from orchestrator.metrics.detection import AREAS, names_other_categories
from orchestrator.metrics.detection_boxes import detections, ground_truth

NAMES = [name for name in METRICS if name.startswith("map")]
BOX = [10, 10, 50, 50]


def random_answers(seed, pictures):
    references, predictions = random_task(seed, pictures, classes=3)
    return Answers(predictions, references)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from(NAMES))
def test_laws(seed, pictures, name):
    random = np.random.default_rng(seed)
    judged = find_metric(name).judge(random_answers(seed, pictures))
    times = random.integers(1, 50, (4, pictures))
    lowest, without, some, same = judged.curve(times, [0, np.inf, 25, 25.5])
    np.testing.assert_array_equal(some, same)
    if math.isnan(judged.ideal()):
        assert np.isnan([lowest, without, some]).all()
        return
    assert (lowest == 0).all()
    assert (without == judged.ideal()).all()
    assert ((some >= 0) & (some <= 1)).all()


@pytest.mark.parametrize("reference", [{"boxes": [], "labels": []}, {"boxes": [BOX], "labels": [1], "crowd": [1]}])
def test_without_boxes_to_find_quality_is_no_number(reference):
    judged = find_metric("map").judge(Answers([{"boxes": [BOX], "labels": [1], "scores": [0.5]}], [reference]))
    assert math.isnan(judged.ideal())
    assert np.isnan(judged.curve([[5], [6]], [1, 9])).all()


def test_many_sets_of_pictures_in_several_blocks(monkeypatch):
    random = np.random.default_rng(8)
    answers, times = random_answers(7, 70), random.integers(1, 100, (9, 70))  # more pictures than a number has bits
    expected = [find_metric(name).judge(answers).curve(times, [20, 50, 90]) for name in NAMES]
    monkeypatch.setattr(detection, "MOST_FLAGS", 1)
    monkeypatch.setattr(detection, "BLOCK", 1)
    for name, curve in zip(NAMES, expected, strict=True):
        np.testing.assert_array_equal(find_metric(name).judge(answers).curve(times, [20, 50, 90]), curve)


@pytest.mark.parametrize("name", ["map", "map50", "map75"])
def test_parts_by_area_are_the_metrics_of_these_areas_and_hold_every_box_once(name):
    answers = random_answers(3, 40)
    metric = find_metric(name)
    parts = metric.judge_parts("area", answers)
    assert list(parts) == ["small", "medium", "large"]
    assert sum(part.count for part in parts.values()) == sum(len(reference["labels"]) for reference in answers.references)
    times = np.random.default_rng(4).integers(1, 100, (3, 40))
    for group, part in parts.items():
        alone = replace(metric, areas=AREAS[group]).judge(answers)
        np.testing.assert_array_equal(part.judged.curve(times, [30, 60, np.inf]), alone.curve(times, [30, 60, np.inf]))


@pytest.mark.parametrize("name", NAMES)
def test_parts_by_class_have_the_whole_as_their_mean(name):
    answers = random_answers(5, 40)
    parts = find_metric(name).judge_parts("class", answers)
    assert list(parts) == ["0", "1", "2"]
    times = np.random.default_rng(6).integers(1, 100, (3, 40))
    whole = find_metric(name).judge(answers).curve(times, [30, 60, np.inf])
    of_classes = [part.judged.curve(times, [30, 60, np.inf]) for part in parts.values()]
    np.testing.assert_allclose(np.mean(of_classes, axis=0), whole)


REFERENCE = {"boxes": [[0, 1, 2, 3], [4, 5, 6, 7]], "labels": [3, 9], "areas": [5.5, 40], "crowd": [0, 1]}
PREDICTION = {"boxes": [[0, 1, 2, 3], [4, 5, 6, 7]], "labels": [3, 9], "scores": [0.5, 1]}
EMPTY = {"boxes": [], "labels": []}


def test_pictures_are_laid_one_after_the_other():
    truth = ground_truth([REFERENCE, EMPTY, REFERENCE])
    assert (truth.pictures, truth.picture.tolist(), truth.label.tolist()) == (3, [0, 0, 2, 2], [3, 9, 3, 9])
    columns = truth.boxes.tolist(), truth.areas.tolist(), truth.crowd.tolist()
    assert columns == (REFERENCE["boxes"] * 2, [5.5, 40] * 2, [False, True] * 2)
    nothing = [{}, [], {**EMPTY, "scores": []}, {"boxes": None, "labels": None, "scores": None}]
    found = detections([None, PREDICTION, *nothing, PREDICTION])
    columns = found.picture.tolist(), found.label.tolist(), found.boxes.tolist(), found.scores.tolist()
    assert columns == ([1, 1, 6, 6], [3, 9, 3, 9], PREDICTION["boxes"] * 2, [0.5, 1] * 2)


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
    ("name", "value"),
    [
        ("boxes", [[0, 1, 2, math.nan], [4, 5, 6, 7]]),
        ("boxes", [[0, 1, math.inf, 3], [4, 5, 6, 7]]),
        ("widths and heights", [[0, 1, -2, 3], [4, 5, 6, 7]]),
        ("boxes", [[0, 1, 2, 3]]),
        ("boxes", []),
        ("boxes", [[0, 1, 2], [4, 5, 6]]),
        ("boxes", [["0", "1", "2", "3"], ["4", "5", "6", "7"]]),
        ("boxes", None),
        *(("labels", labels) for labels in ([3.0, 9.0], ["cat", "dog"], [True, False], [None, 9], [[3, 9]], 3)),
        *(("areas", areas) for areas in ([1], [1, -1], [1, math.nan])),
        *(("crowd", crowd) for crowd in ([0], [0, 2], [0, math.nan])),
        *(("scores", scores) for scores in ([1], [1, math.nan], [1, -math.inf], [True, False], [1, None], None)),
    ],
)
def test_what_is_no_box_no_label_and_no_score_is_refused(name, value):
    changed = {"boxes" if name == "widths and heights" else name: value}
    readers = {"scores": [detections], "areas": [ground_truth], "crowd": [ground_truth]}.get(name, [detections, ground_truth])
    for read in readers:
        with refused("invalid") as caught:
            read([EMPTY | {"scores": []}, {**(REFERENCE if read is ground_truth else PREDICTION), **changed}])
        assert caught.value.key.endswith(f" of sample 1: {name}")


@pytest.mark.parametrize(("read", "answer"), [(ground_truth, 7), (detections, [[0, 1, 2, 3]])])
def test_an_answer_that_is_no_mapping_is_refused(read, answer):
    with refused("invalid"):
        read([answer])


IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""COCO's 80 category ids."""


def pictures(called: dict[int, int], moved: float = 0.0) -> Answers:
    random = np.random.default_rng(2)
    references, predictions = [], []
    for _ in range(20):
        classes = random.integers(80, size=4)
        boxes = [[100.0 * place, 0.0, 60.0, 60.0] for place in range(4)]
        references.append({"boxes": boxes, "labels": [IDS[one] for one in classes]})
        found = [[x + moved, y, width, height] for x, y, width, height in boxes]
        predictions.append({"boxes": found, "labels": [called[int(one)] for one in classes], "scores": [0.9] * 4})
    return Answers(predictions=predictions, references=references)


# Category ids are right, and so is a bad detector.
@pytest.mark.parametrize(("called", "moved", "others"), [(range(80), 0.0, True), (IDS, 0.0, False), (IDS, 50.0, False)])
def test_class_numbers_in_place_of_category_ids_are_found(called, moved, others) -> None:
    assert names_other_categories(pictures(dict(enumerate(called)), moved)) == others
