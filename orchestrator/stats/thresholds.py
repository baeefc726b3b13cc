import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.latency import MIN_BEYOND, percentiles_inverted_cdf
from orchestrator.stats.times import checked_times

Origin: TypeAlias = Literal["absolute", "reference", "own"]

NS_PER_MS, LONGEST_NS = 10**6, 2**63 - 1
# A trial's own thresholds come from this many first rounds and are applied to the others, where
# there are at least so many rounds.
FREEZING_ROUNDS, ROUNDS_TO_FREEZE = 10, 20
DEFAULT_PRIMARY = "p95"
PRIMARY = re.compile(r"p(?P<percentile>\d+(\.\d+)?)|(?P<ms>\d+(\.\d+)?(e[+-]?\d+)?) ?ms")


@dataclass(frozen=True)
class Threshold:
    """A time bound such as ``p99`` or ``50 ms``: *on time* means time <= ``ns``.

    origin
        ``absolute`` (given in ms), ``reference`` (a percentile of the trial that ``reference``
        names) or ``own`` (a percentile of the trial's own times, which fixes the share of samples
        on time and so can rank nothing).

    Raises InputError for a time below 1 ns or above what 64 bits hold.
    """

    label: str
    ns: int
    origin: Origin
    percentile: float | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.ns <= LONGEST_NS:
            raise InputError(
                f"threshold {self.label}: must lie between 1 ns and 292 years", value=self.ns
            )

    def columns(self) -> dict[str, Any]:
        return {
            "threshold": self.label,
            "threshold_ns": self.ns,
            "threshold_origin": self.origin,
            "threshold_reference": self.reference,
        }


@dataclass(frozen=True)
class Reference:
    """The trial whose percentiles are thresholds of a task, and the one it stands in for."""

    trial: str
    instead_of: str | None = None


def thresholds_from_ms(milliseconds: Iterable[float]) -> tuple[Threshold, ...]:
    """Return the user's own thresholds, in the order given, each once.

    A part of a nanosecond is dropped: times are whole nanoseconds, so that no sample changes sides.

    Raises InputError if a bound is below 1 ns, above what 64 bits hold, or no number.

    >>> [(t.label, t.ns) for t in thresholds_from_ms([50, 12.5])]
    [('50 ms', 50000000), ('12.5 ms', 12500000)]
    """
    found = []
    for value in milliseconds:
        if not math.isfinite(value):
            raise InputError(
                f"threshold {value} ms: must be a finite number of milliseconds", value=value
            )
        ns = math.floor(Fraction(str(value)) * NS_PER_MS)
        found.append(Threshold(f"{_plain(value)} ms", ns, "absolute"))
    return tuple(dict.fromkeys(found))


def thresholds_from_percentiles(
    times: ArrayLike,
    percentiles: Iterable[float],
    origin: Literal["reference", "own"],
    reference: str | None = None,
) -> tuple[Threshold, ...]:
    """Return percentiles of a trial's pooled times, in ns and of any shape, as thresholds.

    A percentile that falls on a sample without a time is no time bound and is left out; of no times
    there is none.

    >>> thresholds_from_percentiles([10, 20, 30, np.inf], [50, 75, 99], "reference")[1]
    Threshold(label='p75', ns=30, origin='reference', percentile=75, reference=None)
    """
    checked = checked_times(times)
    asked = list(percentiles) if checked.size else []
    return tuple(
        Threshold(f"p{_plain(percentile)}", math.ceil(ns), origin, percentile, reference)
        for percentile, ns in zip(asked, percentiles_inverted_cdf(checked, asked), strict=True)
        if math.isfinite(ns)
    )


def own_thresholds(
    times: ArrayLike, percentiles: Iterable[float]
) -> tuple[tuple[Threshold, ...], int]:
    """Return percentiles of a trial's first rounds, and from which round on they may be applied.

    That is round 10; below 20 rounds they are those of all of them, and it is 0: figures at these
    thresholds describe the rounds that chose them. A percentile with fewer than 10 of these times,
    [R, S] in ns, beyond it cannot be told from them and is left out.

    >>> own, first_round = own_thresholds(np.full((30, 20), 7), [95, 99])
    >>> first_round, [threshold.label for threshold in own]
    (10, ['p95'])
    """
    checked = checked_times(times)
    first_round = FREEZING_ROUNDS if len(checked) >= ROUNDS_TO_FREEZE else 0
    first = checked[: first_round or None]
    known = [p for p in percentiles if first.size * (100 - Fraction(str(p))) / 100 >= MIN_BEYOND]
    return thresholds_from_percentiles(first, known, "own"), first_round


def default_reference(
    p50s_ns: Mapping[str, float], failed: Collection[str] = ()
) -> Reference | None:
    """Return the trial of one task with the median p50 of total time, by trial id.

    Equal trials are ranked by id; of an even number the faster of the middle two is taken. Where
    that trial failed, the next slower one that did not stands in, or else the next faster one.

    >>> default_reference({"a": 30, "b": 10, "c": 20}, failed=["c"])
    Reference(trial='a', instead_of='c')
    """
    ranked = sorted(p50s_ns, key=lambda trial: (p50s_ns[trial], trial))
    middle = (len(ranked) - 1) // 2
    for trial in ranked[middle:] + ranked[:middle][::-1]:
        if trial not in failed:
            return Reference(trial, None if trial == ranked[middle] else ranked[middle])
    return None


def common_thresholds(
    trials_ns: Sequence[tuple[float, float]], count: int = 5
) -> tuple[Threshold, ...]:
    """Return absolute thresholds that span what the systems of one task need.

    Log-spaced from the fastest trial's p50 to the slowest trial's p99 (by p50; an infinite trial
    takes no part), each rounded to the nearest 1, 2 or 5 times a power of ten. What rounds to the
    same number is one threshold. ``trials_ns`` are p50 and p99 of total time in ns.

    >>> [t.label for t in common_thresholds([(4.7e6, 6e6), (33e6, 400e6)])]
    ['5 ms', '20 ms', '50 ms', '100 ms', '500 ms']
    """
    finite = [trial for trial in trials_ns if all(map(math.isfinite, trial))]
    if not finite:
        return ()
    spaced = sorted({*map(_round_125, np.geomspace(min(finite)[0], max(finite)[1], count))})
    return tuple(
        Threshold(f"{_plain(Fraction(ns, NS_PER_MS))} ms", ns, "absolute") for ns in spaced
    )


def primary_threshold(
    requested: str | None, reference_times: ArrayLike | None, reference: str | None = None
) -> Threshold | None:
    """Return the one threshold that rules and gates look at: the user's choice, or p95.

    A percentile is that of the reference trial's total times in ns, of any shape: None where there
    are none, or no time at that percentile.

    Raises InputError if the choice is neither a percentile nor a time.

    >>> primary_threshold("50ms", None)
    Threshold(label='50 ms', ns=50000000, origin='absolute', percentile=None, reference=None)
    """
    asked = _time_or_percentile(requested)
    if isinstance(asked, Threshold):
        return asked
    times = () if reference_times is None else reference_times
    return next(iter(thresholds_from_percentiles(times, [asked], "reference", reference)), None)


def primary_threshold_of(
    requested: str | None, time_at: Callable[[float], int | None]
) -> Threshold | None:
    """Return the same where the reference's times in ns are known by their percentiles alone."""
    asked = _time_or_percentile(requested)
    if isinstance(asked, Threshold):
        return asked
    ns = time_at(asked)
    return None if ns is None else Threshold(f"p{_plain(asked)}", ns, "reference", asked)


def _time_or_percentile(requested: str | None) -> Threshold | float:
    chosen = DEFAULT_PRIMARY if requested is None else requested
    match = PRIMARY.fullmatch(chosen.strip())
    if match is None:
        raise InputError(
            f"primary threshold {chosen[:40]!r}: "
            'must be a percentile such as p95 or a time such as "50 ms"',
            value=chosen,
        )
    if match["ms"]:
        return thresholds_from_ms([float(match["ms"])])[0]
    if not 0 < float(match["percentile"]) < 100:
        raise InputError(
            f"primary threshold {chosen[:40]!r}: must lie above p0 and below p100, such as p99",
            value=chosen,
        )
    return float(match["percentile"])


# The number of 1, 2, 5, 10, 20... that is nearest on a log scale; none is halfway.
def _round_125(ns: float) -> int:
    power: int = 10 ** math.floor(math.log10(ns))
    return min(
        (power, 2 * power, 5 * power, 10 * power), key=lambda rounded: abs(math.log(rounded / ns))
    )


# A number without trailing zeros, nor exponent if it is of sensible size: 50, 12.5, 99.9.
def _plain(value: float | Fraction | Decimal) -> str:
    if isinstance(value, Fraction):
        value = Decimal(value.numerator) / value.denominator
    number = Decimal(str(value)).normalize()
    return format(number, "f" if abs(number.adjusted()) < 20 else "g")
