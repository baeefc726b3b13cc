"""Boxes as tasks and models give them, one dictionary per picture, and as arrays over pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

BLOCK = 2**18  # pairs of boxes compared in one step: bounds the memory of crowded pictures


@dataclass(frozen=True)
class Boxes:
    """The boxes of all pictures one after the other, N of them, in the order given.

    Each, [N], has its ``picture``, counted from 0 among all ``pictures``, its category id, and
    ``boxes``, [N, 4]: x, y, width, height in pixels. An area is that of the right object, which may
    be smaller than its box; a ``crowd`` surrounds objects not told apart.
    """

    pictures: int
    picture: Ints
    label: Ints
    boxes: Floats
    areas: Floats
    crowd: Flags
    scores: Floats


def ground_truth(references: Iterable[Mapping[str, Any]]) -> Boxes:
    """Return the right boxes. Raises InputError for a reference of another form.

    Each picture has ``boxes`` [n, 4], ``labels`` [n], and where there are any ``areas`` [n] (else
    width x height) and ``crowd`` [n] of 0 or 1 (else 0).

    Examples
    --------
    >>> ground_truth([{"boxes": [[0, 0, 4, 5]], "labels": [7]}]).areas
    array([20.])
    """
    return _read(references, "reference", ("labels", "boxes", "areas", "crowd"))


def detections(predictions: Iterable[Mapping[str, Any] | None]) -> Boxes:
    """Return the boxes found. Raises InputError for a prediction of another form.

    Each picture has ``boxes`` [n, 4], ``labels`` [n] and ``scores`` [n]; None, an empty one and one
    of null alone, as read back from a file, found nothing.

    Examples
    --------
    >>> detections([None, {"boxes": [[0, 0, 4, 5]], "labels": [7], "scores": [0.9]}]).picture
    array([1])
    """
    return _read(predictions, "prediction", ("labels", "boxes", "scores"))


def _read(answers: Iterable[Any], what: str, names: tuple[str, ...]) -> Boxes:
    rows: list[tuple[NDArray[Any], ...]] = []
    for index, answer in enumerate(answers):
        where = f"{what} of sample {index}"
        if not isinstance(answer or {}, Mapping):
            raise InputError(f"{where}: must be a mapping with {', '.join(names)}", key=where)
        given = {name: answer[name] for name in names if answer and answer.get(name) is not None}
        labels = _numbers(given.get("labels", ()), None, f"{where}: labels", kinds="iu")
        shape, nothing = labels.shape, np.zeros(labels.shape)
        boxes = _numbers(given.get("boxes", ()), (*shape, 4), f"{where}: boxes")
        _numbers(boxes[:, 2:], (*shape, 2), f"{where}: widths and heights", 0)
        areas = given.get("areas", boxes[:, 2] * boxes[:, 3])
        areas = _numbers(areas, shape, f"{where}: areas", 0)
        crowd = given.get("crowd", nothing)
        crowd = _numbers(crowd, shape, f"{where}: crowd", 0, 1, kinds="biuf")
        scores = given.get("scores", () if "scores" in names else nothing)
        scores = _numbers(scores, shape, f"{where}: scores")
        rows.append((labels.astype(np.int64), boxes, areas, crowd.astype(bool), scores))
    picture = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    return Boxes(len(rows), picture, *map(np.concatenate, zip(*rows, strict=True)))


def _numbers(
    values: Any,
    shape: tuple[int, ...] | None,
    where: str,
    least: float = -np.inf,
    most: float = np.inf,
    kinds: str = "iuf",
) -> NDArray[Any]:
    """Return finite numbers of a shape, or a list of any length."""
    given = np.asarray(values)
    shape = (given.size,) if shape is None else shape
    given = given if given.size else np.empty((0, *shape[1:]))
    if given.shape != shape or (given.size and given.dtype.kind not in kinds):
        raise InputError(
            f"{where} of type {given.dtype} and shape {given.shape}: must be "
            f"{'whole ' if kinds == 'iu' else ''}numbers of shape {shape}, one entry per label",
            key=where,
        )
    fits = np.isfinite(given) & (given >= least) & (given <= most)
    if not fits.all():
        raise InputError(
            f"{where} hold {given[~fits][0]}: must be finite, {least:g} to {most:g}",
            key=where,
            value=given[~fits][0],
        )
    return given if kinds == "iu" else given.astype(np.float64)


def overlapping_pairs(
    found: Floats, found_group: Ints, truth: Floats, truth_group: Ints, crowd: Flags, least: float
) -> tuple[Ints, Ints, Floats]:
    """Return the pairs of a detection and a right box of one group that overlap by ``least`` (> 0).

    Boxes are [D, 4] and [G, 4], groups rise. Returns indices of detection and right box, and their
    overlap, [P] each, in order of detection, then right box.
    """
    first = np.searchsorted(truth_group, found_group, side="left")
    count = np.searchsorted(truth_group, found_group, side="right") - first
    before = np.cumsum(count) - count
    pairs = []
    for some in np.split(np.arange(len(found)), np.flatnonzero(np.diff(before // BLOCK)) + 1):
        detection = np.repeat(some, count[some])
        box = first[detection] + np.arange(detection.size) - (before[detection] - before[some[:1]])
        overlap = box_overlap(found[detection], truth[box], crowd[box])
        enough = overlap >= least
        pairs.append((detection[enough], box[enough], overlap[enough]))
    detection, box, overlap = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return detection, box, overlap


def box_overlap(found: Floats, truth: Floats, crowd: Flags) -> Floats:
    """Return intersection over union of pairs of boxes, [P]; over the detection's area for a crowd.

    Examples
    --------
    >>> box_overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2]]), np.array([False]))
    array([0.33333333])
    """
    right_bottom = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    sides = np.maximum(right_bottom - np.maximum(found[:, :2], truth[:, :2]), 0)
    shared, area, truth_area = (each[:, -2] * each[:, -1] for each in (sides, found, truth))
    whole = np.where(crowd, area, area + truth_area - shared)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0))
