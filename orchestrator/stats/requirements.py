"""Whether data show that a requirement is met: verdicts that err seldom, and how many rounds would give one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.deadline import certify_deadline, contradicted, next_risk
from orchestrator.stats.korn_graubard import ROUNDING, clopper_pearson
from orchestrator.stats.laws import ranks
from orchestrator.stats.long_run import Visits, depend, variance_ratios

Verdict: TypeAlias = Literal["met", "not met", "not shown"]
"""*Met* and *not met* are both shown by the data; *not shown* is everything between."""

MARGIN = 0.25
"""A plan is for a system that breaks a requirement this often, as a share of how often it may: at the bound itself no number of rounds
shows anything."""
POWER = 0.9
"""With this probability such a system is found to meet the requirement at the planned size."""
WELL_WITHIN = 0.5
"""Values below this share of the bound are alike: how they follow one another says nothing of values beyond the bound."""
MOST_UNITS = 10**6
"""More rounds than these are never measured."""
LEAST_FOR_MEAN = 60
"""Rounds below which a mean is not planned: of fewer in one stretch nothing tells whether they depend on each other."""


@dataclass(frozen=True)
class Kept:
    """Whether a share of units (rounds, or starts of a process) keeps a bound.

    broke, units
        how many broke it, of all.
    low, high
        limits of the share that breaks it, of units to come.
    certified
        the bound that so large a share keeps, with the confidence asked for; None where there is none.
    more
        how many more units would show that the bound is kept, were they like these; None where none would, or none are missing.
    reason
        why it is not shown; empty where it is.
    design_effect
        how many units are worth one independent one.
    """

    verdict: Verdict
    broke: int
    units: int
    low: float
    high: float
    certified: float | None
    more: int | None = None
    reason: str = ""
    design_effect: float = 1.0


def by_interval(low: float, high: float, at_least: float) -> Verdict:
    """Return the verdict on a figure that must be at least so large, from its two-sided interval.

    A true figure below the bound is called met where the interval lies above it, which a two-sided interval of confidence 1 - e does with
    probability e/2; the other half is for *not met*.

    Examples
    --------
    >>> [by_interval(low, high, 0.9) for low, high in ((0.91, 0.95), (0.8, 0.89), (0.8, 0.95))]
    ['met', 'not met', 'not shown']
    """
    if low >= at_least - ROUNDING * abs(at_least):
        return "met"
    return "not met" if high < at_least else "not shown"


def rounds_keep(
    values: ArrayLike,
    bound: float,
    *,
    late_share: float,
    error: float,
    looks: tuple[int, ...],
    visits: Visits | None = None,
    missing: int = 0,
) -> Kept:
    """Return whether at least 1 - ``late_share`` of rounds keep a bound.

    *Met* rests on `deadline.certify_deadline` at the confidence 1 - error/2: the value that so large a share keeps lies within the bound,
    and later rounds do not speak against it. *Not met* rests on all rounds: the lower Clopper-Pearson limit of the share that breaks the
    bound, of as many independent rounds as these are worth, lies above ``late_share`` at the same confidence.

    Parameters
    ----------
    values : [R]
        one positive number per round, in order; +inf keeps no bound.
    bound
        the largest value that keeps it.
    late_share
        share of rounds that may break it.
    error
        probability of a false verdict, half of it on either side.
    looks
        numbers of rounds that were fixed beforehand, rising; those of `deadline.certify_deadline`.
    visits : [R]
        number of each round's visit; None where there are none.
    missing
        rounds that are still missing to a number fixed beforehand, if rounds depend on each other.

    Examples
    --------
    >>> shuffled = np.random.default_rng(0).permutation(60) + 1
    >>> rounds_keep(shuffled, 60, late_share=0.1, error=0.05, looks=(60,)).verdict
    'met'
    >>> rounds_keep(shuffled, 40, late_share=0.1, error=0.05, looks=(60,)).verdict
    'not met'
    >>> few = rounds_keep(shuffled[:20], 60, late_share=0.1, error=0.05, looks=(20,))
    >>> few.verdict, few.more, few.reason
    ('not shown', 16, '16 more rounds needed')
    """
    given = np.asarray(values, dtype=np.float64)
    _check_bound(given, bound, error)
    alike = np.maximum(given, WELL_WITHIN * bound)
    promise = certify_deadline(alike, looks, late_share=late_share, confidence=1 - error / 2, visits=visits)
    broke = given > bound
    effect = _effect(broke, alike, visits)
    low, high = clopper_pearson(float(broke.sum()) / effect, given.size / effect, 1 - error)
    certified = None if promise.ns is None or promise.rank is None else float(np.sort(given[: promise.rounds])[promise.rank - 1])
    verdict, reason, more = _verdict(promise.ns, bound, low > late_share), promise.reason or "", promise.more_rounds or None
    later = given[promise.rounds :]
    if verdict == "met" and missing and promise.design_effect > 1:
        verdict, more, reason = "not shown", missing, f"rounds depend on each other: {missing} more needed"
    elif verdict == "met" and contradicted(replace(promise, ns=bound), later, late_share):
        verdict, more, reason = "not shown", None, f"{int((later > bound).sum())} of {later.size} later rounds broke it"
    elif verdict != "not shown":
        more, reason = None, ""
    elif promise.rank is not None or broke.any():
        reached = [look for look in looks if look <= given.size]
        left = next_risk(reached, late_share=late_share, confidence=1 - error / 2)
        projected, told = _projected(int(broke.sum()), late_share, left, max(effect, promise.design_effect), given.size)
        if promise.rank is not None or projected is None or projected > promise.more_rounds:
            more, reason = projected, told
    return Kept(verdict, int(broke.sum()), given.size, low, high, certified, more, reason, max(effect, promise.design_effect))


def starts_keep(values: ArrayLike, bound: float, *, late_share: float, error: float) -> Kept:
    """Return whether at least 1 - ``late_share`` of starts keep a bound: each a fresh process, so that they are independent.

    Parameters and examples are those of `rounds_keep`, with one value per start.

    Examples
    --------
    >>> starts_keep([1.0] * 6, 2.0, late_share=0.5, error=0.05).verdict
    'met'
    >>> starts_keep([1.0] * 4, 2.0, late_share=0.5, error=0.05).more
    2
    """
    given = np.asarray(values, dtype=np.float64)
    _check_bound(given, bound, error)
    broke = int((given > bound).sum())
    low, high = clopper_pearson(broke, given.size, 1 - error)
    allowed = _most_broken(given.size, late_share, error / 2)
    if broke <= allowed:
        return Kept("met", broke, given.size, low, high, float(np.sort(given)[given.size - 1 - allowed]))
    certified = float(np.sort(given)[given.size - 1 - allowed]) if allowed >= 0 else None
    if low > late_share:
        return Kept("not met", broke, given.size, low, high, certified)
    more, reason = _projected(broke, late_share, error / 2, 1.0, given.size)
    return Kept("not shown", broke, given.size, low, high, certified, more, reason)


def rounds_to_show(breaking: float, allowed: float, error: float, *, beyond: int = 0, parts: bool = False) -> int | None:
    """Return the fewest independent units that show that at most a share ``allowed`` breaks a bound, where ``breaking`` of them do.

    The smallest n above ``beyond`` with P(Bin(n, allowed) <= floor(breaking n)) <= error; None where none up to 10^6 does. Rounded up with
    ``parts``: of units that stand for several dependent ones, a part of one may break it.

    Examples
    --------
    >>> rounds_to_show(0.0, 0.1, 0.05), rounds_to_show(0.1, 0.1, 0.05), rounds_to_show(0.0, 0.1, 0.05, beyond=40)
    (29, None, 41)
    """
    if breaking >= allowed:
        return None

    # From a quarter of what the normal law says: from 1 on it takes long where the shares are near each other.
    normal = 0.25 * scipy.special.ndtri(error) ** 2 * allowed * (1 - allowed) / (allowed - breaking) ** 2

    def shows(units: NDArray[np.float64]) -> NDArray[np.bool_]:
        breaks = np.ceil(breaking * units - ROUNDING) if parts else np.floor(breaking * units + ROUNDING)
        risk = scipy.special.bdtr(breaks, units.astype(np.int64), allowed)
        return np.asarray(risk <= error * (1 + ROUNDING))

    return _first(shows, allowed, error, max(normal, beyond + 1))


def planned_units(allowed: float, error: float, margin: float = MARGIN, power: float = POWER) -> int | None:
    """Return how many independent units to plan, so that a system that breaks a bound rarely enough is found to keep it.

    Parameters
    ----------
    allowed
        share of units that may break it.
    error
        probability of calling it kept where more do.
    margin
        how often the system breaks it, as a share of ``allowed``.
    power
        probability of finding that it keeps it.

    Returns
    -------
    None where none up to 10^6 will do.

    Examples
    --------
    >>> planned_units(0.1, 0.025), planned_units(0.5, 0.025)
    (114, 17)
    """

    def enough(units: NDArray[np.float64]) -> NDArray[np.bool_]:
        rank = scipy.stats.binom.ppf(error, units, allowed)
        most = np.where(scipy.stats.binom.cdf(rank, units, allowed) <= error, rank, rank - 1)
        return np.asarray((most >= 0) & (scipy.stats.binom.cdf(most, units, margin * allowed) >= power))

    return _first(enough, allowed, error, 1.0)


def more_for_mean(rounds: int, mean: float, low: float, at_least: float, wider: float = 1.0) -> int | None:
    """Return how many more rounds bring the lower limit of a mean to a bound, where the mean stays; None where it lies below.

    An interval's half-width falls with the root of the number of rounds. The next look may risk less: its interval is ``wider`` so many
    times at equal numbers.

    Examples
    --------
    >>> more_for_mean(30, 0.92, 0.88, 0.90), more_for_mean(30, 0.89, 0.85, 0.90), more_for_mean(30, 0.92, 0.88, 0.90, wider=1.5)
    (90, None, 240)
    """
    if mean <= at_least or low >= at_least:
        return None
    needed = rounds * (wider * (mean - low) / (mean - at_least)) ** 2
    return math.ceil(needed - ROUNDING) - rounds if needed < MOST_UNITS else None


def _verdict(certified: float | None, bound: float, breaks_too_often: bool) -> Verdict:
    if breaks_too_often:
        return "not met"
    return "met" if certified is not None and certified <= bound else "not shown"


def _effect(broke: NDArray[np.bool_], values: NDArray[np.float64], visits: Visits | None) -> float:
    """Return how many rounds are worth one independent round for the share that breaks a bound; 1 where they do not depend."""
    series = broke.astype(np.float64)[None]
    if not depend(np.concatenate([series, ranks(values)[None]]), visits).any():
        return 1.0
    return float(variance_ratios(series, visits)[0])


def _projected(broke: int, allowed: float, error: float, effect: float, units: int) -> tuple[int | None, str]:
    """Return how many more rounds would show it to a look that may risk this error, were they like these, and the reason in words.

    Fewer than there are would not do, although they might have shown it: they have been looked at.
    """
    if error <= 0:
        return None, "earlier looks risked all the error allowed"
    needed = rounds_to_show(broke / units, allowed, error, beyond=int(units / effect), parts=effect > 1)
    if needed is None:
        seen = f"{broke:,} of {units:,} {'round' if units == 1 else 'rounds'}"
        return None, f"{seen} broke it, and a share of {allowed:.3g} may: more of the same would not show it"
    more = max(math.ceil(needed * effect - ROUNDING) - units, 1)
    return more, f"{more:,} more rounds needed" if more > 1 else "1 more round needed"


def _most_broken(units: int, allowed: float, error: float) -> int:
    """Return how many of these units may break a bound and still show that at most a share does; -1 if not even none."""
    counts = np.arange(units)
    return int((scipy.special.bdtr(counts, units, allowed) <= error * (1 + ROUNDING)).sum()) - 1


def _first(holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]], allowed: float, error: float, least: float) -> int | None:
    """Return the smallest number of units that a vectorised condition holds for, looked for in blocks that double.

    It begins at ``least``, and where units of which none breaks the bound would do: (1 - allowed)^n = error.
    """
    fewest = max(math.log(error) / math.log1p(-allowed), least)
    start, size = max(1, math.ceil(min(fewest, MOST_UNITS + 1) - ROUNDING)), 64
    while start <= MOST_UNITS:
        units = np.arange(start, start + size, dtype=np.float64)
        found = holds(units)
        if found.any():
            return int(units[int(found.argmax())])
        start, size = start + size, min(2 * size, 2**18)
    return None


def _check_bound(values: NDArray[np.float64], bound: float, error: float) -> None:
    if values.ndim != 1 or not values.size:
        raise InputError(f"values of shape {values.shape}: one number per round is needed, and at least one")
    if not 0 < bound < math.inf:
        raise InputError(f"bound {bound}: must be a positive number")
    if not 0 < error < 1:
        raise InputError(f"error {error}: must lie between 0 and 1, such as 0.05")
