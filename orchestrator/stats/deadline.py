"""The deadline that a system can promise: a bound that enough of its rounds keep, with a confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.korn_graubard import ROUNDING
from orchestrator.stats.laws import ranks
from orchestrator.stats.long_run import ALIKE_VISITS, Visits, depend, enough, means_of_visits, variance_ratios
from orchestrator.stats.times import checked_times


@dataclass(frozen=True)
class Deadline:
    """The deadline a system can promise, or why there is none.

    ns
        the deadline; None where none is certified.
    rank
        it is the time of this rank (from 1) among the rounds' own deadlines; None where the look could certify nothing.
    rounds, look
        number of rounds looked at, and which look that was, from 1; both 0 before the first look.
    allowed_error
        probability of a false certificate that this look may risk; 0 before the first look.
    more_rounds
        how many further rounds the next look needs that can certify; 0 where it is not rounds that are missing.
    reason
        why there is no deadline; None where there is one.
    design_effect
        how many rounds are worth one independent round; 1 where they do not depend on each other.
    """

    ns: float | None
    rank: int | None
    rounds: int
    look: int
    allowed_error: float
    more_rounds: int
    reason: str | None
    design_effect: float = 1.0


@dataclass(frozen=True)
class _Look:
    """One look at a number of rounds: what it may risk, and the smallest rank that risks no more."""

    rounds: int
    allowed_error: float
    rank: int | None


def certify_deadline(
    deadlines_ns: ArrayLike, looks: Sequence[int], *, late_share: float = 0.10, confidence: float = 0.95, visits: Visits | None = None
) -> Deadline:
    """Return a deadline that at least 1 - ``late_share`` of all rounds keep, with a confidence that holds over all looks together.

    T_(k) of R rounds with the smallest k such that P(Bin(R, 1 - alpha) <= k - 1) >= 1 - e: were T_(k) below the quantile of
    1 - alpha, k rounds or more would lie below it. No distribution is assumed (Conover, *Practical Nonparametric Statistics*,
    section 3.2, one-sided). The numbers of rounds must be fixed beforehand. Rounds that depend on each other count as R_eff = R /
    `design_effect`, and the rank k of R_eff independent ones is taken at the same share of the rounds there are, ceil(k R / R_eff). That is
    no theorem: docs/statistics.md has its false certificates by simulation.

    The first look that can certify may risk e = 1 - ``confidence``, each further one half of what is left. Such a look spends what
    its rank risks, P(Bin(R, alpha) <= R - k), and one with too few rounds spends nothing; so all looks together risk at most
    1 - ``confidence`` (Bonferroni's inequality).

    Parameters
    ----------
    deadlines_ns : [R]
        each round's own deadline in ns in order of round, +inf where it has none; see `round_deadlines.round_deadlines`.
    looks
        numbers of rounds at which the trial is looked at, rising. The last one reached counts, and the first so many rounds.
    late_share
        alpha, share of rounds that may miss the deadline.
    confidence
        gamma, as a fraction.
    visits : [R]
        number of each round's visit; None where there are none.

    Raises
    ------
    InputError
        if a parameter is out of range, or a deadline is NaN or not positive.

    Examples
    --------
    >>> shuffled = np.random.default_rng(0).permutation(59) + 1
    >>> certify_deadline(shuffled, looks=(59,), late_share=0.05)
    Deadline(ns=59.0, rank=59, rounds=59, look=1, allowed_error=0.05, more_rounds=0, reason=None, design_effect=1.0)
    >>> certify_deadline(shuffled[:24], looks=(29,)).more_rounds
    5
    """
    deadlines = np.asarray(checked_times(deadlines_ns), dtype=np.float64)
    _check(deadlines, looks, late_share, confidence)
    error = float(1 - Fraction(str(confidence)))
    planned, left = _spend(looks, late_share, error)
    reached = [look for look in planned if look.rounds <= deadlines.size]
    last = reached[-1] if reached else _Look(0, 0.0, None)
    looked_at, in_visits = deadlines[: last.rounds], None if visits is None else visits[: last.rounds]
    effect = design_effect(looked_at, late_share, in_visits) if reached else 1.0
    rank = last.rank if effect == 1 else _rank_of_dependent(last, effect, late_share)
    ns = None if rank is None else float(np.partition(looked_at, rank - 1)[rank - 1])
    more, reason = 0, None
    if ns == math.inf:
        ns, reason = None, "too many rounds never keep the quality"
    elif ns is None and last.rank is not None:
        more = math.ceil(_fewest(last.allowed_error, late_share) * effect) - deadlines.size
        reason = f"rounds depend on each other: {effect:.1f} are worth one independent round"
        reason += f", {more} more needed" if more > 0 else ", extend the trial to be looked at again"
        if _visits_alike(looked_at, late_share, in_visits):
            reason += "; its visits lie close together, so that it needs fewer with more trials beside it"
        more = max(more, 1)
    elif ns is None:
        needed = _next_look(planned[len(reached) :], looks[-1], left, error, late_share)
        more = 0 if needed is None else max(0, needed - deadlines.size)
        if needed is None:
            reason = "earlier looks risked all the error allowed"
        elif not more:
            reason = f"no look was taken at the rounds after the first {looks[-1]}"
        else:
            reason = f"{more} more {'round' if more == 1 else 'rounds'} needed"
    return Deadline(ns, rank, last.rounds, len(reached), last.allowed_error, more, reason, effect)


def next_risk(looks: Sequence[int], *, late_share: float = 0.10, confidence: float = 0.95) -> float:
    """Return what a further look may risk after these, by the rule of `certify_deadline`: 0 where they have risked all.

    Examples
    --------
    >>> [round(next_risk(looks), 4) for looks in ((), (20,), (29,), (29, 80))]
    [0.05, 0.05, 0.0014, 0.0013]
    """
    error = float(1 - Fraction(str(confidence)))
    _, left = _spend(looks, late_share, error)
    return left / 2 if left < error else left


def design_effect(deadlines_ns: ArrayLike, late_share: float, visits: Visits | None = None) -> float:
    """Return how many rounds are worth one independent round when the quantile of 1 - ``late_share`` is bounded; at least 1.

    The largest of what two series of the rounds show: whether a round lies beyond that quantile, and the logarithm of its deadline above
    the median. For each, `long_run.variance_ratios`, with the reserve `RESERVE` on what 8 cosines show. 1 unless deadlines, by their ranks
    or by their logarithms, resemble their neighbours (`long_run.depend`).

    Parameters
    ----------
    deadlines_ns : [R]
        each round's own deadline in ns, +inf where it has none, which counts as the longest.
    late_share
        share of rounds that may miss the deadline.
    visits : [R]
        number of each round's visit; None where there are none.

    Examples
    --------
    >>> alternating = np.tile([1.0, 2.0], 30)
    >>> design_effect(alternating, 0.1), round(design_effect(np.sort(alternating), 0.1), 1)
    (1.0, 56.6)
    """
    deadlines = np.asarray(deadlines_ns, dtype=np.float64)
    if not np.isfinite(deadlines).any():
        return 1.0
    logs = _logs(deadlines)
    scores = scipy.special.ndtri((ranks(deadlines) - 0.5) / deadlines.size)
    if not depend([scores, logs], visits).any():
        return 1.0
    return float(variance_ratios(_upper_half(deadlines, late_share), visits, RESERVE).max())


def _logs(deadlines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms, [R]; of +inf that of the longest."""
    return np.asarray(np.log(np.minimum(deadlines, deadlines[np.isfinite(deadlines)].max())))


def _upper_half(deadlines: NDArray[np.float64], late_share: float) -> NDArray[np.float64]:
    """Return whether a round lies beyond the quantile, and the logarithm of its deadline above the median, [2, R]."""
    logs = _logs(deadlines)
    beyond = deadlines > np.quantile(deadlines, 1 - late_share, method="inverted_cdf")
    return np.stack([beyond.astype(np.float64), np.maximum(logs, np.median(logs))])


def contradicted(promise: Deadline, later_ns: ArrayLike, late_share: float) -> bool:
    """Return whether later rounds speak against a certified deadline: P(Bin(m_eff, alpha) >= breaks) < 0.05.

    Of m later rounds m_eff = m / design effect count, and as large a share of those that broke it, rounded down.

    Parameters
    ----------
    promise
        as `certify_deadline` returned it.
    later_ns : [m]
        deadlines in ns of rounds that it does not rest on; +inf where there is none.
    late_share
        alpha, share of rounds that may miss the deadline.

    Examples
    --------
    >>> promise = certify_deadline(np.random.default_rng(0).permutation(29) + 1, looks=(29,))
    >>> [contradicted(promise, [10.0] * (7 - breaks) + [99.0] * breaks, 0.1) for breaks in (1, 3)]
    [False, True]
    """
    later = np.asarray(later_ns, dtype=np.float64)
    if promise.ns is None or not later.size:
        return False
    effective = int(later.size / promise.design_effect)
    breaks = int((later > promise.ns).sum() / promise.design_effect)
    return breaks > 0 and 1 - float(scipy.special.bdtr(breaks - 1, effective, late_share)) < CONTRADICTION


CONTRADICTION = 0.05
"""Level at which later rounds withdraw a certificate."""


RESERVE = 1.45
"""Factor on the variance that 8 cosines show, of rounds that depend on each other: 8 over the 30 % quantile of chi-squared with 8 degrees
of freedom, so that the true one is larger in three trials of ten. Without it 7 % of certificates from a real series are false."""


def _visits_alike(deadlines: NDArray[np.float64], late_share: float, visits: Visits | None) -> bool:
    """Return whether visits, the unit, resemble their neighbours: slow spells outlast the pauses between them."""
    return enough(visits) and bool(depend(means_of_visits(_upper_half(deadlines, late_share), visits), level=ALIKE_VISITS).any())


def _rank_of_dependent(look: _Look, effect: float, late_share: float) -> int | None:
    """Return the rank that a look takes whose rounds are worth fewer independent ones; None if they are too few."""
    effective = int(look.rounds / effect)
    possible = _possible_ranks(effective, late_share, look.allowed_error * (1 + ROUNDING)) if effective else 0
    return math.ceil((effective - possible + 1) * look.rounds / effective) if possible else None


def _fewest(allowed: float, late_share: float) -> int:
    """Return the fewest independent rounds that can certify at an allowed error."""
    return math.ceil(math.log(allowed) / math.log1p(-late_share) * (1 - ROUNDING))


def _spend(looks: Sequence[int], late_share: float, error: float) -> tuple[list[_Look], float]:
    """Return what each look may risk and the rank that follows, and what is left of the error after the last."""
    planned: list[_Look] = []
    left = error
    for rounds in looks:
        allowed = left / 2 if left < error else left
        possible = _possible_ranks(rounds, late_share, allowed * (1 + ROUNDING))
        planned.append(_Look(rounds, allowed, rounds - possible + 1 if possible else None))
        left = max(left - float(scipy.special.bdtr(possible - 1, rounds, late_share)), 0.0) if possible else left
    return planned, left


def _possible_ranks(rounds: int, late_share: float, allowed: float) -> int:
    """Return of how many ranks, from the highest down, each risks no more than is allowed: the risk of R, R - 1, ... rises."""
    fewest, most = 0, rounds
    while fewest < most:
        middle = (fewest + most) // 2
        if scipy.special.bdtr(middle, rounds, late_share) <= allowed:
            fewest = middle + 1
        else:
            most = middle
    return fewest


def _next_look(planned: Sequence[_Look], last: int, left: float, error: float, late_share: float) -> int | None:
    """Return the rounds of the next look that can certify: a planned one, else the earliest with what it may risk, if any."""
    for look in planned:
        if look.rank is not None:
            return look.rounds
    if left == 0:
        return None
    allowed = left / 2 if left < error else left
    return max(last + 1, _fewest(allowed, late_share))


def _check(deadlines: NDArray[np.float64], looks: Sequence[int], late_share: float, confidence: float) -> None:
    if deadlines.ndim != 1:
        raise ValueError(f"deadlines of shape {deadlines.shape}: the shape must be [rounds]")
    rising = all(before < after for before, after in zip((0, *looks), looks, strict=False))
    if not looks or not rising:
        raise InputError(f"looks at {', '.join(map(str, looks)) or 'no'} rounds: give at least one number of rounds, rising, each above 0")
    if not 0 < late_share < 1:
        raise InputError(f"late_share {late_share}: must lie between 0 and 1, such as 0.1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.95")
