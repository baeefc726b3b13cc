"""Where a series of campaigns changes its level, by ranks: so that false alarms are as rare whatever the law of its noise is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.laws import ranks

FEWEST = 3
"""Campaigns of a level: one night that goes wrong is no change."""
FROM_MEDIAN = 1.4826
"""The median of absolute deviations of a normal law is one standard deviation over this."""
ERROR = 0.05
"""Probability of any change point at all in a history without one, over all its series."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """Campaigns ``start`` to ``end`` - 1 of a series, and their mean."""

    start: int
    end: int
    mean: float


@dataclass(frozen=True)
class Course:
    """A series as levels, one after the other, and its noise.

    noise
        standard deviation of one campaign about its level: what was expected of one campaign's visits and processes or, where that is
        more, what campaigns show.
    """

    levels: tuple[Level, ...]
    noise: float

    @property
    def changes(self) -> tuple[tuple[Level, Level], ...]:
        """The levels before and after each change point."""
        return tuple(zip(self.levels, self.levels[1:], strict=False))


def normal_scores(values: ArrayLike) -> Floats:
    """Return the quantile of the normal law that stands where each value does among all, [n]; equal values share one.

    Phi^-1((rank - 3/8)/(n + 1/4)): Blom, *Statistical Estimates and Transformed Beta-Variables*, 1958.

    Examples
    --------
    >>> normal_scores([10.0, 30.0, 20.0]).round(2)
    array([-0.87,  0.87,  0.  ])
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise InputError("a series of campaigns must be one list of finite numbers: leave out those without a figure")
    scores: Floats = scipy.special.ndtri((ranks(found) - 0.375) / (found.size + 0.25))
    return scores


def penalty(count: int, series: int = 1, error: float = ERROR) -> float:
    """Return by how much one more level must lower the sum of squares of normal scores.

    2 ln(n m/error) for m series of n campaigns: the square of a standard normal exceeds it with a probability below error/(n m), and there
    are n m places for a change (Bonferroni).

    Examples
    --------
    >>> round(penalty(100), 1), round(penalty(100, series=24), 1)
    (15.2, 21.6)
    """
    return 2 * math.log(count * series / error)


def fewest_campaigns(series: int = 1) -> int:
    """Return of how many campaigns the clearest change in their middle is shown at all.

    Examples
    --------
    >>> fewest_campaigns(), fewest_campaigns(24)
    (21, 32)
    """
    count = 2 * FEWEST
    while _gain(normal_scores(np.arange(count)), count // 2) <= penalty(count, series):
        count += 1
    return count


def _gain(scores: Floats, at: int) -> float:
    """Return by how much two levels lower the sum of squares, as against one."""
    before, after, whole = scores[:at], scores[at:], scores
    return float(before.size * before.mean() ** 2 + after.size * after.mean() ** 2 - whole.size * whole.mean() ** 2)


def course(values: ArrayLike, expected_noise: float = 0.0, series: int = 1, error: float = ERROR) -> Course:
    """Return the levels of a series, as few as explain it.

    The levels have the least sum of squares of normal scores with a penalty for each (PELT: Killick, Fearnhead and Eckley, *Journal of
    the American Statistical Association* 107, 2012; by ruptures: Truong, Oudre and Vayatis, *Signal Processing* 167, 2020). A change that
    is smaller than the noise of one campaign is left out: it may be real, and no single campaign would ever show it.

    Parameters
    ----------
    values : [n]
        one per campaign, in their order.
    expected_noise
        standard deviation of one campaign that its own visits and processes let expect, in the unit of the values.
    series
        how many series the history has: all together have the probability ``error`` of a false alarm.

    Examples
    --------
    >>> found = course([0.8, 0.81, 0.79] * 8 + [0.6, 0.61, 0.59] * 8)
    >>> [(level.start, level.end, round(level.mean, 3)) for level in found.levels], round(found.noise, 3)
    ([(0, 24, 0.8), (24, 48, 0.6)], 0.015)
    """
    found = np.asarray(values, dtype=np.float64)
    scores = normal_scores(found)
    starts = [0]
    if found.size >= 2 * FEWEST and found.min() < found.max():
        starts += _breaks(scores, penalty(found.size, series, error))
    while True:
        made = _course(found, starts, expected_noise)
        shifts = [abs(after.mean - before.mean) for before, after in made.changes]
        if not shifts or min(shifts) >= made.noise:
            return made
        del starts[1 + int(np.argmin(shifts))]


def _breaks(scores: Floats, penalty_of_one: float) -> list[int]:
    """Return where each level but the first begins."""
    from ruptures import KernelCPD

    ends = KernelCPD(kernel="linear", min_size=FEWEST).fit(scores[:, None]).predict(pen=penalty_of_one)
    return [int(end) for end in ends[:-1]]


def _course(values: Floats, starts: list[int], expected_noise: float) -> Course:
    ends = [*starts[1:], values.size]
    levels = tuple(Level(start, end, float(values[start:end].mean())) for start, end in zip(starts, ends, strict=True) if end > start)
    about = np.concatenate([values[level.start : level.end] - level.mean for level in levels]) if levels else np.zeros(1)
    return Course(levels, max(_spread(about, max(values.size - len(levels), 1)), expected_noise))


def _spread(about: Floats, degrees: int) -> float:
    """Return the standard deviation of values about their levels by the median of absolute deviations, which a bad night does not move.

    Where more than half of the values are those of their levels, it is the root mean square.
    """
    middle = float(np.median(np.abs(about))) * FROM_MEDIAN
    return middle if middle > 0 else math.sqrt(float((about**2).sum()) / degrees)
