"""Intervals of mean tail quality at many thresholds of one trial at once, by the rules of ``intervals_of``."""

from __future__ import annotations

import hashlib

import numpy as np

from orchestrator.analysis.quality import Stake, intervals_of
from orchestrator.report.figures.chart import Floats

RESAMPLES = 999
"""Of a band's bootstrap; the figures of tables have 4,999."""


def bands(curve: Floats, ideal: float, stake: Stake, seed: int) -> tuple[Floats, Floats]:
    """Return 95 % limits of mean tail quality at every threshold.

    Thresholds between which no sample's time lies have equal rounds, and share one interval.

    Parameters
    ----------
    curve : [G, R]
        tail quality per threshold and round.
    ideal
        quality without a threshold.
    stake
        what a round can lose.
    seed
        of the resamples.

    Returns
    -------
    [G], [G] lower and upper limits.
    """
    ordered = np.sort(curve, axis=1)
    number: dict[bytes, int] = {}  # NumPy's own search for equal rows makes a Python object per round
    place = [number.setdefault(hashlib.sha256(row.tobytes()).digest(), len(number)) for row in ordered]
    distinct = ordered[[place.index(row) for row in range(len(number))]]
    random = np.random.default_rng([seed, curve.shape[1]])
    found = intervals_of(distinct, ideal, stake, random, RESAMPLES)
    limits = np.array([(interval.low, interval.high) for interval in found])[place]
    # Products of matrices may differ in their last digits from machine to machine; pages should not.
    low, high = limits.T.round(12)
    return low, high
