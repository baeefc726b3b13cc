"""What the replicates of a trial show of a change from a to b, by how they were measured: two samples, pairs, or earlier campaigns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.korn_graubard import ROUNDING

Design: TypeAlias = Literal["two samples", "pairs", "earlier campaigns"]
"""How the repeats of both sides belong together.

two samples
    repeats of a and of b, each side measured in one stretch: Student's pooled t, n_a + n_b - 2 degrees of freedom.
pairs
    repeat j of a was measured right before or after repeat j of b: Student's t on the differences, n - 1 degrees of freedom.
earlier campaigns
    a are the means of K campaigns of other days, b the repeats of one more campaign: the prediction of one more mean, K - 1.
"""

FEWEST_REPEATS = 3
"""Replicates of either side, pairs or earlier campaigns: fewer say too little about how much they differ."""


@dataclass(frozen=True)
class Replicates:
    """Replicates of one trial, reduced to what a t test takes.

    difference
        b - a, in units of quality.
    sd
        standard deviation of one replicate (of a pair's difference, of a campaign's mean); NaN where one replicate is all there is.
    scale
        standard error of the difference in units of the standard deviation.
    degrees
        of freedom of the standard deviation.
    count_a, count_b
        repeats on either side; of a, campaigns where they are the replicates.
    enough
        whether there are enough replicates to know how much they differ.
    """

    difference: float
    sd: float
    scale: float
    degrees: int
    count_a: int
    count_b: int
    enough: bool

    @property
    def error(self) -> float:
        """Standard error of the difference; NaN where it is unknown how much replicates differ."""
        return self.sd * self.scale if self.enough and self.sd > 0 else math.nan


def replicates(trial: str, a: ArrayLike, b: ArrayLike, resolution: float = 0.0, design: Design = "two samples") -> Replicates:
    """Return what the means of a trial's repeats show.

    With one variance for both sides, *two samples* is Student's t (Snedecor and Cochran, *Statistical Methods*, section 6.9), *pairs* the
    paired t (section 6.3). For *earlier campaigns* the difference of one more mean from those of K has the standard error
    s sqrt(1 + 1/K): the prediction of a further observation (Hahn and Meeker, *Statistical Intervals*, section 4.7).

    Replicates that all agree show no noise, which is not the same as having none: the standard deviation is not taken below that which
    one answer in one round makes.

    Parameters
    ----------
    trial
        its name, for messages.
    a : [n_a]
        means of the repeats of one side, or of the earlier campaigns.
    b : [n_b]
        means of the repeats of the other.
    resolution
        change of a repeat's mean by one answer in one round.

    Raises
    ------
    InputError
        if a side has no mean or one that is not finite, repeats lack their partner, or the resolution is negative.

    Examples
    --------
    >>> found = replicates("t", [0.80, 0.84, 0.82], [0.79, 0.83, 0.80], design="pairs")
    >>> round(found.difference, 4), round(found.sd, 4), found.degrees
    (-0.0133, 0.0058, 2)
    >>> found = replicates("t", [0.80, 0.84, 0.82], [0.80, 0.78], design="earlier campaigns")
    >>> round(found.difference, 4), round(found.sd, 4), round(found.error, 4)
    (-0.03, 0.02, 0.0231)
    """
    before, after = _means(trial, a), _means(trial, b)
    if not 0 <= resolution < math.inf:
        raise InputError(f"resolution {resolution} of trial {trial}: must be a number that is not negative")
    if design == "pairs" and before.size != after.size:
        raise InputError(f"trial {trial}: {before.size} repeats paired with {after.size}: every repeat needs its partner")
    n_a, n_b = before.size, after.size
    if design == "pairs":
        parts, scale, least, fewest = [after - before], math.sqrt(1 / n_a), math.sqrt(2) * resolution, n_a
    elif design == "earlier campaigns":
        parts, scale, least, fewest = [before], math.sqrt(1 + 1 / n_a), resolution / n_b, n_a
    else:
        parts, scale, least, fewest = [before, after], math.sqrt(1 / n_a + 1 / n_b), resolution, min(n_a, n_b)
    degrees = sum(part.size - 1 for part in parts)
    rounding = ROUNDING * max(1.0, float(np.abs(before).max()), float(np.abs(after).max()))
    difference = float(after.mean() - before.mean())
    sd = math.nan
    if degrees:
        found = math.sqrt(sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / degrees)
        sd = max(found if found > rounding else 0.0, least)
        difference = difference if abs(difference) > rounding else 0.0
    return Replicates(difference, sd, scale, degrees, n_a, n_b, fewest >= FEWEST_REPEATS)


def _means(trial: str, means: ArrayLike) -> NDArray[np.float64]:
    checked = np.asarray(means, dtype=np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise InputError(f"repeat means of trial {trial}: one finite number per repeat is needed, and at least one repeat")
    return checked
