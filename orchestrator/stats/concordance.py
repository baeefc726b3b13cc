"""Whether several judges put the same things in the same order: systems and the samples that are late on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.laws import ranks

PERMUTATIONS = 1999
FEWEST = 2


@dataclass(frozen=True)
class Concordance:
    """Kendall's W of ``judges`` judges over ``items`` items, 0 to 1, and the p-value of no agreement; both NaN where nobody tells apart."""

    w: float
    p_value: float
    judges: int
    items: int


def concordance(values: ArrayLike, random: np.random.Generator, permutations: int = PERMUTATIONS) -> Concordance:
    """Return Kendall's W with a permutation test: every judge's values are dealt to the items anew.

    W = 12 S / (k^2 (n^3 - n) - k T), with S the squared deviations of the items' rank sums and T the sum over judges and groups of
    ties of (t^3 - t) (Kendall and Babington Smith, *Annals of Mathematical Statistics* 10, 1939; Siegel and Castellan, section 9.7).
    The p-value is (1 + the number of permutations with at least the W observed) / (1 + permutations).

    Parameters
    ----------
    values : [k, n]
        what each judge gives to each item.

    Returns
    -------
    W and its p-value; NaN where every judge gives all items the same.

    Examples
    --------
    >>> concordance([[1, 2, 3], [3, 2, 1]], np.random.default_rng(0)).w
    0.0
    """
    ranks = _ranks(values)
    judges, items = ranks.shape
    scale = _scale(ranks)
    observed = float(_w(ranks.sum(axis=0), scale))
    if np.isnan(observed):
        return Concordance(observed, np.nan, judges, items)
    as_large = 0
    for _ in range(permutations):
        as_large += float(_w(random.permuted(ranks, axis=1).sum(axis=0), scale)) >= observed - 1e-12
    return Concordance(observed, (1 + as_large) / (1 + permutations), judges, items)


def spearman_of_pairs(values: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of every pair of rows, [k (k - 1) / 2] in the order (0, 1), (0, 2)...; NaN of a constant row.

    Parameters
    ----------
    values : [k, n]
        such as the median time of each of n samples on each of k systems.

    Examples
    --------
    >>> spearman_of_pairs([[1, 2, 3], [2, 4, 9], [3, 2, 1]]).round(3).tolist()
    [1.0, -1.0, -1.0]
    """
    ranks = _ranks(values)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=1))
    products = np.outer(lengths, lengths)
    correlations = np.divide(centred @ centred.T, products, out=np.full_like(products, np.nan), where=products > 0)
    return np.asarray(correlations[np.triu_indices(len(ranks), 1)])


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < FEWEST or np.isnan(table).any():
        raise InputError(f"concordance of values of shape {table.shape}: at least 2 judges and 2 items are needed, and no NaN")
    return ranks(table)


def _scale(ranks: NDArray[np.float64]) -> float:
    """Return k^2 (n^3 - n) - k T over 12: the sum of squares at full agreement."""
    judges, items = ranks.shape
    ties = sum(float((counts**3 - counts).sum()) for counts in (np.unique(row, return_counts=True)[1].astype(np.float64) for row in ranks))
    full: float = judges * (judges * (items**3 - items) - ties) / 12
    return full


def _w(sums: NDArray[np.float64], scale: float) -> float:
    squares: float = ((sums - sums.mean()) ** 2).sum().item()
    return squares / scale if scale > 0 else math.nan
