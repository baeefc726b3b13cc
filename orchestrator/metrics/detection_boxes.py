"""Boxes as tasks and models give them, one dictionary per picture, and as arrays over all pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError


@dataclass(frozen=True)
class GroundTruth:
    """The right boxes of all pictures one after the other, G of them, in the order given.

    pictures
        how many there are, with and without boxes.
    picture, label : [G]
        which picture a box belongs to, counted from 0, and its category id.
    boxes : [G, 4]
        x, y, width, height in pixels of the original picture.
    areas : [G]
        of the object in square pixels, which may be smaller than its box.
    crowd : [G]
        whether the box surrounds a group of objects not told apart.
    """

    pictures: int
    picture: NDArray[np.int64]
    label: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True)
class Detections:
    """The boxes a model found in all pictures one after the other, D of them, in the order given.

    picture, label, boxes
        as in `GroundTruth`.
    scores : [D]
        how sure the model is, on any scale.
    """

    picture: NDArray[np.int64]
    label: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


def ground_truth(references: Sequence[Mapping[str, Any]] | NDArray[Any]) -> GroundTruth:
    """Return the references of all pictures as arrays.

    Parameters
    ----------
    references : [S]
        for each picture ``boxes`` [n, 4], ``labels`` [n], and where there are any ``areas`` [n] (else width x height) and
        ``crowd`` [n] of 0 or 1 (else 0).

    Raises
    ------
    InputError
        if a reference lacks boxes or labels, lengths differ, a label is no whole number, or a box or area is not finite or has
        a negative size.

    Examples
    --------
    >>> ground_truth([{"boxes": [[0, 0, 4, 5]], "labels": [7]}]).areas
    array([20.])
    """
    rows = []
    for index, reference in enumerate(references):
        where = f"reference of sample {index}"
        boxes, labels = _boxes_and_labels(reference, where)
        areas, crowd = reference.get("areas"), reference.get("crowd")
        areas = boxes[:, 2] * boxes[:, 3] if areas is None else _sizes(areas, len(boxes), f"{where}: areas")
        crowd = np.zeros(len(boxes), dtype=bool) if crowd is None else _truth_values(crowd, len(boxes), f"{where}: crowd")
        rows.append((labels, boxes, areas, crowd))
    picture, (labels, boxes, areas, crowd) = _joined(rows)
    return GroundTruth(len(rows), picture, labels, boxes, areas, crowd)


def detections(predictions: Iterable[Mapping[str, Any] | None] | NDArray[Any]) -> Detections:
    """Return the predictions of all pictures as arrays.

    Parameters
    ----------
    predictions : [S]
        for each picture ``boxes`` [n, 4], ``labels`` [n] and ``scores`` [n]; None or an empty one found nothing.

    Raises
    ------
    InputError
        as in `ground_truth`, and if a score is not finite.

    Examples
    --------
    >>> detections([None, {"boxes": [[0, 0, 4, 5]], "labels": [7], "scores": [0.9]}]).picture
    array([1])
    """
    rows = []
    for index, prediction in enumerate(predictions):
        where = f"prediction of sample {index}"
        found = {"boxes": [], "labels": [], "scores": []} if prediction is None or _is_empty(prediction) else prediction
        boxes, labels = _boxes_and_labels(found, where)
        rows.append((labels, boxes, _numbers(found.get("scores"), len(boxes), f"{where}: scores")))
    picture, (labels, boxes, scores) = _joined(rows)
    return Detections(picture, labels, boxes, scores)


def _is_empty(prediction: Mapping[str, Any]) -> bool:
    """Return whether a prediction is empty; one that is read back from a file has null for every value."""
    return len(prediction) == 0 or (isinstance(prediction, Mapping) and all(value is None for value in prediction.values()))


def _boxes_and_labels(answer: Mapping[str, Any], where: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if not isinstance(answer, Mapping):
        raise InputError(f"{where} is of type {type(answer).__name__}: must be a mapping with boxes and labels")
    labels = _array(answer.get("labels"), f"{where}: labels")
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise InputError(f"{where}: labels of type {labels.dtype} and shape {labels.shape}: must be a list of whole numbers")
    boxes = _numbers(answer.get("boxes"), len(labels), f"{where}: boxes", width=4)
    _sizes(boxes[:, 2:], len(labels), f"{where}: widths and heights", width=2)
    return boxes, labels.astype(np.int64)


def _truth_values(values: Any, count: int, where: str) -> NDArray[np.bool_]:
    given = _array(values, where)
    if given.shape != (count,) or not np.isin(given, (0, 1)).all():
        raise InputError(f"{where} {given.tolist()}: must be 0 or 1 for each of the {count} boxes")
    return given.astype(bool)


def _sizes(values: Any, count: int, where: str, width: int = 0) -> NDArray[np.float64]:
    sizes = _numbers(values, count, where, width)
    if sizes.size and sizes.min() < 0:
        raise InputError(f"{where} hold {sizes.min()}: must not be negative; boxes are [x, y, width, height]")
    return sizes


def _numbers(values: Any, count: int, where: str, width: int = 0) -> NDArray[np.float64]:
    """Return finite numbers, [count] or [count, width]."""
    given = _array(values, where)
    shape = (count, width) if width else (count,)
    if given.size == 0:
        given = given.reshape(0, *shape[1:]).astype(np.float64)
    if given.shape != shape or given.dtype.kind not in "iuf":
        raise InputError(f"{where} of type {given.dtype} and shape {given.shape}: must be numbers of shape {shape}, one entry per label")
    if not np.isfinite(given).all():
        raise InputError(f"{where} hold {given[~np.isfinite(given)][0]}: must be finite")
    return given.astype(np.float64)


def _array(values: Any, where: str) -> NDArray[Any]:
    if values is None:
        raise InputError(f"{where} are missing: give a list, empty where there are no boxes")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{where} are of uneven lengths: must be one entry per box, a box being [x, y, width, height]") from error


def _joined(rows: Sequence[tuple[NDArray[Any], ...]]) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
    """Return the picture of each box, and the columns of all pictures one after the other."""
    if not rows:
        raise InputError("detections in no pictures: at least one sample is needed")
    lengths = [len(row[0]) for row in rows]
    return np.repeat(np.arange(len(rows)), lengths), [np.concatenate(column) for column in zip(*rows, strict=True)]


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
