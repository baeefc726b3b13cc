from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.latency import MIN_BEYOND, percentiles_inverted_cdf
from orchestrator.stats.times import checked_times

Origin: TypeAlias = Literal["absolute", "reference", "own"]

NS_PER_MS = 10**6
LONGEST_NS = 2**63 - 1
FREEZING_ROUNDS = 10
"""A trial's own thresholds come from this many first rounds and are applied to the others..."""
ROUNDS_TO_FREEZE = 20
"""...where there are at least this many rounds."""
DEFAULT_PRIMARY = "p95"


class ThresholdColumns(TypedDict):
    """How a threshold stands in a row of a result table."""

    threshold: str
    threshold_ns: int
    threshold_origin: str
    threshold_reference: str | None


@dataclass(frozen=True)
class Threshold:
    """A time bound: *on time* means time <= ``ns``.

    label
        ``p99`` or ``50 ms``.
    origin
        ``absolute`` (given in ms), ``reference`` (a percentile of a named trial) or ``own`` (a percentile of the trial's own
        times, which fixes the share of samples on time and so can rank nothing).
    percentile
        in percent, of one that is a percentile.
    reference
        the trial whose percentile it is, of one with that origin.
    """

    label: str
    ns: int
    origin: Origin
    percentile: float | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.ns <= LONGEST_NS:
            raise InputError(f"threshold {self.label}: must lie between 1 ns and 292 years")

    def columns(self) -> ThresholdColumns:
        """Return the columns by which every result table knows it."""
        return {
            "threshold": self.label,
            "threshold_ns": self.ns,
            "threshold_origin": self.origin,
            "threshold_reference": self.reference,
        }

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of a result table is read at it."""
        return (row["threshold"], row["threshold_ns"], row["threshold_origin"]) == (self.label, self.ns, self.origin)


@dataclass(frozen=True)
class OwnThresholds:
    """Thresholds from a trial's own times, and the rounds they may be applied to.

    first_round
        index of the first round that had no part in choosing them.
    in_sample
        True where there were too few rounds to set any aside: then figures at these thresholds describe the rounds that chose
        them.
    """

    thresholds: tuple[Threshold, ...]
    first_round: int
    in_sample: bool


@dataclass(frozen=True)
class Reference:
    """The trial whose percentiles are thresholds for all trials of a task; ``instead_of`` names the one it stands in for."""

    trial: str
    instead_of: str | None = None


def thresholds_from_ms(milliseconds: Iterable[float]) -> tuple[Threshold, ...]:
    """Return the user's own thresholds, in the order given, each once.

    A part of a nanosecond is dropped: times are whole nanoseconds, so that no sample changes sides.

    Parameters
    ----------
    milliseconds
        time bounds in ms.

    Raises
    ------
    InputError
        if a bound is below 1 ns, above what 64 bits hold, or no number.

    Examples
    --------
    >>> [(t.label, t.ns) for t in thresholds_from_ms([50, 12.5])]
    [('50 ms', 50000000), ('12.5 ms', 12500000)]
    """
    thresholds = []
    for value in milliseconds:
        if not math.isfinite(value):
            raise InputError(f"threshold {value} ms: must be a finite number of milliseconds")
        ns = math.floor(Fraction(str(value)) * NS_PER_MS)
        if not 1 <= ns <= LONGEST_NS:
            raise InputError(f"threshold {value:g} ms: must lie between 1 ns and 292 years")
        thresholds.append(Threshold(f"{_plain(value)} ms", ns, "absolute"))
    return tuple(dict.fromkeys(thresholds))


def thresholds_from_percentiles(
    times: ArrayLike, percentiles: Iterable[float], origin: Literal["reference", "own"], reference: str | None = None
) -> tuple[Threshold, ...]:
    """Return percentiles of a trial's pooled times as thresholds.

    A percentile that falls on a sample without a time is no time bound and is left out; of no times there is none.

    Parameters
    ----------
    times : any shape
        times of all rounds and samples in ns, +inf for samples without one.
    percentiles
        in percent.
    reference
        the trial whose times they are, where others are read at them.

    Raises
    ------
    InputError
        if a time is NaN or not positive, or a percentile is out of range.

    Examples
    --------
    >>> thresholds_from_percentiles([10, 20, 30, np.inf], [50, 75, 99], "reference")[1]
    Threshold(label='p75', ns=30, origin='reference', percentile=75, reference=None)
    """
    checked = checked_times(times)
    asked = list(percentiles) if checked.size else []
    found = zip(asked, percentiles_inverted_cdf(checked, asked), strict=True)
    return tuple(
        Threshold(f"p{_plain(percentile)}", math.ceil(ns), origin, percentile, reference) for percentile, ns in found if math.isfinite(ns)
    )


def own_thresholds(times: ArrayLike, percentiles: Iterable[float]) -> OwnThresholds:
    """Return percentiles of a trial's first 10 rounds, to be applied to the later ones; below 20 rounds, of all of them.

    A percentile with fewer than 10 of these times beyond it cannot be told from them and is left out.

    Parameters
    ----------
    times : [R, S]
        times in ns, +inf for samples without one.
    percentiles
        in percent.

    Examples
    --------
    >>> own = own_thresholds(np.full((30, 20), 7), [95, 99])
    >>> own.first_round, [threshold.label for threshold in own.thresholds]
    (10, ['p95'])
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    in_sample = len(checked) < ROUNDS_TO_FREEZE
    first_round = 0 if in_sample else FREEZING_ROUNDS
    chosen_from = checked if in_sample else checked[:FREEZING_ROUNDS]
    known = [value for value in percentiles if chosen_from.size * (100 - Fraction(str(value))) / 100 >= MIN_BEYOND]
    return OwnThresholds(thresholds_from_percentiles(chosen_from, known, "own"), first_round, in_sample)


def default_reference(p50s_ns: Mapping[str, float], failed: Collection[str] = ()) -> Reference | None:
    """Return the trial of one task with the median p50 of total time.

    Trials are ranked by p50, equal ones by trial id; of an even number the faster of the middle two is taken. Where that trial
    failed, the next slower one that did not stands in, and where there is none the next faster one.

    Parameters
    ----------
    p50s_ns
        median total time in ns of every trial that has one, by trial id.
    failed
        ids of trials that cannot be the reference.

    Examples
    --------
    >>> default_reference({"a": 30, "b": 10, "c": 20}, failed=["c"])
    Reference(trial='a', instead_of='c')
    """
    ranked = sorted(p50s_ns, key=lambda trial: (p50s_ns[trial], trial))
    middle = (len(ranked) - 1) // 2
    for trial in ranked[middle:] + ranked[:middle][::-1]:
        if trial not in failed:
            return Reference(trial, None if trial == ranked[middle] else ranked[middle])
    return None


def common_thresholds(trials_ns: Sequence[tuple[float, float]], count: int = 5) -> tuple[Threshold, ...]:
    """Return absolute thresholds that span what the systems of one task need.

    Log-spaced from the fastest trial's p50 to the slowest trial's p99 (fastest and slowest by p50), each rounded to the nearest
    1, 2 or 5 times a power of ten. What rounds to the same number is one threshold, so a narrow span yields fewer than `count`.

    Parameters
    ----------
    trials_ns
        p50 and p99 of total time in ns of each trial; a trial with an infinite one takes no part.

    Examples
    --------
    >>> [t.label for t in common_thresholds([(4.7e6, 6e6), (33e6, 400e6)])]
    ['5 ms', '20 ms', '50 ms', '100 ms', '500 ms']
    """
    finite = [(p50, p99) for p50, p99 in trials_ns if math.isfinite(p50) and math.isfinite(p99)]
    if not finite:
        return ()
    spaced = np.geomspace(min(finite)[0], max(finite)[1], count)
    return tuple(Threshold(f"{_plain(Fraction(ns, NS_PER_MS))} ms", ns, "absolute") for ns in sorted({*map(_round_125, spaced)}))


def primary_threshold(requested: str | None, reference_times: ArrayLike | None, reference: str | None = None) -> Threshold | None:
    """Return the one threshold that rules and gates look at.

    Parameters
    ----------
    requested
        the user's choice, ``p95`` or ``50 ms``; None is the reference's p95.
    reference_times : any shape
        total times of the reference trial in ns, or None while no reference exists.
    reference
        which trial that is.

    Returns
    -------
    None where the reference decides and there is none, or it has no time at that percentile.

    Raises
    ------
    InputError
        if the choice is neither a percentile nor a time.

    Examples
    --------
    >>> primary_threshold("50ms", None)
    Threshold(label='50 ms', ns=50000000, origin='absolute', percentile=None, reference=None)
    """
    asked = _time_or_percentile(requested)
    if isinstance(asked, Threshold):
        return asked
    found = () if reference_times is None else thresholds_from_percentiles(reference_times, [asked], "reference", reference)
    return found[0] if found else None


def primary_threshold_of(requested: str | None, time_at: Callable[[float], int | None]) -> Threshold | None:
    """Return what `primary_threshold` does where the reference's times are known by their percentiles alone.

    Parameters
    ----------
    time_at
        the time in ns at a percentile, or None where that falls on a sample without a time.
    """
    asked = _time_or_percentile(requested)
    if isinstance(asked, Threshold):
        return asked
    ns = time_at(asked)
    return None if ns is None else Threshold(f"p{_plain(asked)}", ns, "reference", asked)


def _time_or_percentile(requested: str | None) -> Threshold | float:
    """Return the absolute threshold that a choice names, or its percentile in percent. Raises InputError if it is neither."""
    chosen = DEFAULT_PRIMARY if requested is None else requested
    match = re.fullmatch(r"p(?P<percentile>\d+(\.\d+)?)|(?P<ms>\d+(\.\d+)?(e[+-]?\d+)?) ?ms", chosen.strip())
    if match is None:
        raise InputError(f'primary threshold {chosen[:40]!r}: must be a percentile such as p95 or a time such as "50 ms"')
    if match["ms"]:
        return thresholds_from_ms([float(match["ms"])])[0]
    percentile = float(match["percentile"])
    if not 0 < percentile < 100:
        raise InputError(f"primary threshold {chosen[:40]!r}: must lie above p0 and below p100, such as p99")
    return percentile


def _round_125(ns: float) -> int:
    """Return the number of the series 1, 2, 5, 10, 20... that is nearest on a log scale; no whole number lies halfway."""
    power: int = 10 ** math.floor(math.log10(ns))
    return min((power, 2 * power, 5 * power, 10 * power), key=lambda rounded: abs(math.log(rounded / ns)))


def _plain(value: float | Fraction) -> str:
    """Return a number without exponent or trailing zeros: 50, 12.5, 99.9."""
    exact = Decimal(value.numerator) / value.denominator if isinstance(value, Fraction) else Decimal(str(value))
    return format(exact.normalize(), "f")
