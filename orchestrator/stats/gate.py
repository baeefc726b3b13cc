from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.comparison import holm_adjusted
from orchestrator.stats.laws import t_cdf, t_isf, t_sf
from orchestrator.stats.replication import Design, Replicates, replicates

LEVEL = 0.05
"""Family-wise error of each direction."""
POWER = 0.8
"""Probability of finding the smallest change that counts as one that can be found."""


@cache
def _noncentrality(level: float, degrees: int) -> float:
    """Return how many standard errors a drop has to measure for a one-sided t test at this level to find it with 80 % probability.

    It is the noncentrality at which noncentral t exceeds the critical value so often (Cohen, *Statistical Power Analysis for the Behavioral
    Sciences*, section 2.5). The standard deviation is taken as known; from few repeats it is a rough figure, and so is the drop. Kept, as
    the trials of a gate share it.
    """
    critical = float(t_isf(level, degrees))
    highest = 2 * critical + 10  # far beyond it for this probability: chi-square over its degrees of freedom is rarely above 4
    return float(scipy.optimize.brentq(lambda shift: float(scipy.stats.nct.sf(critical, degrees, shift)) - POWER, 0, highest, xtol=1e-9))


Outcome: TypeAlias = Literal["worse", "better", "no difference shown", "no verdict: noise floor unknown"]


@dataclass(frozen=True)
class Verdict:
    """What the repeats of one trial show about a change from a to b. Differences are b - a: negative is worse.

    difference
        of the means over repeats, in units of quality.
    low, high
        one-sided bounds of the true difference, each simultaneous over the trials of the gate (Bonferroni); infinite without a
        noise floor.
    p_worse, p_better
        one-sided and adjusted by Holm's method over the trials; 1 without a noise floor.
    sd
        of one replicate: of repeat means within a side, pooled over both, of differences of pairs, or of means of earlier campaigns; not
        below the resolution; NaN where there is none.
    degrees
        of freedom of the standard deviation.
    repeats_a, repeats_b
        on either side; of a, campaigns where they are the replicates.
    detectable_drop
        smallest drop that this many replicates with this standard deviation find with 80 % probability; infinite without a
        noise floor.
    """

    outcome: Outcome
    difference: float
    low: float
    high: float
    p_worse: float
    p_better: float
    sd: float
    degrees: int
    repeats_a: int
    repeats_b: int
    detectable_drop: float


def gate(
    a: Mapping[str, ArrayLike],
    b: Mapping[str, ArrayLike],
    *,
    tolerance: float = 0.0,
    level: float = LEVEL,
    resolutions: Mapping[str, float] | None = None,
    designs: Mapping[str, Design] | None = None,
) -> dict[str, Verdict]:
    """Return for every trial whether b is worse than a by more than a tolerance, judged by repeats in fresh processes.

    The unit of replication is the repeat, because a fresh process differs from the last by more than its rounds tell. Per trial a t
    test of the repeat means, t = (difference + tolerance) / error, by its design (`replication.replicates`). Holm's method holds
    the probability of any false ``worse`` to `level` over all trials with enough repeats; ``better`` (a gain beyond the
    tolerance) is a second family at the same level. ``worse`` says that a drop beyond the tolerance has been shown, ``no
    difference shown`` does not say that there is none: see `Verdict.detectable_drop`.

    The bounds are Bonferroni's, at level / trials. Bounds that go with Holm's steps would say of a rejected trial no more
    than "beyond the tolerance" (Strassburger and Bretz, Statistics in Medicine 27, 2008). So a trial judged at a later step can
    be ``worse`` although its bound alone does not show it; never the other way round.

    Repeats that all agree show no noise, which is not the same as having none: the standard deviation is never taken below the
    resolution. Without a resolution such a trial has no verdict, unless its difference lies within the tolerance.

    Parameters
    ----------
    a, b
        per trial the mean of one primary endpoint in each repeat, [repeats]: tail quality on the total clock at one threshold
        that was frozen beforehand. Higher is better.
    tolerance
        a drop up to this size is no regression, in units of quality.
    level
        family-wise error of each direction, as a fraction up to 0.5.
    resolutions
        per trial the change of a repeat's mean by one answer in one round, 1 / (rounds x samples) for scores of 0 and 1; trials
        that are missing have none.
    designs
        per trial how its repeats belong together; trials that are missing are two samples.

    Raises
    ------
    InputError
        if a trial is on one side only or has no repeats, a mean is not finite, or a parameter is out of range.

    Examples
    --------
    >>> before = {"small": [0.86, 0.85, 0.85], "large": [0.84, 0.86, 0.85]}
    >>> after = {"small": [0.71, 0.70, 0.72], "large": [0.85, 0.84, 0.86]}
    >>> {trial: verdict.outcome for trial, verdict in gate(before, after).items()}
    {'small': 'worse', 'large': 'no difference shown'}
    """
    _check(a, b, tolerance, level)
    floors, kinds = resolutions or {}, designs or {}
    repeats = {trial: replicates(trial, a[trial], b[trial], floors.get(trial, 0.0), kinds.get(trial, "two samples")) for trial in a}
    family = [trial for trial, found in repeats.items() if found.enough]
    worse = _adjusted([_below(repeats[trial], -tolerance) for trial in family])
    better = _adjusted([_below(repeats[trial], tolerance, upper=True) for trial in family])
    adjusted = dict(zip(family, zip(worse, better, strict=True), strict=True))
    return {trial: _verdict(found, adjusted.get(trial, (1.0, 1.0)), tolerance, level, len(family)) for trial, found in repeats.items()}


def _verdict(found: Replicates, adjusted: tuple[float, float], tolerance: float, level: float, trials: int) -> Verdict:
    p_worse, p_better = adjusted
    reach = detectable = math.inf
    outcome: Outcome
    if math.isfinite(found.error):
        outcome = "worse" if p_worse <= level else "better" if p_better <= level else "no difference shown"
        reach = float(t_isf(level / trials, found.degrees)) * found.error
        detectable = tolerance + _noncentrality(level / trials, found.degrees) * found.error
    else:
        within = found.enough and abs(found.difference) <= tolerance
        outcome = "no difference shown" if within else "no verdict: noise floor unknown"
    return Verdict(
        outcome=outcome,
        difference=found.difference,
        low=found.difference - reach,
        high=found.difference + reach,
        p_worse=p_worse,
        p_better=p_better,
        sd=found.sd,
        degrees=found.degrees,
        repeats_a=found.count_a,
        repeats_b=found.count_b,
        detectable_drop=detectable,
    )


def _below(found: Replicates, limit: float, upper: bool = False) -> float:
    """Return the one-sided p-value against a true difference of at least (``upper``: at most) the limit; 1 without a noise floor."""
    if not math.isfinite(found.error):
        return 1.0
    t = (found.difference - limit) / found.error
    return float(t_sf(t, found.degrees) if upper else t_cdf(t, found.degrees))


def _adjusted(p_values: list[float]) -> list[float]:
    return [float(p) for p in holm_adjusted(p_values)]


def _check(a: Mapping[str, ArrayLike], b: Mapping[str, ArrayLike], tolerance: float, level: float) -> None:
    unmatched = sorted(a.keys() ^ b.keys())
    if unmatched:
        raise InputError(f"{len(unmatched)} trials on one side only, such as {unmatched[0]}: a gate takes the trials that both sides have")
    if not 0 <= tolerance < math.inf:
        raise InputError(f"tolerance {tolerance}: must be a number of units of quality that is not negative")
    if not 0 < level <= 0.5:
        raise InputError(f"level {level}: must be a fraction up to 0.5, such as 0.05")
