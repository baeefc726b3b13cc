from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers
from orchestrator.metrics.labels import TRUTH, of_one_form, types_of


class Accuracy:
    """Share of right choices: (1/S) sum over samples of [the choice is the right one].

    Predictions and references are one choice per sample, [S], all text (``A``), all whole numbers, or all true and false; a
    prediction of None (no choice was made) is wrong; scores are 0 or 1, [S].

    Examples
    --------
    >>> Accuracy().score(Answers(predictions=["A", "C", None], references=["A", "B", "D"]))
    array([1., 0., 0.])
    """

    name = "accuracy"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return 1 for each right choice, else 0. Raises InputError if text meets numbers, which could never be equal."""
        choices = [*(choice for choice in answers.predictions if choice is not None), *answers.references]
        if not of_one_form(choices):
            raise InputError(
                f"choices and right answers of types {types_of(choices)}: must be all text, all whole numbers, or all true and false"
            )
        right = [choice == truth for choice, truth in zip(answers.predictions, answers.references, strict=True)]
        return np.array(right, dtype=np.float64)


def top_k_scores(predictions: Sequence[Any] | NDArray[Any], references: Sequence[Any] | NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return 1 for each sample whose right class is among the first k predicted, else 0.

    Parameters
    ----------
    predictions : [S, K], or S sequences of any lengths
        class ids by rank, the likeliest first; an empty one or None (the model failed) scores 0.
    references : [S]
        the right class of each sample.
    k
        how many ranks count.

    Returns
    -------
    [S] scores.

    Raises
    ------
    InputError
        if a class id is no whole number, or no prediction is as long as k though not all are empty.

    Examples
    --------
    >>> top_k_scores([[7, 2], [3, 7], []], [7, 7, 7], k=1)
    array([1., 0., 0.])
    """
    truth = _class_ids(references)
    ranked = [() if ranking is None else ranking for ranking in predictions]
    lengths = np.fromiter(map(len, ranked), dtype=np.int64, count=len(ranked))
    longest = int(lengths.max(initial=0))
    if longest == 0:
        return np.zeros(truth.size)
    if longest < k:
        raise InputError(f"top-{k} of predictions that rank {longest} classes: the model must return at least {k}")
    arrays = [np.asarray(ranking) for ranking in ranked if len(ranking)]
    guesses = _class_ids(next((array for array in arrays if array.dtype.kind == "b"), np.concatenate(arrays)))
    sample = np.repeat(np.arange(truth.size), lengths)
    rank = np.arange(guesses.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hit = (rank < k) & (guesses == truth[sample])
    return (np.bincount(sample[hit], minlength=truth.size) > 0).astype(np.float64)


def _class_ids(values: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
    if not isinstance(values, np.ndarray) and (truth := next((value for value in values if isinstance(value, TRUTH)), None)) is not None:
        raise InputError(f"class id {truth!r} of type bool: class ids must be whole numbers")
    ids = np.asarray(values)
    if ids.size and ids.dtype.kind not in "iu":
        raise InputError(f"class id {ids.flat[0]!r} of type {ids.dtype}: class ids must be whole numbers")
    return ids.astype(np.int64)


class Top1:
    """Top-1 accuracy: (1/S) sum over samples of [the likeliest class is the right one].

    Predictions are class ids by rank, [S, K] or S sequences; references are class ids, [S]; scores are 0 or 1, [S].

    Examples
    --------
    >>> Top1().score(Answers(predictions=[[7, 2], [3, 7]], references=[7, 7]))
    array([1., 0.])
    """

    name = "top1"

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return 1 for each sample answered right, else 0."""
        return top_k_scores(answers.predictions, answers.references, k=1)


class Top5:
    """Top-5 accuracy: (1/S) sum over samples of [the right class is among the five likeliest].

    Predictions are class ids by rank, [S, K] or S sequences, K at least 5; references are class ids, [S]; scores are 0 or 1,
    [S].

    Examples
    --------
    >>> Top5().score(Answers(predictions=[[4, 3, 2, 1, 7], [6, 5, 4, 3, 2]], references=[7, 7]))
    array([1., 0.])
    """

    name = "top5"

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return 1 for each sample with the right class among the first five, else 0."""
        return top_k_scores(answers.predictions, answers.references, k=5)


class SubjectAccuracy:
    """Average over subjects of the share of right choices: (1/G) sum over g of (right choices in g) / (samples of g).

    Every subject weighs alike, however many samples it has. Written as a mean over samples, a right choice of subject g scores
    S / (G n_g) and a wrong one 0, [S]. The subject is the sample's slice ``subject``; choices are those of `Accuracy`.

    Examples
    --------
    >>> answers = Answers(["A", "B", "C"], ["A", "B", "D"], slices={"subject": ["law", "art", "art"]})
    >>> SubjectAccuracy().score(answers)
    array([1.5 , 0.75, 0.  ])
    >>> round(float(SubjectAccuracy().score(answers).mean()), 2)
    0.75
    """

    name = "subject_accuracy"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return what each sample adds to the average. Raises InputError without subjects, and where `Accuracy` does."""
        subjects = answers.slices.get("subject", [None])
        if None in subjects:
            offered = ", ".join(answers.slices) or "none"
            raise InputError(f"subject_accuracy of a task with slices {offered}: needs a slice 'subject' for every sample")
        right = Accuracy().score(answers)
        _, subject, samples = np.unique(np.asarray(subjects, dtype=str), return_inverse=True, return_counts=True)
        return np.asarray(right * right.size / (samples.size * samples[subject]))
