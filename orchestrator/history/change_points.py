"""Where a series of campaigns changes its level, by ranks: so that false alarms are as rare whatever the law of its noise is."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.units import ranks

# Campaigns of a level: one night that goes wrong is no change.
FEWEST = 3
# The median of absolute deviations of a normal law is one standard deviation over this.
FROM_MEDIAN = 1.4826
# Probability of any change point at all in a history without one, over all its series.
ERROR = 0.05


class Level(NamedTuple):
    """Campaigns ``start`` to ``end`` - 1 of a series, and their mean."""

    start: int
    end: int
    mean: float


class Course(NamedTuple):
    """A series as levels, one after the other, and its noise.

    noise
        standard deviation of one campaign about its level: what was expected of one campaign's visits and processes or, where that is
        more, what campaigns show.
    """

    levels: tuple[Level, ...]
    noise: float

    @property
    def changes(self) -> tuple[tuple[Level, Level], ...]:
        return tuple(pairwise(self.levels))


def normal_scores(values: ArrayLike) -> Floats:
    """Return the quantile of the normal law that stands where each value does among all, [n]; equal values share one.

    Phi^-1((rank - 3/8)/(n + 1/4)): Blom, *Statistical Estimates and Transformed Beta-Variables*, 1958.

    Examples
    --------
    >>> normal_scores([10.0, 30.0, 20.0]).round(2)
    array([-0.87,  0.87,  0.  ])
    """
    found = np.asarray(values, dtype=np.float64)
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
    count, gain = 2 * FEWEST - 1, 0.0
    while count < 2 * FEWEST or gain <= penalty(count, series):
        count += 1
        scores = normal_scores(np.arange(count))
        parts = np.split(scores, [count // 2])
        gain = sum(part.size * float(part.mean()) ** 2 for part in parts) - count * float(scores.mean()) ** 2
    return count


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
        standard deviation of one campaign that its own visits and processes predict, in the unit of the values.
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
        ends = [*starts[1:], found.size]
        levels = tuple(Level(start, end, float(found[start:end].mean())) for start, end in zip(starts, ends, strict=True) if end > start)
        about = found - np.repeat([level.mean for level in levels], [level.end - level.start for level in levels])
        # The median of absolute deviations, which a bad night does not move; the root mean square where more than half are 0.
        noise = float(np.median(np.abs(about))) * FROM_MEDIAN if about.size else 0.0
        noise = noise or math.sqrt(float((about**2).sum()) / max(found.size - len(levels), 1))
        made = Course(levels, max(noise, expected_noise))
        shifts = [abs(after.mean - before.mean) for before, after in made.changes]
        if not shifts or min(shifts) >= made.noise:
            return made
        del starts[1 + int(np.argmin(shifts))]


def _breaks(scores: Floats, penalty_of_one: float) -> list[int]:
    from ruptures import KernelCPD

    ends = KernelCPD(kernel="linear", min_size=FEWEST).fit(scores[:, None]).predict(pen=penalty_of_one)
    return [int(end) for end in ends[:-1]]
