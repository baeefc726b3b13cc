"""Boxes around objects: what all detectors and their tasks share. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

METRICS = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
"""Metrics of every task of the kind object_detection, the primary one first."""
MOST_FOUND = 100
"""Boxes kept per picture, as in COCO's evaluation."""

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Size: TypeAlias = tuple[int, int]
"""Width and height of a picture in pixels."""


def objects_group(count: int) -> str:
    """Return the group of pictures with so many objects: ``none``, ``1-4`` or ``5+``."""
    return "none" if count == 0 else "1-4" if count < 5 else "5+"


def intersection_over_union(box: Array, others: Array) -> Array:
    """Return how far one box overlaps others, 0 to 1.

    Parameters
    ----------
    box, others
        left, top, right, bottom in any unit; shapes [4] and [n, 4].

    Returns
    -------
    [n]; 0 where both boxes are empty.
    """
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    shares: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def best_of_overlapping(corners: Array, scores: Array, labels: Array, most_overlap: float) -> Array:
    """Return which boxes remain when, class by class, a box goes that overlaps a better one (non-maximum suppression).

    Parameters
    ----------
    corners, scores, labels
        left, top, right, bottom [n, 4]; [n]; [n].
    most_overlap
        intersection over union above which the box of lower score goes.

    Returns
    -------
    Indices of the boxes that remain, the best first, at most 100; of equal scores the earlier box is the better.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while waiting.size and len(kept) < MOST_FOUND:
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        rivals = labels[waiting] == labels[best]
        overlap = intersection_over_union(corners[best], corners[waiting])
        waiting = waiting[~(rivals & (overlap > most_overlap))]
    return np.array(kept, dtype=np.int64)


def prediction(corners: Array, scores: Array, category_ids: Array, size: Size) -> dict[str, list[Any]]:
    """Return the answer of one picture as a task of this kind wants it (see docs/tasks.md).

    Parameters
    ----------
    corners, scores, category_ids
        left, top, right, bottom [n, 4] in pixels of the original picture; [n]; [n].
    size
        of the original picture; boxes are cut at its edges.

    Raises
    ------
    ArithmeticError
        for NaN or infinity, which no metric can rank.
    """
    if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
        raise ArithmeticError("the network answered NaN or infinity")
    inside = np.clip(corners.astype(np.float64), 0, [*size, *size])
    extent = np.clip(inside[:, 2:] - inside[:, :2], 0, None)
    return {
        "boxes": np.hstack([inside[:, :2], extent]).tolist(),
        "labels": category_ids.astype(np.int64).tolist(),
        "scores": scores.astype(np.float64).tolist(),
    }


def dense_predictions(
    corners: Array, class_scores: Array, category_ids: Sequence[int], least_score: float, most_overlap: float, size: Size
) -> dict[str, list[Any]]:
    """Return the answer of one picture from a detector that scores every class at every place.

    Parameters
    ----------
    corners
        [places, 4] left, top, right, bottom in pixels of the original picture.
    class_scores
        [places, classes], each between 0 and 1; a place may hold boxes of several classes.
    category_ids
        [classes], the task's category ids.
    least_score
        scores must be above it.
    most_overlap
        see ``best_of_overlapping``.
    """
    places, classes = np.nonzero(class_scores > least_score)
    scores = class_scores[places, classes]
    kept = best_of_overlapping(corners[places], scores, classes, most_overlap)
    return prediction(corners[places][kept], scores[kept], np.asarray(category_ids, dtype=np.int64)[classes[kept]], size)
