from __future__ import annotations

import doctest
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import (
    METRICS,
    Answers,
    Judged,
    WholeTaskMetric,
    detection,
    detection_boxes,
    find_metric,
)
from orchestrator.metrics.detection import AREAS, Map, MeanAveragePrecision, match_detections
from orchestrator.metrics.detection_boxes import box_overlap, detections, ground_truth

NAMES = [name for name in METRICS if name.startswith("map")]
BOX, ELSEWHERE = [10, 10, 50, 50], [200, 10, 50, 50]


def answer(*boxes, label=1, score=None):
    found = {"boxes": list(boxes), "labels": [label] * len(boxes)}
    return found if score is None else {**found, "scores": [score] * len(boxes)}


def random_answers(seed, pictures):
    """Boxes of all sizes, each found roughly or not, and as many that are not there."""
    random = np.random.default_rng(seed)
    references, predictions = [], []
    for _ in range(pictures):
        count = int(random.integers(0, 5))
        truth = np.hstack([random.random((count, 2)) * 300, np.exp(random.normal(4, 0.8, (count, 2)))])
        labels = random.integers(0, 3, count)
        near = truth * (1 + random.normal(0, 0.08, (count, 4)))
        found = np.vstack([near, random.random((count, 4)) * 300])
        scores = np.round(random.random(2 * count), 1)
        references.append({"boxes": truth, "labels": labels})
        predictions.append({"boxes": found, "labels": np.tile(labels, 2), "scores": scores})
    return Answers(predictions, references)


@pytest.mark.parametrize("module", [detection, detection_boxes])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_found_by_name(name):
    metric = find_metric(name)
    assert metric.name == name
    assert isinstance(metric, WholeTaskMetric)
    assert isinstance(metric.judge(random_answers(0, 3)), Judged)


def test_there_are_six_of_them():
    assert sorted(NAMES) == ["map", "map50", "map75", "map_large", "map_medium", "map_small"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whole", [True, False])
def test_curve_is_the_quality_of_a_model_that_finds_nothing_in_late_pictures(name, whole):
    random = np.random.default_rng(1)
    answers = random_answers(2, 40)
    times = random.integers(1, 100, (3, 40))
    times = times if whole else np.where(random.random(times.shape) < 0.1, np.inf, times)
    thresholds = [100, 5, 50, 95, np.inf]
    metric = find_metric(name)
    curve = metric.judge(answers).curve(times, thresholds)
    for threshold, of_threshold in zip(thresholds, curve, strict=True):
        for row, quality in zip(times, of_threshold, strict=True):
            on_time = (row <= threshold) & np.isfinite(row)
            found = [prediction if there else None for prediction, there in zip(answers.predictions, on_time, strict=True)]
            assert quality == pytest.approx(metric.judge(Answers(found, answers.references)).ideal(), abs=1e-12)
    assert len(np.unique(curve)) > 3


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


def test_quality_may_fall_when_a_wrong_answer_comes_in_time():
    answers = Answers([answer(BOX, score=0.5), answer(BOX, score=0.9)], [answer(BOX), answer()])
    curve = find_metric("map").judge(answers).curve([[10, 20]], [9, 10, 20])
    assert curve[:, 0] == pytest.approx([0, 1, 0.5])


def test_precision_at_101_recall_points():
    """One of two boxes found: recall 0.5 is reached, points 0 to 0.50 count. A wrong detection before it halves precision."""
    references = [answer(BOX, ELSEWHERE)]
    one = find_metric("map50").judge(Answers([answer(BOX, score=0.5)], references))
    assert one.ideal() == pytest.approx(51 / 101)
    found = {"boxes": [[400, 0, 9, 9], BOX], "labels": [1, 1], "scores": [0.9, 0.5]}
    assert find_metric("map50").judge(Answers([found], references)).ideal() == pytest.approx(51 / 101 / 2)


def test_mean_over_iou_thresholds():
    shifted = [10, 10, 50, 40]  # IoU 0.8 reaches the first seven of ten thresholds
    answers = Answers([answer(shifted, score=1.0)], [answer(BOX)])
    assert [find_metric(name).judge(answers).ideal() for name in ("map", "map50", "map75")] == pytest.approx([0.7, 1, 1])


def test_a_detection_of_a_crowd_is_neither_right_nor_wrong():
    reference = {"boxes": [ELSEWHERE, [0, 0, 100, 100]], "labels": [1, 1], "crowd": [0, 1]}
    found = {"boxes": [BOX, [20, 20, 50, 50], ELSEWHERE], "labels": [1, 1, 1], "scores": [0.9, 0.8, 0.7]}
    assert find_metric("map").judge(Answers([found], [reference])).ideal() == pytest.approx(1)


def test_a_class_without_boxes_to_find_costs_nothing():
    answers = Answers([{"boxes": [BOX, BOX], "labels": [1, 2], "scores": [0.5, 0.9]}], [answer(BOX)])
    assert find_metric("map").judge(answers).ideal() == pytest.approx(1)


@pytest.mark.parametrize("references", [[answer()], [{**answer(BOX), "crowd": [1]}]])
def test_without_boxes_to_find_quality_is_no_number(references):
    judged = find_metric("map").judge(Answers([answer(BOX, score=0.5)], references))
    assert math.isnan(judged.ideal())
    assert np.isnan(judged.curve([[5], [6]], [1, 9])).all()


def test_sizes():
    answers = Answers([answer([0, 0, 10, 10], score=0.5)], [answer([0, 0, 10, 10])])
    found = {name: find_metric(name).judge(answers).ideal() for name in NAMES}
    assert found["map_small"] == pytest.approx(1)
    assert math.isnan(found["map_medium"])
    assert math.isnan(found["map_large"])


def test_an_iou_threshold_of_one():
    box = [0.7, 0.7, 0.1, 0.1]  # rounding keeps its IoU with itself below 1
    assert box_overlap(np.array([box]), np.array([box]), np.array([False]))[0] < 1
    answers = Answers([answer(box, score=0.5)], [answer(box)])
    assert Map("map", (1.0,)).judge(answers).ideal() == pytest.approx(1)


def test_matches():
    reference = {"boxes": [BOX, [0, 0, 100, 100]], "labels": [7, 7], "crowd": [0, 1]}
    prediction = {"boxes": [[20, 20, 50, 50], ELSEWHERE, BOX], "labels": [7, 7, 7], "scores": [0.5, 0.7, 0.9]}
    truth, found = ground_truth([answer(), reference]), detections([None, prediction])
    [one] = match_detections(truth, found, [0.5, 1.0], (0, 1e10))
    assert (one.to_find, one.pictures.tolist(), one.picture.tolist()) == (1, [1], [0])  # the right one is the surest
    [one] = match_detections(truth, replace(found, scores=-found.scores), [0.5, 1.0], (0, 1e10))
    assert one.matched.tolist() == [[True, False, True]] * 2
    assert one.right.tolist() == [[False, False, True]] * 2


def test_a_curve_of_matches():
    classes = match_detections(ground_truth([answer(BOX)]), detections([answer(BOX, score=0.5)]), [0.5, 0.75], (0, 1e10))
    judged = MeanAveragePrecision(1, classes)
    assert judged.curve([[5]], [4, 5]) == pytest.approx(np.array([[0], [1]]))
    assert judged.curve([[5]], []).shape == (0, 1)
    assert judged.curve(np.empty((0, 1)), [4]).shape == (1, 0)


@pytest.mark.parametrize(("times", "thresholds"), [([[0]], [1]), ([[math.nan]], [1]), ([[1]], [math.nan])])
def test_times_and_thresholds_refused(times, thresholds):
    with pytest.raises(InputError):
        find_metric("map").judge(random_answers(0, 1)).curve(times, thresholds)


def test_times_of_other_samples_refused():
    with pytest.raises(ValueError, match="shapes"):
        find_metric("map").judge(random_answers(0, 2)).curve([[1, 2, 3]], [1])


def test_many_pairs_in_several_blocks(monkeypatch):
    answers = random_answers(3, 60)
    expected = [find_metric(name).judge(answers).ideal() for name in NAMES]
    for block in (1, 7):
        monkeypatch.setattr(detection_boxes, "BLOCK", block)
        assert [find_metric(name).judge(answers).ideal() for name in NAMES] == expected


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


def test_a_class_that_only_a_detector_names_is_no_part():
    answers = Answers([answer(BOX, label=7, score=0.9)], [answer(BOX, label=1)])
    assert list(find_metric("map").judge_parts("class", answers)) == ["1"]
    assert find_metric("map_small").judge_parts("class", answers) == {}
    assert list(find_metric("map").judge_parts("area", answers)) == ["medium"]
