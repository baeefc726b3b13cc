from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**18
"""Pairs of boxes compared in one step: bounds the memory of crowded pictures."""

Pairs: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def overlapping_pairs(
    found: NDArray[np.float64],
    found_group: NDArray[np.int64],
    truth: NDArray[np.float64],
    truth_group: NDArray[np.int64],
    crowd: NDArray[np.bool_],
    least: float,
) -> Pairs:
    """Return the pairs of a detection and a ground-truth box of one group that overlap enough.

    Parameters
    ----------
    found, truth : [D, 4], [G, 4]
        boxes as x, y, width, height.
    found_group, truth_group : [D], [G]
        rising; only boxes of one group are compared.
    crowd : [G]
        ground truth whose overlap is the share of the detection that lies inside it.
    least
        smallest overlap, above 0.

    Returns
    -------
    [P], [P], [P]: indices of detection and ground truth, and their overlap; in order of detection, then ground truth.
    """
    first = np.searchsorted(truth_group, found_group, side="left")
    count = np.searchsorted(truth_group, found_group, side="right") - first
    before = np.cumsum(count) - count
    pairs = []
    for detections in np.split(np.arange(len(found)), np.flatnonzero(np.diff(before // BLOCK)) + 1):
        detection = np.repeat(detections, count[detections])
        box = first[detection] + np.arange(detection.size) - (before[detection] - before[detections[:1]])
        overlap = box_overlap(found[detection], truth[box], crowd[box])
        enough = overlap >= least
        pairs.append((detection[enough], box[enough], overlap[enough]))
    detection, box, overlap = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return detection, box, overlap


def box_overlap(found: NDArray[np.float64], truth: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return intersection over union of each pair of boxes, and intersection over the detection's area for a crowd, [P].

    Boxes that only touch overlap by 0.

    Examples
    --------
    >>> box_overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2]]), np.array([False]))
    array([0.33333333])
    """
    right_bottom = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    sides = np.maximum(right_bottom - np.maximum(found[:, :2], truth[:, :2]), 0)
    area, truth_area, shared = found[:, 2] * found[:, 3], truth[:, 2] * truth[:, 3], sides[:, 0] * sides[:, 1]
    whole = np.where(crowd, area, area + truth_area - shared)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0))
