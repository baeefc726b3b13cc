from __future__ import annotations

import math
from functools import cache

import scipy

from orchestrator.contracts import InputError


def smallest_detectable(sd: float, repeats_a: int, repeats_b: int, *, trials: int = 1, level: float = 0.05, power: float = 0.9) -> float:
    """Return the smallest drop of quality that a one-sided pooled t test on repeat means would find with a given power.

    With n_a + n_b - 2 degrees of freedom and t_c the critical value at level / trials: the d for which
    P(T' > t_c) = power, T' noncentral t with noncentrality d / (sd sqrt(1/n_a + 1/n_b)). Cohen, *Statistical Power Analysis for
    the Behavioral Sciences*, section 2.5. Level / trials is Holm's first step and so the hardest that a trial can meet. The
    standard deviation is taken as known; from few repeats it is a rough figure, and so is the result.

    Parameters
    ----------
    sd
        standard deviation of repeat means within a side, in units of quality.
    repeats_a, repeats_b
        repeats on either side, at least 2.
    trials
        number of trials that share the level.
    level
        family-wise error, as a fraction.
    power
        wanted probability of finding the drop, as a fraction.

    Returns
    -------
    The drop beyond the gate's tolerance, in units of quality; 0 without spread.

    Raises
    ------
    InputError
        if a parameter is out of range.

    Examples
    --------
    >>> round(smallest_detectable(0.01, 5, 5), 4)
    0.0203
    >>> round(smallest_detectable(0.01, 3, 3, trials=8), 4)
    0.0521
    """
    if min(repeats_a, repeats_b) < 2:
        raise InputError(f"power of {repeats_a} and {repeats_b} repeats: at least 2 a side are needed")
    if not 0 <= sd < math.inf or trials < 1:
        raise InputError(
            f"power with a standard deviation of {sd} over {trials} trials: one that is finite and not negative, and at least 1"
        )
    if not 0 < level < power < 1:
        raise InputError(f"level {level} and power {power}: fractions, the power above the level")
    shift = _noncentrality(level / trials, repeats_a + repeats_b - 2, power)
    return shift * sd * math.sqrt(1 / repeats_a + 1 / repeats_b)


@cache
def _noncentrality(level: float, degrees: int, power: float) -> float:
    """Return the noncentrality at which t exceeds its critical value with the given power; kept, as trials of a gate share it."""
    critical = float(scipy.stats.t.isf(level, degrees))
    highest = 2 * critical + 10
    while scipy.stats.nct.sf(critical, degrees, highest) < power:
        highest *= 2
    return float(scipy.optimize.brentq(lambda shift: float(scipy.stats.nct.sf(critical, degrees, shift)) - power, 0, highest, xtol=1e-9))
