"""The numbers behind figures of 2023: quality curves (``draw_qualities.py``) and regression on input size (``regression.py``)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.study.program.per_record import Quality

ROUNDS_DRAWN = 20
MARKED = (90, 95, 99)
DEVIATIONS = 3


class Curve(NamedTuple):
    """Quality over thresholds, as drawn.

    thresholds : [M]
        in seconds.
    qualities : [M, R]
        of each round drawn.
    marked, at_marked : [3], [3, R]
        the percentiles 90, 95 and 99, each a time that occurs (``lower``), and quality there.
    """

    thresholds: Floats
    qualities: Floats
    marked: Floats
    at_marked: Floats


def quality_curve(times_s: Floats, quality: Quality, steps: int = 10) -> Curve:
    """Return what is drawn of times [R, S] in seconds, in the order read: 20 rounds, a sample being in time *below* a threshold.

    Thresholds go from the least to the greatest of the records' own mean -+ 3 sd (ddof 0), which do not go beyond the record's
    extremes. They are ``arange``'s with one step added, so that for a rounding error there is one more at times.
    """
    drawn = times_s[:ROUNDS_DRAWN]
    mean, spread = drawn.mean(axis=0), DEVIATIONS * drawn.std(axis=0)
    low, high = np.maximum(mean - spread, drawn.min(axis=0)).min(), np.minimum(mean + spread, drawn.max(axis=0)).max()
    step = (high - low) / steps
    thresholds, marked = np.arange(low, high + step, step), np.percentile(drawn, MARKED, method="lower")
    at, at_marked = (np.array([quality(drawn < bound) for bound in bounds]) for bounds in (thresholds, marked))
    return Curve(thresholds, at, np.asarray(marked), at_marked)


class LineFit(NamedTuple):
    """A least-squares line: mean squared error (divided by the number of points) and R squared."""

    mse: float
    r2: float


def regression(times_s: Floats, sizes: ArrayLike) -> tuple[LineFit, LineFit]:
    """Return the lines of each record's mean time, and of its variance (ddof 1), on input size; of one size alone, level.

    Parameters
    ----------
    times_s : [R, B]
        in seconds.
    sizes : [B]
        pixels of the padded batch, or tokens.
    """
    size = np.asarray(sizes, dtype=np.float64)
    x, lines = size - size.mean(), []
    for y in (times_s.mean(axis=0), times_s.var(axis=0, ddof=1)):
        centred = y - y.mean()
        residual = centred - x * (x @ centred) / (x @ x) if x.any() else centred
        lines.append(LineFit(float((residual**2).mean()), float(1 - (residual @ residual) / (centred @ centred))))
    return lines[0], lines[1]
