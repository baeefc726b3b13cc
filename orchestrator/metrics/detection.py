"""COCO's figures of detection: mean average precision when late pictures have no detections.

Lin et al., "Microsoft COCO: Common Objects in Context", arXiv 1405.0312; equal to pycocotools'
COCOeval. Matching within a picture depends on no other picture, hence on no threshold, and is done
once (``evaluateImg``); precision is found for many sets of pictures on time (``accumulate``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.detection_boxes import (
    Boxes,
    Flags,
    Floats,
    Ints,
    detections,
    ground_truth,
    overlapping_pairs,
)
from orchestrator.metrics.interface import Answers, Judged, Part
from orchestrator.stats.tail_quality import check_curve, comparable_bounds
from orchestrator.stats.times import checked_times

MOST_FLAGS = 2**24  # whether a picture is on time, by round and threshold, at once: 16 MiB
BLOCK = 2**16  # detections looked at in one step, over sets of pictures: they stay in the cache
MAX_DETECTIONS = 100  # per picture and class; those of lower score are dropped
ALMOST_ONE = 1 - 1e-10  # for an IoU threshold of 1: rounding keeps equal boxes below 1
IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10))
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
AREAS = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}


@dataclass(frozen=True)
class OfClass:
    """The D detections of one class that count, matched with ground truth at T IoU thresholds.

    They fall in score, and end with the last one that is right at any threshold. Boxes ``to_find``,
    at least 1, are neither crowds nor outside the area range; ``pictures``, [P], are those with
    detections, rising, and ``picture``, [D], is the place of each one's among them. One ``inside``,
    [D], has an area in the range; unmatched ones outside do not count. At each threshold, [T, D],
    it was ``matched``, and is ``right`` if with a box to find; else a matched one does not count.
    """

    to_find: int
    pictures: Ints
    picture: Ints
    inside: Flags
    matched: Flags
    right: Flags

    def precision(self, on_time: Flags) -> Floats:
        """Return the sum of precision over recall points and thresholds, [N], of sets [N, P]."""
        # How many recall points are first reached with the n-th right detection.
        first = np.searchsorted(np.arange(1, self.to_find + 1) / self.to_find, RECALL_POINTS)
        weights = np.bincount(first, minlength=self.to_find).astype(np.float64)
        total = np.zeros(len(on_time))
        step = max(1, BLOCK // max(1, self.picture.size))
        for start in range(0, len(on_time), step):
            there = on_time[start : start + step].take(self.picture, axis=1)
            inside = np.cumsum(there & self.inside, axis=1, dtype=np.int32)
            sets, points = [], []
            for run, (matched, right) in enumerate(zip(self.matched, self.right, strict=True)):
                # Precision peaks only where a right detection has just been counted.
                at = np.flatnonzero(matched)
                counted = there.take(at, axis=1)
                hits = counted & right[at]
                count = np.cumsum(hits, axis=1, dtype=np.int32)
                wrong = inside.take(at, axis=1) - np.cumsum(counted & self.inside[at], axis=1)
                precision = np.where(hits, count / np.maximum(count + wrong, 1), 0.0)
                # Less its run, and that again: campaigns of before were rounded in this way.
                best = np.maximum.accumulate((precision - run)[:, ::-1], axis=1)[:, ::-1] + run
                sets.append(np.nonzero(hits)[0])
                points.append(weights[count[hits] - 1] * best[hits])
            # In turn, so that equal qualities of different sets of pictures are equal numbers.
            total[start : start + step] = np.bincount(
                np.concatenate(sets), np.concatenate(points), len(there)
            )
        return total


def match_detections(
    truth: Boxes,
    found: Boxes,
    iou_thresholds: ArrayLike,
    area_range: tuple[float, float],
) -> list[OfClass]:
    """Match the detections of every picture with its ground truth, by class with boxes to find.

    By falling score each takes the free box of largest IoU at or above the threshold, the last of
    equal ones; boxes to find come before ignored ones; a crowd stays free.
    """
    low, high = area_range
    not_to_find = truth.crowd | (truth.areas < low) | (truth.areas > high)
    labels, to_find = np.unique(truth.label[~not_to_find], return_counts=True)

    def grouped(boxes: Boxes, key: NDArray[np.generic]) -> tuple[Ints, Ints]:
        """Return boxes of the classes in order of picture, class and ``key``; and their groups."""
        known, of_class = np.isin(boxes.label, labels), np.searchsorted(labels, boxes.label)
        group = np.where(known, boxes.picture * labels.size + of_class, -1)
        order = np.lexsort((key, group))[np.count_nonzero(~known) :]
        return order, group[order]

    truth_order, truth_group = grouped(truth, not_to_find)
    not_to_find, crowd = not_to_find[truth_order], truth.crowd[truth_order]
    order, group = grouped(found, -found.scores)
    counted = np.arange(order.size) - np.searchsorted(group, group) < MAX_DETECTIONS
    order, group = order[counted], group[counted]

    bounds = np.minimum(np.asarray(iou_thresholds, dtype=np.float64), ALMOST_ONE)
    detection, box, iou = overlapping_pairs(
        found.boxes[order], group, truth.boxes[truth_order], truth_group, crowd, bounds.min()
    )
    by_preference = np.lexsort((-box, -iou, not_to_find[box], detection))
    detection, box, iou = detection[by_preference], box[by_preference], iou[by_preference]
    overlaps = iou[:, None] >= bounds

    # Groups know nothing of each other: a step of the loop does the next pair of every group.
    match = np.full((order.size, bounds.size), -1)
    taken = np.zeros((crowd.size, bounds.size), dtype=bool)
    _, start, length = np.unique(group[detection], return_index=True, return_counts=True)
    longest_first = np.argsort(-length, kind="stable")
    start, length = start[longest_first], length[longest_first]
    for turn in range(int(length.max(initial=0))):
        pair = start[: np.count_nonzero(length > turn)] + turn
        by, target = detection[pair], box[pair]
        takes = overlaps[pair] & (match[by] < 0) & (crowd[target, None] | ~taken[target])
        match[by] = np.where(takes, target[:, None], match[by])
        taken[target] |= takes

    class_index = group % labels.size
    by_class = np.lexsort((-found.scores[order], class_index))
    match, order = match[by_class].T, order[by_class]
    inside = (found.areas[order] >= low) & (found.areas[order] <= high)
    right = np.append(~not_to_find, False)[match]  # the last entry is for no match, -1
    stops = np.cumsum(np.bincount(class_index, minlength=labels.size))
    counts = inside | (match >= 0).any(axis=0)
    classes = []
    for boxes, begin, stop in zip(to_find, [0, *stops], stops, strict=False):
        last = np.flatnonzero(right[:, begin:stop].any(axis=0)).max(initial=-1)
        own = begin + np.flatnonzero(counts[begin : begin + last + 1])
        pictures, picture = np.unique(found.picture[order[own]], return_inverse=True)
        columns = inside[own], match[:, own] >= 0, right[:, own]
        classes.append(OfClass(int(boxes), pictures, picture, *columns))
    return classes


@dataclass(frozen=True)
class MeanAveragePrecision:
    """Mean over classes and IoU thresholds of the average precision of the pictures on time.

    Of one class and threshold it is (1/101) sum over r in {0, 0.01, ..., 1} of the best precision
    at recall r or above, 0 where no recall is that high. A late picture has no detections and its
    ground truth stays, so quality may fall when wrong detections come in time.

    Rounds and thresholds have few sets of pictures on time in common for all classes, but many for
    each: every class looks at each of its sets once.

    Examples
    --------
    >>> box = {"boxes": [[10, 10, 50, 50]], "labels": [1]}
    >>> judged = Map50().judge(Answers([{**box, "scores": [0.8]}] * 2, [box, box]))
    >>> judged.curve([[10, 20], [20, 99]], [9, 10, 20]).round(3)
    array([[0.   , 0.   ],
           [0.505, 0.   ],
           [1.   , 0.505]])
    """

    pictures: int
    classes: Sequence[OfClass]

    def of(self, on_time: Flags) -> Floats:
        """Return it for sets of pictures on time, [N, S]; NaN where there is nothing to find."""
        sets, which = distinct(on_time)
        total = np.full(len(sets), 0.0 if self.classes else np.nan)
        for one in self.classes:
            own, which_own = distinct(sets[:, one.pictures])
            total += one.precision(own)[which_own]
        points = sum(len(one.right) for one in self.classes) * RECALL_POINTS.size
        return np.asarray(total[which] / max(1, points))

    def ideal(self) -> float:
        return float(self.of(np.ones((1, self.pictures), dtype=bool))[0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> Floats:
        time, bound = checked_times(times), np.asarray(thresholds)
        check_curve(np.zeros(self.pictures), time, bound)
        bounds = comparable_bounds(bound, time)[:, np.newaxis, np.newaxis]
        step = max(1, MOST_FLAGS // max(1, bound.size * self.pictures))
        curve = np.empty((bound.size, len(time)))
        for start in range(0, len(time), step):
            on_time = time[start : start + step] <= bounds
            found = self.of(on_time.reshape(-1, self.pictures)).reshape(on_time.shape[:2])
            curve[:, start : start + step] = found
        return curve


def distinct(sets: Flags) -> tuple[Flags, NDArray[np.intp]]:
    """Return the different rows of [N, P], and which of them each row is, [N].

    Examples
    --------
    >>> distinct(np.array([[True, False], [False, False], [True, False]]))[1]
    array([1, 0, 1])
    """
    if not sets.size:
        return sets[:1], np.zeros(len(sets), dtype=np.intp)
    packed = np.packbits(sets, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return sets[first], which.ravel()


@dataclass(frozen=True)
class Map:
    """COCO's mean average precision, of all objects or of those in a range of ``areas``.

    Areas are in square pixels, both ends included.

    Boxes are told apart by the ``area`` of their object, in COCO's ranges, and by ``class``, each
    category's id.
    """

    name: str = "map"
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS
    areas: tuple[float, float] = (0.0, 1e5**2)
    parts: Sequence[str] = ("area", "class")

    def judge(self, answers: Answers) -> Judged:
        truth, found = ground_truth(answers.references), detections(answers.predictions)
        return self._part(truth, found, self.areas).judged

    def judge_choices(self, answers: Answers, samples: Ints) -> Judged:
        rules, found = (self.iou_thresholds, self.areas), detections(answers.predictions)
        classes = match_detections(ground_truth(answers.references), found, *rules)
        firsts = np.unique(samples, return_index=True)[1].tolist()
        once = ground_truth(answers.references[first] for first in firsts)
        of_once = match_detections(once, detections([None] * len(firsts)), *rules)
        pairs = zip(classes, of_once, strict=True)
        of_one = [replace(one, to_find=alone.to_find) for one, alone in pairs]
        return MeanAveragePrecision(len(samples), of_one)

    def judge_parts(self, name: str, answers: Answers) -> Mapping[str, Part]:
        truth, found = ground_truth(answers.references), detections(answers.predictions)
        if name == "area":
            parts = {group: self._part(truth, found, areas) for group, areas in AREAS.items()}
        else:
            parts = {
                str(label): self._part(_of_class(truth, label), _of_class(found, label), self.areas)
                for label in np.unique(truth.label[~truth.crowd]).tolist()
            }
        return {group: part for group, part in parts.items() if part.count}

    def _part(self, truth: Boxes, found: Boxes, areas: tuple[float, float]) -> Part:
        classes = match_detections(truth, found, self.iou_thresholds, areas)
        return Part(
            MeanAveragePrecision(truth.pictures, classes), sum(one.to_find for one in classes)
        )


def _of_class(boxes: Boxes, label: int) -> Boxes:
    own, columns = boxes.label == label, vars(boxes).items()
    return replace(boxes, **{name: of[own] for name, of in columns if isinstance(of, np.ndarray)})


Map50 = partial(Map, "map50", IOU_THRESHOLDS[:1])
Map75 = partial(Map, "map75", IOU_THRESHOLDS[5:6])
MapSmall, MapMedium, MapLarge = (
    partial(Map, f"map_{size}", areas=areas, parts=("class",)) for size, areas in AREAS.items()
)

FITS, FEWEST, HARDLY_ANY = 0.5, 10, 0.05  # IoU with an object, boxes for a statement, share of them


def names_other_categories(answers: Answers) -> bool:
    """Return whether boxes fit their objects, but hardly any has its reference's category.

    It is so if a model answers with its class numbers, 0 to 79, in place of COCO's category ids, 1
    to 90 with gaps. For each object the category of the surest detection that fits it counts. If
    too few fit, categories that hardly ever occur in any reference show the same. Raises InputError
    for answers of another form.

    Examples
    --------
    >>> boxes = [[x, 0, 9, 9] for x in range(0, 100, 10)]
    >>> right = {"boxes": boxes, "labels": [1, 2] * 5}
    >>> found = {"boxes": boxes, "labels": [0, 1] * 5, "scores": [0.9] * 10}
    >>> names_other_categories(Answers([found], [right]))
    True
    """
    truth, found = ground_truth(answers.references), detections(answers.predictions)
    if not truth.label.size or not found.label.size:
        return False
    detection, box, _ = overlapping_pairs(
        found.boxes, found.picture, truth.boxes, truth.picture, truth.crowd, FITS
    )
    order = np.lexsort((-found.scores[detection], box))
    fitting, surest = np.unique(box[order], return_index=True)
    same = found.label[detection[order][surest]] == truth.label[fitting]
    if same.size < FEWEST:
        same = np.isin(found.label, truth.label)
    return bool(same.size >= FEWEST and same.mean() < HARDLY_ANY)
