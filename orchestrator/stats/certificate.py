"""The deadline that a system can promise, and the guard against bad units that were not seen."""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.constants import CONFIDENCE, COSINES_OF_CERTIFICATE, FEW_UNITS, ROUNDING
from orchestrator.stats.interval import binomial_limits, effective_number
from orchestrator.stats.latency import times_beyond
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Floats, Units, means_of_units, number_of_units, spread

MOST_UNITS, MOST_SAMPLES = 10**6, 10**15  # more are never measured
# Of the rule of trapezoids over x, u = sinh(x), which is exact to many digits: the function is
# analytic near the real line.
STEP = 0.05
NODES = np.arange(0.0, 12.0, STEP)


def risk_of_mean(gains: ArrayLike, at_least: float, times: float = 1.0) -> float:
    """Return the risk of saying that units like these gain so much in the mean, whatever their law.

    To the n units, [n], is added one that gained nothing, the least there can be, and all get
    random weights: the spacings of n uniform numbers. The risk is the probability that the weighted
    mean lies below what is asked [1, 2]. Of n units that all gained the same g it is
    (at_least/g)^n: so probable are n good units where a share 1 - at_least/g of all gains nothing.
    Of units that gained 0 or 1 it is that of Clopper and Pearson. No law is known for which it errs
    more often than it says, and the proof is open. Each unit counts ``times`` times.

    A weighted sum of spacings lies below a where sum (a - g_i) E_i > 0, E_i exponential. Its
    probability is an integral of the sum's moment generating function along a line through the
    saddle point [3], by the rule of trapezoids after u = sinh(x).

    .. [1] N. Gaffke. Three test statistics for a nonparametric one-sided hypothesis on the mean of
       a nonnegative variable. Mathematical Methods of Statistics 14(4), 2005.
    .. [2] E. Learned-Miller, P. S. Thomas. A new confidence interval for the mean of a bounded
       random variable. arXiv:1905.06208, 2019.
    .. [3] H. E. Daniels. Tail probability approximations. International Statistical Review 55(1),
       1987.

    >>> round(risk_of_mean([0.9] * 72, 0.95 * 0.9), 4), round(0.95**72, 4)
    (0.0249, 0.0249)
    """
    values, counts = np.unique(np.maximum(gains, 0.0), return_counts=True)
    return risk_of_counted(values, np.asarray(counts * times, dtype=np.float64), at_least)


def units_to_show(gains: ArrayLike, at_least: float, error: float) -> int | None:
    """Return the fewest units like these that show a mean with no more risk than ``error``.

    None where no 10^6 do.

    >>> units_to_show([1.0] * 30, 0.95, 0.025), units_to_show([1.0, 0.0], 0.95, 0.025)
    (72, None)
    """
    given = np.asarray(gains, dtype=np.float64)
    if given.mean() <= at_least:
        return None
    return fewest(lambda units: risk_of_mean(given, at_least, units / given.size) <= error)


def risk_of_counted(gains: Floats, counts: Floats, at_least: float) -> float:
    """Return P(sum c_i E_i > 0): c_i = 1 - g_i/at_least comes counts_i times, and once c = 1."""
    each = np.append(1.0, 1 - gains / at_least)
    number = np.append(1.0, counts)

    def slope(s: float) -> float:
        return float((number * each / (1 - s * each)).sum()) - 1 / s

    saddle = float(scipy.optimize.brentq(slope, 1e-12, 1 - 1e-12, xtol=1e-14))
    curvature = float((number * (each / (1 - saddle * each)) ** 2).sum()) + 1 / saddle**2
    along = saddle + 1j * np.sinh(NODES) / math.sqrt(curvature)
    logs = -(number * np.log(1 - along[:, None] * each)).sum(axis=1) - np.log(along)
    heights = np.exp(logs - logs[0].real).real * np.cosh(NODES)
    area = STEP * (heights.sum() - heights[0] / 2) / math.sqrt(curvature)
    return float(min(max(math.exp(logs[0].real) * area / math.pi, 0.0), 1.0))


def fewest(shows: Callable[[int], bool], least: int = 1, most: int = MOST_UNITS) -> int | None:
    """Return the fewest units that show something, where more show it better; None if none do."""
    low, high = least - 1, least
    while not shows(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def samples_to_certify(percentile: float, confidence: float, overruns: int) -> int:
    """Return how many samples show that a percentile lies within a bound despite some overruns.

    The smallest n with P(Bin(n, 1 - p) <= overruns) <= 1 - confidence: were the percentile beyond
    the bound, so few overruns among n independent samples would be this unlikely. MLPerf LoadGen's
    early stopping (``early_stopping.cc``); 459 samples for p99 at 99 % without an overrun. Of
    samples that are not independent only n / design effect count.

    >>> samples_to_certify(99, 0.99, 0), samples_to_certify(99.9, 0.99, 1)
    (459, 6636)
    """
    share = float(1 - Fraction(str(percentile)) / 100)
    error = float(1 - Fraction(str(confidence))) * (1 + ROUNDING)

    def shows(n: int) -> bool:
        return bool(scipy.special.betaincc(overruns + 1, n - overruns, share) <= error)

    found = fewest(shows, overruns + 1, MOST_SAMPLES)
    assert found is not None, "no such percentile is ever asked for"
    return found


@dataclass(frozen=True)
class Certificate:
    """The deadline in ns that a system can promise, or the reason why there is none.

    It rests on so many rounds, which count as ``effective`` independent ones and of which
    ``breaks`` do not keep it; without a deadline these are of the best candidate. ``more_rounds``
    are missing to the number fixed beforehand.
    """

    ns: float | None
    rounds: int
    breaks: int = 0
    effective: float = 0.0
    reason: str = ""
    more_rounds: int = 0


@dataclass(frozen=True)
class Beyond:
    """What rounds say of the share of rounds to come that lies beyond a value.

    ``breaks`` rounds do; ``low`` and ``high`` are one-sided limits of the share, and ``kept``, [V],
    is the share of each unit's rounds that do not.
    """

    breaks: int
    low: float
    high: float
    kept: Floats

    def shows(self, allowed: float, confidence: float) -> bool:
        """Return whether at most an allowed share lies beyond, by upper limit and guard."""
        error = (1 - confidence) * (1 + ROUNDING)
        return self.high <= allowed and risk_of_mean(self.kept, 1 - allowed) <= error


def few_units(units: Units | None) -> str:
    """Return why units are too few for a verdict on rounds to come; empty where they are not."""
    count = number_of_units(units)
    if count < 2:
        return "measured in one stretch, which says nothing about later rounds"
    few = f"only {count} visits, and a verdict on later rounds takes at least {FEW_UNITS}"
    return few if count < FEW_UNITS else ""


def effective_rounds(values: Floats, units: Units, allowed: float, confidence: float) -> float:
    """Return as how many independent rounds these count for an allowed share beyond a value.

    The variance is taken once, at the quantile of 1 - ``allowed``, with 3 degrees of freedom, and
    serves every value.
    """
    quantile = np.quantile(values, 1 - allowed, method="inverted_cdf")
    beyond = times_beyond(values, quantile)[None].astype(np.float64)
    variance, degrees, _ = spread(beyond, units, COSINES_OF_CERTIFICATE)
    found = effective_number(beyond.mean(axis=1), values.size, variance, degrees, confidence)
    return float(found[0])


def share_beyond(
    values: Floats, bound: float, units: Units, effective: float, confidence: float
) -> Beyond:
    """Return what values of rounds, [R], say of those beyond a bound, by Korn and Graubard.

    ``effective`` is as `effective_rounds` returns it, ``confidence`` that of either limit.

    >>> values, visits = np.random.default_rng(0).permutation(120) + 1.0, np.arange(120) // 2
    >>> effective = effective_rounds(values, visits, 0.1, 0.95)
    >>> found = share_beyond(values, 118, visits, effective, 0.95)
    >>> found.breaks, round(found.low, 3), round(found.high, 3), round(effective)
    (2, 0.0, 0.091, 46)
    """
    late = times_beyond(values, bound)
    limits = binomial_limits(late.mean() * effective, effective, 1 - confidence)
    kept = means_of_units((~late)[None].astype(np.float64), units)[0][0]
    return Beyond(int(late.sum()), float(limits[0]), float(limits[1]), kept)


def certify(
    deadlines_ns: ArrayLike,
    units: Units | None,
    rounds: int,
    *,
    late_share: float = 0.10,
    confidence: float = CONFIDENCE,
) -> Certificate:
    """Return a deadline that at least 1 - ``late_share`` of all rounds to come keep.

    It is the shortest own deadline of a round, [R], +inf without one, beyond which `share_beyond`
    shows that no more than ``late_share`` lie. Only the first ``rounds`` count, a number fixed
    before anything was measured. At least 20 visits that lie apart are needed.

    Raises InputError if a deadline is NaN or not positive.

    >>> shuffled = np.random.default_rng(0).permutation(120) + 1.0
    >>> found = certify(shuffled, np.arange(120) // 2, 120)
    >>> found.ns, found.breaks
    (118.0, 2)
    """
    deadlines = np.asarray(checked_times(deadlines_ns), dtype=np.float64)
    if missing := max(rounds - deadlines.size, 0):
        reason = f"{missing} more rounds needed"
        return Certificate(None, deadlines.size, reason=reason, more_rounds=missing)
    first, of = deadlines[:rounds], None if units is None else units[:rounds]
    few = few_units(of)
    if of is None or few:
        return Certificate(None, rounds, reason=few)
    ordered, never = np.sort(first), int(np.isinf(first).sum())
    effective = effective_rounds(first, of, late_share, confidence)

    def beyond(count: int) -> Beyond:
        return share_beyond(first, float(ordered[rounds - 1 - count]), of, effective, confidence)

    # What fails at a longer deadline fails at every shorter one.
    counts = range(never, math.floor(late_share * rounds) + 1)
    shown = bisect.bisect_left(
        counts, True, key=lambda count: not beyond(count).shows(late_share, confidence)
    )
    if shown:
        count = never + shown - 1
        ns = float(ordered[rounds - 1 - count])
        return Certificate(ns, rounds, beyond(count).breaks, effective)
    possible = binomial_limits(0, effective, 1 - confidence)[1] <= late_share
    if never > late_share * rounds or (possible and beyond(never).high > late_share):
        reason = f"{never} of {rounds} rounds never keep the quality"
    elif possible:
        reason = f"{number_of_units(of)} visits do not rule out bad ones that are rare"
    else:
        reason = f"{rounds} rounds count as {effective:.0f}: slow rounds come in spells"
    return Certificate(None, rounds, never, effective, reason)
