from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError


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
    guesses = _class_ids(np.concatenate([np.asarray(ranking) for ranking in ranked if len(ranking)]))
    sample = np.repeat(np.arange(truth.size), lengths)
    rank = np.arange(guesses.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hit = (rank < k) & (guesses == truth[sample])
    return (np.bincount(sample[hit], minlength=truth.size) > 0).astype(np.float64)


def _class_ids(values: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
    ids = np.asarray(values)
    if ids.size and ids.dtype.kind not in "iu":
        raise InputError(f"class id {ids.flat[0]!r} of type {ids.dtype}: class ids must be whole numbers")
    return ids.astype(np.int64)
