"""Whether a detector names other categories than the references do, which makes every figure 0 and no box wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.detection import KINDS
from orchestrator.metrics.detection_boxes import Detections, GroundTruth, detections, ground_truth
from orchestrator.metrics.detection_overlap import overlapping_pairs
from orchestrator.metrics.interface import Answers

FEWEST = 10
"""Boxes from which on anything is said."""
FITS = 0.5
"""IoU from which on a box is taken to be of the object."""
HARDLY_ANY = 0.05


def names_other_categories(answers: Answers, kind: str) -> bool:
    """Return whether boxes fit their objects, whatever they are called, and hardly any is called what the reference calls it.

    So it is where a model answers with its class numbers, 0 to 79, in place of COCO's category ids, 1 to 90 with gaps: most of its
    numbers are ids too, of other categories. Each object is asked what the surest detection that fits it is called. Where too few
    fit, answers whose categories hardly ever occur in any reference tell the same.

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
    if kind not in KINDS:
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
