"""Tail latency and tail quality as the evaluation of 2024 takes them (``Evaluation/``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.study.program.per_record import Quality

PERCENTILES = (90.0, 95.0, 99.0, 99.9)
HOPS = 100
"""How many thresholds a curve has, from the shortest time to the longest."""


def tail_latency(records_s: ArrayLike, percentiles: Sequence[float] = PERCENTILES) -> Floats:
    """Return percentiles of all records, [P] in seconds: times that occur (``inverted_cdf``), each batch being one record."""
    return np.asarray(np.percentile(np.asarray(records_s), percentiles, method="inverted_cdf"))


def hops(records_s: ArrayLike) -> Floats:
    """Return the thresholds of a curve, [100] in seconds."""
    records = np.asarray(records_s)
    return np.linspace(records.min(), records.max(), HOPS)


def tail_quality(times_s: Floats, thresholds: ArrayLike, quality: Quality) -> Floats:
    """Return quality, [M, R], of times [R, S] in seconds: a sample is answered if its time is *at most* the threshold."""
    return np.array([quality(times_s <= bound) for bound in np.asarray(thresholds)])
