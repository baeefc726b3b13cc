"""Which detections hit which ground truth: what COCOeval's ``evaluateImg`` does, for all pictures and classes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.detection_boxes import Detections, GroundTruth, overlapping_pairs

MAX_DETECTIONS = 100
"""Per picture and class; those of lower score are dropped."""
ALMOST_ONE = 1 - 1e-10
"""An IoU threshold of 1 is lowered to this, as rounding keeps equal boxes below 1."""


@dataclass(frozen=True)
class Matches:
    """Detections matched with ground truth, for C classes and T IoU thresholds. Nothing here depends on times.

    Classes without a box to find are left out, with all their D detections. A box to find is neither a crowd nor outside the
    area range. Detections are in order of class, falling score, picture, and place in the prediction.

    pictures
        how many there are, with and without boxes.
    to_find : [C]
        boxes to find of each class, at least 1.
    picture, class_index : [D]
        where each detection was made, and which of the C classes it claims.
    inside : [D]
        whether its own area is in the area range; an unmatched detection outside is neither right nor wrong.
    matched, ignored : [T, D]
        whether it was matched, and whether with ground truth that is not to be found: then it is neither right nor wrong.
    """

    pictures: int
    to_find: NDArray[np.int64]
    picture: NDArray[np.int64]
    class_index: NDArray[np.int64]
    inside: NDArray[np.bool_]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def match_detections(truth: GroundTruth, found: Detections, iou_thresholds: ArrayLike, area_range: tuple[float, float]) -> Matches:
    """Match the detections of every picture and class with its ground truth.

    Lin et al., "Microsoft COCO: Common Objects in Context", arXiv 1405.0312, as the reference implementation (COCOeval of
    pycocotools) does it: detections by falling score, each takes the free box of largest IoU at or above the threshold, the last
    of equal ones; boxes to find come before ignored ones; a crowd stays free and its IoU is the share of the detection inside it.

    Parameters
    ----------
    truth, found
        boxes of the same pictures.
    iou_thresholds : [T]
        each above 0.
    area_range
        smallest and largest area in square pixels that counts, both included.

    Returns
    -------
    Matches of the T thresholds.
    """
    low, high = area_range
    not_to_find = truth.crowd | (truth.areas < low) | (truth.areas > high)
    labels, to_find = np.unique(truth.label[~not_to_find], return_counts=True)

    # A group is one picture and class; within it ground truth has the boxes to find first, detections fall in score.
    truth_group = _group(truth.picture, truth.label, labels)
    truth_order = np.lexsort((not_to_find, truth_group))[np.count_nonzero(truth_group < 0) :]
    truth_group, not_to_find = truth_group[truth_order], not_to_find[truth_order]
    crowd = truth.crowd[truth_order]

    group = _group(found.picture, found.label, labels)
    order = np.lexsort((-found.scores, group))[np.count_nonzero(group < 0) :]
    rank = np.arange(order.size) - np.searchsorted(group[order], group[order])
    order = order[rank < MAX_DETECTIONS]
    group = group[order]

    bounds = np.minimum(np.asarray(iou_thresholds, dtype=np.float64), ALMOST_ONE)
    detection, box, iou = overlapping_pairs(found.boxes[order], group, truth.boxes[truth_order], truth_group, crowd, bounds.min())
    by_preference = np.lexsort((-box, -iou, not_to_find[box], detection))
    detection, box, iou = detection[by_preference], box[by_preference], iou[by_preference]
    match = _take_in_turn(detection, box, iou[:, None] >= bounds, group[detection], crowd, order.size)

    class_index, scores = group % labels.size, found.scores[order]
    by_class = np.lexsort((-scores, class_index))
    match, order = match[by_class].T, order[by_class]
    areas = found.boxes[order, 2] * found.boxes[order, 3]
    return Matches(
        pictures=truth.pictures,
        to_find=to_find,
        picture=found.picture[order],
        class_index=class_index[by_class],
        inside=(areas >= low) & (areas <= high),
        matched=match >= 0,
        ignored=np.append(not_to_find, False)[match],  # the last entry is for no match, -1
    )


def _group(picture: NDArray[np.int64], label: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number per picture and class, -1 for a label that is not among the classes."""
    return np.where(np.isin(label, labels), picture * labels.size + np.searchsorted(labels, label), -1)


def _take_in_turn(
    detection: NDArray[np.int64],
    box: NDArray[np.int64],
    overlaps: NDArray[np.bool_],
    group: NDArray[np.int64],
    crowd: NDArray[np.bool_],
    detections: int,
) -> NDArray[np.int64]:
    """Return the box that each detection takes, [D, T], or -1.

    Pairs of a group come in turn: detections by falling score, each with its boxes by preference. Groups know nothing of each
    other, so one step of the loop does the next pair of every group, at every threshold.
    """
    match = np.full((detections, overlaps.shape[1]), -1)
    taken = np.zeros((crowd.size, overlaps.shape[1]), dtype=bool)
    _, start, length = np.unique(group, return_index=True, return_counts=True)
    longest_first = np.argsort(-length, kind="stable")
    start, length = start[longest_first], length[longest_first]
    for turn in range(int(length.max(initial=0))):
        pair = start[: np.count_nonzero(length > turn)] + turn
        by, target = detection[pair], box[pair]
        takes = overlaps[pair] & (match[by] < 0) & (crowd[target, None] | ~taken[target])
        match[by] = np.where(takes, target[:, None], match[by])
        taken[target] |= takes
    return match
