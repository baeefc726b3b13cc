"""Whether data show that a requirement is met, and how many units would show it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.certificate import (
    certify,
    effective_rounds,
    few_units,
    fewest,
    risk_of_counted,
    risk_of_mean,
    share_beyond,
    units_to_show,
)
from orchestrator.stats.constants import (
    COSINES_OF_CERTIFICATE,
    DEFF_PLANNED,
    FEW_UNITS,
    MARGIN,
    POWER_PLANNED,
    ROUNDING,
    WELL_WITHIN,
)
from orchestrator.stats.interval import binomial_limits, effective_number, mean_intervals
from orchestrator.stats.units import Units, degrees_of, means_of_units, number_of_units, units_of

# *Met* and *not met* are both shown by the data; *not shown* is everything between.
Verdict: TypeAlias = Literal["met", "not met", "not shown"]
# What a requirement speaks of: a mean over rounds, a share of rounds, of fresh processes.
Kind: TypeAlias = Literal["mean", "rounds", "starts"]
TOO_FEW = "too few for this share"


@dataclass(frozen=True)
class Shown:
    """What data show of one requirement.

    ``figure`` is a mean, or the share that breaks a bound, with its limits in the long run; it
    rests on so many units, rounds or processes. ``reason`` says why nothing is shown. ``needed``
    finds how many units like these would show that it is met, ``certify`` the bound that a share
    keeps with the confidence asked for; either may find None.
    """

    verdict: Verdict
    figure: float
    low: float
    high: float
    units: int
    reason: str
    needed: Callable[[], float | None] = field(repr=False)
    certify: Callable[[], float | None] = field(default=lambda: None, repr=False)

    @cached_property
    def certified(self) -> float | None:
        """The bound that a share keeps with the confidence asked for, or None."""
        return self.certify()

    @cached_property
    def more(self) -> int | None:
        """How many more units would show it; None where none would, or none are missing."""
        needed = self.needed() if self.verdict == "not shown" else None
        return None if needed is None else max(math.ceil(needed - ROUNDING) - self.units, 1)


def mean_reaches(
    gained: ArrayLike,
    at_least: float,
    ideal: float,
    answers: float,
    units: Units | None,
    *,
    bounded: bool = True,
    error: float,
) -> Shown:
    """Return whether rounds to come gain at least so much in the mean.

    *Met*: the lower limit of the interval of confidence 1 - ``error`` reaches it, and so does the
    guard at this error. *Not met*: the upper limit lies below. ``gained``, [R], is what each round
    gained; the other parameters are those of `interval.mean_intervals`.

    >>> rounds, visits = np.tile([0.9, 0.88], 60), np.arange(120) // 2
    >>> asked = (0.81, 0.889, 0.9)
    >>> [mean_reaches(rounds, each, 0.9, 18, visits, error=0.05).verdict for each in asked]
    ['met', 'not shown', 'not met']
    """
    series = np.asarray(gained, dtype=np.float64)[None]
    [found] = mean_intervals(series, ideal, answers, units, bounded=bounded, confidence=1 - error)
    mean, size = float(series.mean()), series.size
    means = means_of_units(series, units_of(size, units))[0][0]
    few, reached = few_units(units), found.low >= at_least * (1 - ROUNDING)
    seen = reached and risk_of_mean(means, at_least) <= error * (1 + ROUNDING)

    def needed() -> float | None:
        unseen = units_to_show(means, at_least, error) if units is not None else None
        # A half-width falls with the root of the number of rounds.
        wider = 1.0 if reached or not unseen else ((mean - found.low) / (mean - at_least)) ** 2
        rare = max(unseen, FEW_UNITS) * _rounds_of_each(units) if unseen else 0.0
        return max(size * wider, rare) if unseen else None

    wide = "the interval reaches below what is asked"
    reason = few or ("visits that were not seen may be bad" if reached else wide)
    return Shown(
        _verdict(few, seen, found.high < at_least),
        mean,
        found.low,
        found.high,
        size,
        reason,
        needed,
    )


def rounds_keep(
    values: ArrayLike,
    bound: float,
    units: Units | None,
    rounds: int,
    *,
    late_share: float,
    error: float,
) -> Shown:
    """Return whether at least 1 - ``late_share`` of rounds to come keep a bound.

    *Met* is as of `certificate.certify`. How values below half of the bound follow one another says
    nothing of those beyond it: they count as alike. *Not met*: the lower limit of the share that
    breaks it lies above ``late_share``.

    ``values``, [R], are positive; +inf keeps no bound. ``rounds`` were fixed before anything was
    measured: of fewer nothing is *met*. ``error`` is the probability of a false verdict.

    >>> values, visits = np.random.default_rng(0).permutation(120) + 1.0, np.arange(120) // 2
    >>> given = {"late_share": 0.1, "error": 0.05}
    >>> [rounds_keep(values, bound, visits, 120, **given).verdict for bound in (118, 110, 60)]
    ['met', 'not shown', 'not met']
    """
    given = np.asarray(values, dtype=np.float64)
    first, own = given[:rounds], None if units is None else units[:rounds]
    size, of, few = first.size, units_of(first.size, own), few_units(own)
    alike = np.maximum(first, WELL_WITHIN * bound)
    effective = effective_rounds(alike, of, late_share, 1 - error)
    found = share_beyond(first, bound, of, effective, 1 - error)
    share, worth, missing = found.breaks / size, effective / size, rounds - size

    def needed() -> float | None:
        unseen = units_to_show(found.kept, 1 - late_share, error) if own is not None else None
        # How many rounds make the limits narrow enough.
        wide = unseen and fewest(
            lambda count: bool(
                binomial_limits(share * count * worth, count * worth, error)[1] <= late_share
            )
        )
        both = max(unseen, FEW_UNITS) * _rounds_of_each(own) if unseen else 0.0
        return max(wide, both, rounds) if wide else None

    met = not missing and found.shows(late_share, 1 - error)
    verdict = _verdict(few, met, found.low > late_share)
    fixed = f"{missing} rounds are missing of the {rounds} fixed beforehand"
    reason = few or _too_often(found.breaks, size, late_share) or (fixed if missing else TOO_FEW)
    return Shown(
        verdict,
        share,
        found.low,
        found.high,
        size,
        reason,
        needed,
        lambda: certify(given, units, rounds, late_share=late_share, confidence=1 - error).ns,
    )


def starts_keep(values: ArrayLike, bound: float, *, late_share: float, error: float) -> Shown:
    """Return whether at least 1 - ``late_share`` of starts, fresh processes, keep a bound.

    They are independent: the limits are those of Clopper and Pearson. Parameters are those of
    `rounds_keep`, with one value per start.

    >>> starts_keep([1.0] * 5, 2.0, late_share=0.5, error=0.05).verdict
    'met'
    >>> starts_keep([1.0] * 4, 2.0, late_share=0.5, error=0.05).more
    1
    """
    given = np.asarray(values, dtype=np.float64)
    size, broke = given.size, int((given > bound).sum())
    low, high = map(float, binomial_limits(broke, size, error))
    # Of so many that break the longest bound certified, the upper limit is still low enough.
    kept = binomial_limits(np.arange(size), size, error)[1] <= late_share * (1 + ROUNDING)
    allowed = int(kept.sum()) - 1
    longest = float(np.sort(given)[size - 1 - allowed]) if allowed >= 0 else None
    gained = (given <= bound).astype(np.float64)
    return Shown(
        _verdict("", broke <= allowed, low > late_share),
        broke / size,
        low,
        high,
        size,
        _too_often(broke, size, late_share) or TOO_FEW,
        lambda: units_to_show(gained, 1 - late_share, error),
        lambda: longest,
    )


def planned_units(
    kind: Kind,
    allowed: float,
    error: float,
    parts: float = 1,
    margin: float = MARGIN,
    power: float = POWER_PLANNED,
) -> int | None:
    """Return how many visits (or starts) to plan to find that no more than a share is lost.

    A system that loses ``margin`` times the allowed share of answers, rounds or starts is then
    found to meet the requirement with probability ``power``, if rounds are independent. A visit has
    ``parts`` of them. None where none up to 10^6 will do.

    >>> planned_units("starts", 0.5, 0.05), planned_units("mean", 0.05, 0.05, 20)
    (13, 86)
    """
    each = max(1, math.floor(parts))
    tail = error / 2 if kind == "mean" else error
    deff = 1 if kind == "starts" else DEFF_PLANNED

    def shows(units: int) -> bool:
        n = units * each
        lost = min(float(scipy.stats.binom.ppf(power, n, margin * allowed)) / n, 1.0)
        of = {"mean": degrees_of(units), "rounds": COSINES_OF_CERTIFICATE, "starts": n}[kind]
        worth = effective_number(np.array([lost]), n, 0.0, of, 1 - tail)[0] / deff
        return bool(
            lost < allowed
            and binomial_limits(lost * worth, worth, tail)[1] <= allowed * (1 + ROUNDING)
            and _risk_where_lost(lost, each, units, allowed) <= error * (1 + ROUNDING)
        )

    return fewest(shows, 1 if kind == "starts" else FEW_UNITS)


def _rounds_of_each(units: Units | None) -> float:
    return 1.0 if units is None else units.size / number_of_units(units)


def _verdict(few: str, met: bool, not_met: bool) -> Verdict:
    return "not shown" if few else "met" if met else "not met" if not_met else "not shown"


def _too_often(broke: int, size: int, late_share: float) -> str:
    often = f"{broke:,} of {size:,} broke it, and a share of {late_share:.3g} may"
    return often if broke >= late_share * size else ""


# The guard's risk where each part of a unit is lost so often, independently.
def _risk_where_lost(lost: float, parts: int, units: int, allowed: float) -> float:
    least, most = (int(scipy.stats.binom.ppf(tail, parts, lost)) for tail in (1e-9, 1 - 1e-9))
    each = np.arange(most, least - 1, -1)
    chances = scipy.stats.binom.pmf(each, parts, lost)
    return risk_of_counted(1 - each / parts, units * chances / chances.sum(), 1 - allowed)
