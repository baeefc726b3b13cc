"""COCO's six figures of detection: mean average precision when pictures that come late have no detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.detection_boxes import Detections, GroundTruth, detections, ground_truth, overlapping_pairs
from orchestrator.metrics.detection_matching import Matches, match_detections
from orchestrator.metrics.detection_precision import MeanAveragePrecision
from orchestrator.metrics.interface import Answers, Part
from orchestrator.stats.tail_quality import check_curve, comparable_bounds
from orchestrator.stats.times import checked_times

MOST_FLAGS = 2**24
"""Whether a picture is on time, by round and threshold, in memory at once: 16 MiB."""
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)

ALL_AREAS = (0.0, 1e5**2)
SMALL, MEDIUM, LARGE = (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e5**2)
"""Ranges of area in square pixels, both ends included."""
AREAS = {"small": SMALL, "medium": MEDIUM, "large": LARGE}
BY_AREA, BY_CLASS = "area", "class"


def mean_average_precision_curve(precision: MeanAveragePrecision, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return mean average precision of every threshold and round.

    AP of one class and IoU threshold = (1/101) sum over r in {0, 0.01, ..., 1} of the best precision at recall r or above, 0
    where no recall is that high; the mean is over classes with boxes to find, and over IoU thresholds. Lin et al., "Microsoft
    COCO: Common Objects in Context", arXiv 1405.0312; equal to pycocotools' COCOeval. A late picture has no detections and its
    ground truth stays, so quality may fall when a threshold rises and wrong detections come in time. Matching within a picture
    depends on no other picture, hence on no threshold: `match_detections` does it once.

    Parameters
    ----------
    precision
        of detections of S pictures, matched with ground truth.
    times : [R, S]
        times in ns, +inf for a picture whose outcome was not ``ok``.
    thresholds : [M]
        time bounds in ns, in any order; +inf is allowed.

    Returns
    -------
    [M, R] mean average precision; NaN throughout where there are no boxes to find.

    Raises
    ------
    InputError
        if a time is NaN or not positive, or a threshold is NaN.

    Examples
    --------
    >>> from orchestrator.metrics.detection_boxes import detections, ground_truth
    >>> box = {"boxes": [[10, 10, 50, 50]], "labels": [1]}
    >>> matches = match_detections(ground_truth([box, box]), detections([{**box, "scores": [0.8]}] * 2), [0.5], ALL_AREAS)
    >>> mean_average_precision_curve(MeanAveragePrecision(matches), [[10, 20], [20, 99]], [9, 10, 20]).round(3)
    array([[0.   , 0.   ],
           [0.505, 0.   ],
           [1.   , 0.505]])
    """
    time, bound = checked_times(times), np.asarray(thresholds)
    check_curve(np.zeros(precision.pictures), time, bound)
    order = np.argsort(bound, kind="stable")
    ordered = comparable_bounds(bound[order], time)
    curve = np.empty((bound.size, len(time)))
    step = max(1, MOST_FLAGS // max(1, bound.size * precision.pictures))
    for start in range(0, len(time), step):
        some = time[start : start + step]
        on_time = some <= ordered[:, np.newaxis, np.newaxis]
        curve[order, start : start + step] = precision.of(on_time.reshape(-1, precision.pictures)).reshape(bound.size, len(some))
    return curve


@dataclass(frozen=True)
class JudgedDetections:
    """Detections matched with ground truth."""

    matches: Matches

    @cached_property
    def _precision(self) -> MeanAveragePrecision:
        return MeanAveragePrecision(self.matches)

    def ideal(self) -> float:
        """Return mean average precision without a threshold; NaN where there are no boxes to find."""
        return float(self._precision.of(np.ones((1, self.matches.pictures), dtype=bool))[0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return `mean_average_precision_curve`, [M, R], of times [R, S] in ns (+inf: none) at time bounds [M] in ns."""
        return mean_average_precision_curve(self._precision, times, thresholds)


def judge_detections(
    answers: Answers, iou_thresholds: NDArray[np.float64] = IOU_THRESHOLDS, areas: tuple[float, float] = ALL_AREAS
) -> JudgedDetections:
    """Match predictions with references, whose forms are those of `detection_boxes.detections` and `detection_boxes.ground_truth`.

    Raises
    ------
    InputError
        if an answer is not of that form, or there are none.
    """
    return JudgedDetections(match_detections(ground_truth(answers.references), detections(answers.predictions), iou_thresholds, areas))


FEWEST = 10
"""Fewest boxes for a statement."""
FITS = 0.5
"""IoU from which on a box is taken to be of the object."""
HARDLY_ANY = 0.05


def names_other_categories(answers: Answers, kind: str) -> bool:
    """Return whether boxes fit their objects, but hardly any has the category that its reference gives.

    It is so if a model answers with its class numbers, 0 to 79, in place of COCO's category ids, 1 to 90 with gaps: most of its numbers are
    ids too, of other categories. For each object the category of the surest detection that fits it counts. If too few fit, categories that
    hardly ever occur in any reference show the same.

    Parameters
    ----------
    answers
        in the forms of `detection_boxes.detections` and `detection_boxes.ground_truth`.
    kind
        of the task; other kinds have no boxes.

    Raises
    ------
    InputError
        if an answer is not of that form, or there are none.

    Examples
    --------
    >>> boxes = [[x, 0, 9, 9] for x in range(0, 100, 10)]
    >>> right = {"boxes": boxes, "labels": [1, 2] * 5}
    >>> found = {"boxes": boxes, "labels": [0, 1] * 5, "scores": [0.9] * 10}
    >>> names_other_categories(Answers(predictions=[found], references=[right]), "object_detection")
    True
    """
    if kind != "object_detection":
        return False
    truth, found = ground_truth(answers.references), detections(answers.predictions)
    if not truth.label.size or not found.label.size:
        return False
    same = _called_the_same(truth, found)
    if same.size >= FEWEST:
        return bool(same.mean() < HARDLY_ANY)
    known = np.isin(found.label, truth.label)
    return bool(known.size >= FEWEST and known.mean() < HARDLY_ANY)


def _called_the_same(truth: GroundTruth, found: Detections) -> NDArray[np.bool_]:
    """Return for every object that a detection fits whether the surest such detection has its category."""
    detection, box, _ = overlapping_pairs(found.boxes, found.picture, truth.boxes, truth.picture, truth.crowd, FITS)
    order = np.lexsort((-found.scores[detection], box))
    detection, box = detection[order], box[order]
    _, surest = np.unique(box, return_index=True)
    return np.asarray(found.label[detection[surest]] == truth.label[box[surest]])


class Map:
    """COCO's mean average precision (AP): the mean over IoU thresholds 0.50, 0.55, ..., 0.95.

    Boxes are told apart by the ``area`` of their object, in COCO's ranges, and by ``class``, each category's id.
    """

    name = "map"
    iou_thresholds = IOU_THRESHOLDS
    areas = ALL_AREAS
    parts: Sequence[str] = (BY_AREA, BY_CLASS)

    def judge(self, answers: Answers) -> JudgedDetections:
        """Match predictions with references. Raises InputError as `detection.judge_detections` does."""
        return judge_detections(answers, iou_thresholds=self.iou_thresholds, areas=self.areas)

    def judge_parts(self, name: str, answers: Answers) -> Mapping[str, Part]:
        """Return the boxes of each range of area that has any, or of each category. Raises InputError as `judge` does."""
        truth, found = ground_truth(answers.references), detections(answers.predictions)
        if name == BY_AREA:
            parts = {group: self._part(truth, found, areas) for group, areas in AREAS.items()}
        else:
            labels = sorted({int(label) for label in truth.label[~truth.crowd]})
            parts = {str(label): self._part(*boxes_of(label, truth, found), self.areas) for label in labels}
        return {group: part for group, part in parts.items() if part.count}

    def _part(self, truth: GroundTruth, found: Detections, areas: tuple[float, float]) -> Part:
        matches = match_detections(truth, found, self.iou_thresholds, areas)
        return Part(JudgedDetections(matches), int(matches.to_find.sum()))


def boxes_of(label: int, truth: GroundTruth, found: Detections) -> tuple[GroundTruth, Detections]:
    """Return the boxes of one category, right ones and found ones."""
    right, claimed = truth.label == label, found.label == label
    return (
        replace(
            truth,
            picture=truth.picture[right],
            label=truth.label[right],
            boxes=truth.boxes[right],
            areas=truth.areas[right],
            crowd=truth.crowd[right],
        ),
        Detections(found.picture[claimed], found.label[claimed], found.boxes[claimed], found.scores[claimed]),
    )


class Map50(Map):
    """COCO's mean average precision at an IoU threshold of 0.50 (AP50)."""

    name = "map50"
    iou_thresholds = IOU_THRESHOLDS[:1]


class Map75(Map):
    """COCO's mean average precision at an IoU threshold of 0.75 (AP75)."""

    name = "map75"
    iou_thresholds = IOU_THRESHOLDS[5:6]


class MapSmall(Map):
    """COCO's mean average precision of small objects, up to 32 x 32 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_small"
    areas = SMALL
    parts = (BY_CLASS,)


class MapMedium(Map):
    """COCO's mean average precision of medium objects, 32 x 32 to 96 x 96 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_medium"
    areas = MEDIUM
    parts = (BY_CLASS,)


class MapLarge(Map):
    """COCO's mean average precision of large objects, from 96 x 96 pixels: the mean over IoU thresholds 0.50 to 0.95."""

    name = "map_large"
    areas = LARGE
    parts = (BY_CLASS,)
