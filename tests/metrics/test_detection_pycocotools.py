"""Every figure beside COCOeval, which is given the detections of the pictures on time and no others."""

import contextlib
import io
import itertools

import numpy as np
import pytest
from detections import random_task
from effort import EFFORT
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from orchestrator.metrics import Answers, find_metric
from orchestrator.metrics.detection_boxes import box_overlap

NAMES = ("map", "map50", "map75", "map_small", "map_medium", "map_large")


def dataset(pictures, annotations):
    coco = COCO()
    labels = sorted({annotation["category_id"] for annotation in annotations})
    coco.dataset = {
        "images": [{"id": picture} for picture in range(pictures)],
        "annotations": annotations,
        "categories": [{"id": label} for label in labels],
    }
    coco.createIndex()
    return coco


def coco_eval(references, predictions, on_time):
    """AP, AP50, AP75, and AP of small, medium and large objects."""
    ids = itertools.count(1)
    truth = [
        {"id": next(ids), "image_id": picture, "category_id": label, "bbox": box, "area": area, "iscrowd": crowd}
        for picture, reference in enumerate(references)
        for box, label, area, crowd in zip(
            reference["boxes"],
            reference["labels"],
            reference.get("areas") or [width * height for _, _, width, height in reference["boxes"]],
            reference.get("crowd") or [0] * len(reference["boxes"]),
            strict=True,
        )
    ]
    found = [
        {"image_id": picture, "category_id": label, "bbox": box, "score": score}
        for picture, prediction in enumerate(predictions)
        if prediction and on_time[picture]
        for box, label, score in zip(prediction["boxes"], prediction["labels"], prediction["scores"], strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = dataset(len(references), truth)
        evaluation = COCOeval(coco, coco.loadRes(found) if found else dataset(len(references), []), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:6]


def assert_equal_to_coco_eval(references, predictions, times, thresholds):
    curves = np.array([find_metric(name).judge(Answers(predictions, references)).curve(times, thresholds) for name in NAMES])
    assert curves.shape == (6, len(thresholds), len(times))
    for (m, threshold), (r, row) in itertools.product(enumerate(thresholds), enumerate(np.asarray(times))):
        expected = coco_eval(references, predictions, (row <= threshold) & np.isfinite(row))
        expected[expected == -1] = np.nan  # undefined
        np.testing.assert_allclose(curves[:, m, r], expected, rtol=0, atol=1e-9)
    return curves


CASES = {
    "plain": {},
    "ties": {"steps": 3},
    "all scores equal": {"steps": 1},
    "crowds": {"crowds": 0.4},
    "areas": {"with_areas": True},
    "all at once": {"crowds": 0.3, "with_areas": True, "steps": 4},
    "few boxes to find": {"boxes": 2, "classes": 8, "pictures": 20, "found": 5},
    "many of one class": {"classes": 1, "boxes": 25, "found": 150, "steps": 40, "crowds": 0.1, "pictures": 6},
    "many recall points": {"classes": 2, "boxes": 20, "pictures": 20, "found": 5},
}


@pytest.mark.parametrize(("seed", "case"), list(enumerate(CASES)), ids=list(CASES))
def test_random_cases_at_every_threshold_and_round(seed, case):
    references, predictions = random_task(seed, **CASES[case])
    random = np.random.default_rng(100 + seed)
    times = np.where(random.random((2, len(references))) < 0.1, np.inf, random.integers(1, 100, (2, len(references))))
    curves = assert_equal_to_coco_eval(references, predictions, times, [0, 30, 75, np.inf])
    assert (curves[:2, 0] == 0).all()
    assert (curves[:2, 3] > 0.02).all(), "a case where nothing is found tests nothing"


def test_only_the_first_hundred_detections_of_a_picture_and_class_exist():
    box, other = [10.0, 10.0, 50.0, 50.0], [300.0, 300.0, 50.0, 50.0]
    reference = {"boxes": [box, box], "labels": [1, 2]}
    prediction = {"boxes": [other] * 100 + [box, box], "labels": [1] * 101 + [2], "scores": [0.5] * 100 + [0.5, 0.1]}
    assert_equal_to_coco_eval([reference], [prediction], [[1]], [1])
    prediction["scores"][100] = 0.6
    assert_equal_to_coco_eval([reference], [prediction], [[1]], [1])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_boxes_that_overlap_equally_the_last_is_taken(order):
    """The first detection lies halfway between two boxes; the second finds one of them, if that is still free."""
    truth = [[0.0, 0.0, 40.0, 10.0], [20.0, 0.0, 40.0, 10.0]]
    reference = {"boxes": [truth[index] for index in order], "labels": [1, 1]}
    prediction = {"boxes": [[10.0, 0.0, 40.0, 10.0], truth[0]], "labels": [1, 1], "scores": [0.9, 0.8]}
    curves = assert_equal_to_coco_eval([reference], [prediction], [[1]], [1])
    assert curves[1, 0, 0] == pytest.approx(1 if order == [0, 1] else 51 / 101)


@pytest.mark.parametrize("side", [32.0, 96.0])
def test_a_wrong_detection_on_the_bound_of_two_area_ranges_counts_in_both(side):
    small, medium, large = [0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 50.0, 50.0], [0.0, 0.0, 120.0, 120.0]
    reference = {"boxes": [small, medium, large], "labels": [1, 1, 1]}
    prediction = {"boxes": [[400.0, 0.0, side, side], small, medium, large], "labels": [1] * 4, "scores": [0.9, 0.8, 0.7, 0.6]}
    curves = assert_equal_to_coco_eval([reference], [prediction], [[1]], [1])
    assert curves[3:, 0, 0] == pytest.approx([0.5, 0.5, 1] if side == 32 else [1, 0.5, 0.5])


# Sizes that fall on both bounds of the area ranges (32 and 96 pixels), and places on a grid so that overlaps are often equal.
boxes = st.tuples(
    st.sampled_from([0, 16, 32]), st.sampled_from([0, 16, 32]), st.sampled_from([0, 16, 32, 48, 96]), st.sampled_from([16, 32, 64, 96])
).map(lambda box: [float(number) for number in box])
labels = st.integers(0, 2)


@st.composite
def pictures(draw):
    truth = draw(st.lists(st.tuples(boxes, labels, st.integers(0, 1), st.sampled_from([256.0, 1024.0, 9216.0, 1e10, 2e10])), max_size=4))
    found = draw(st.lists(st.tuples(boxes, labels, st.sampled_from([0.25, 0.5, 0.75])), max_size=5))
    reference = {name: [row[index] for row in truth] for index, name in enumerate(("boxes", "labels", "crowd", "areas"))}
    if draw(st.booleans()):
        del reference["areas"]
    prediction = {name: [row[index] for row in found] for index, name in enumerate(("boxes", "labels", "scores"))}
    return reference, prediction if draw(st.integers(0, 5)) else None, draw(st.integers(1, 3))


@settings(max_examples=15 * EFFORT)
@given(st.lists(pictures(), min_size=1, max_size=4))
def test_small_cases(task):
    references, predictions, times = zip(*task, strict=True)
    assert_equal_to_coco_eval(references, predictions, [times], [1, 3])


def test_overlap_of_boxes():
    random = np.random.default_rng(0)
    found, truth = random.random((2, 200, 4)) * [100, 100, 60, 60]
    truth[:50] = found[:50]
    truth[50:60, 2] = 0
    truth[60:70, 0] = found[60:70, 0] + found[60:70, 2]
    crowd = random.random(200) < 0.3
    expected = np.array([mask.iou(found[[i]], truth[[i]], crowd[[i]].astype(np.uint8))[0, 0] for i in range(200)])
    assert np.count_nonzero(expected) > 60
    np.testing.assert_array_equal(box_overlap(found, truth, crowd), expected)
