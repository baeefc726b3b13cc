"""Whether several judges put the same things in the same order: systems and the samples that are late on them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.units import ranks

PERMUTATIONS = 1999


class Concordance(NamedTuple):
    """Kendall's W, 0 to 1, and the p-value of no agreement; both NaN where nobody tells apart."""

    w: float
    p_value: float


def concordance(values: ArrayLike, random: np.random.Generator, permutations: int = PERMUTATIONS) -> Concordance:
    """Return Kendall's W of what k judges give to n items, [k, n], with a permutation test within judges.

    W = 12 S / (k^2 (n^3 - n) - k T), with S the squared deviations of the items' rank sums and T the sum over judges and groups of
    ties of (t^3 - t) (Kendall and Babington Smith, *Annals of Mathematical Statistics* 10, 1939; Siegel and Castellan, section 9.7).

    Examples
    --------
    >>> concordance([[1, 2, 3], [3, 2, 1]], np.random.default_rng(0)).w
    0.0
    """
    of_judges = ranks(np.asarray(values, dtype=np.float64))
    judges, items = of_judges.shape
    counts = [np.unique(row, return_counts=True)[1].astype(np.float64) for row in of_judges]
    full: float = judges * (judges * (items**3 - items) - sum(float((count**3 - count).sum()) for count in counts)) / 12
    if full <= 0:
        return Concordance(math.nan, math.nan)
    middle = judges * (items + 1) / 2

    def w(ranked: Floats) -> float:
        return float(((ranked.sum(axis=0) - middle) ** 2).sum() / full)

    observed = w(of_judges)
    as_large = sum(w(random.permuted(of_judges, axis=1)) >= observed - 1e-12 for _ in range(permutations))
    return Concordance(observed, (1 + as_large) / (1 + permutations))


def spearman_of_pairs(values: ArrayLike) -> Floats:
    """Return Spearman's correlation of every pair of rows of [k, n], in the order (0, 1), (0, 2)...; NaN of a constant row.

    Examples
    --------
    >>> spearman_of_pairs([[1, 2, 3], [2, 4, 9], [3, 2, 1]]).round(3).tolist()
    [1.0, -1.0, -1.0]
    """
    centred = ranks(np.asarray(values, dtype=np.float64))
    centred = centred - centred.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=1))
    products = np.outer(lengths, lengths)
    correlations = np.divide(centred @ centred.T, products, out=np.full_like(products, np.nan), where=products > 0)
    return np.asarray(correlations[np.triu_indices(len(centred), 1)])
