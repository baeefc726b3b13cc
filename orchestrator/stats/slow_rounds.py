"""What moves with slow rounds, and how lateness divides between samples, rounds and neither."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.laws import ranks

LEVEL = 0.05
"""Family-wise error of all the evidence of a trial."""
FEWEST_ROUNDS = 20
"""With fewer rounds no p-value of shifts reaches `LEVEL`."""
FEWEST_APART = 6
"""Evidence that differs from its median in fewer rounds says nothing."""
FEWEST_VISITS = 6
"""From this many visits of one length on, visits are exchanged; 6 have 720 orders."""
ORDERS, MANY_ROUNDS, ORDERS_OF_MANY = 999, 5_000, 199
ROUNDING = 1e-9
SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """How evidence moves with the harm of the rounds.

    correlations
        Spearman's rank correlation of each harm with each series of evidence, trends taken out, [H, M]; NaN where either is constant.
    p_values
        one-sided, adjusted for all H x M tests, in the direction in which more evidence means more harm, [H, M]; 1 where NaN.
    method
        ``circular shifts`` or ``visits exchanged``.
    """

    correlations: Floats
    p_values: Floats
    method: str


def association(harms: ArrayLike, evidence: ArrayLike, visits: ArrayLike | None = None) -> Association:
    """Return which evidence moves with the harm of rounds, rounds being alike in neighbourhoods and not independent.

    Two statistics must both stand out: Spearman's rank correlation, which no single round makes, and the correlation of the harm's ranks
    with the evidence itself. The second is needed because rates of rare events deceive ranks: a round twice as long has twice the chance
    of one event, and any event ranks above none, though the mean rate is the same. Its expectation is 0 whatever the lengths of rounds,
    if events come at one rate. A straight line over the rounds is taken out of ranks and evidence: what rises all along moves with
    whatever else does.

    Each statistic is compared with its values when the evidence is moved against the harm, all of it at once: by circular shifts, or,
    where there are visits, by exchanging visits of one length. P-values are those of the step-down maximum of standardised statistics
    (Westfall and Young, *Resampling-Based Multiple Testing*, 1993, algorithm 2.8): Holm's procedure with the joint law in place of
    Bonferroni's bound, which with R shifts could name nothing in fewer than 20 H M rounds.

    Parameters
    ----------
    harms : [H, R]
        what is worse the larger it is: share of late answers, time of the round. +inf is allowed.
    evidence : [M, R]
        rates or readings, signed so that more should mean more harm; NaN where a round has none. A series that differs from its median
        in fewer than 6 rounds says nothing.
    visits : [R]
        number of the visit of each round, NaN for none.

    Raises
    ------
    InputError
        if a harm is NaN.

    Examples
    --------
    >>> time = np.random.default_rng(0).random(40)
    >>> float(association([time], [time**2]).p_values[0, 0])
    0.025
    """
    harm, known = np.atleast_2d(np.asarray(harms, dtype=np.float64)), np.atleast_2d(np.asarray(evidence, dtype=np.float64))
    if np.isnan(harm).any():
        raise InputError("the harm of a round is NaN: every round needs a value")
    if harm.shape[1] != known.shape[1]:
        raise ValueError(f"{harm.shape[1]} rounds of harm and {known.shape[1]} of evidence: they must be the same")
    of_harm, orders = _unit(_ranked(harm.copy())), _orders_of_visits(visits, harm.shape[1])
    varies = _varies(known)
    # One after the other, and every step in place: all evidence of a million rounds is 128 MiB, each copy of it as much again.
    ranked = _compared(of_harm, _unit(_ranked(np.where(varies, known, 0.0))), orders)
    plain = _compared(of_harm, _unit(np.where(varies, known, 0.0)), orders)
    says = (of_harm != 0).any(axis=1)[:, None] & ranked.says[None, :]
    method = "circular shifts" if orders is None else "visits exchanged"
    return Association(np.where(says, ranked.observed, np.nan), np.maximum(ranked.p_values, plain.p_values), method)


class _Compared(NamedTuple):
    """One statistic of each harm with each series of evidence, [H, M], its p-values, [H, M], and which series are not constant, [M]."""

    observed: Floats
    p_values: Floats
    says: NDArray[np.bool_]


def _compared(harm: Floats, evidence: Floats, orders: Orders | None) -> _Compared:
    values = _moved(harm, evidence, orders)
    observed, shape = values[..., 0].copy(), values.shape[:2]
    return _Compared(observed, _step_down(values.reshape(-1, values.shape[2])).reshape(shape), (evidence != 0).any(axis=1))


def _ranked(series: Floats) -> Floats:
    """Put the ranks of its values in the place of every series."""
    for row in series:
        row[:] = ranks(row)
    return series


def _varies(evidence: Floats) -> NDArray[np.bool_]:
    """Return which series differ from their median in enough rounds to say anything, [M, 1]."""
    middle = np.array([[np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0] for row in evidence])
    return np.asarray((np.isfinite(evidence) & (evidence != middle)).sum(axis=1, keepdims=True) >= FEWEST_APART)


def _unit(series: Floats) -> Floats:
    """Make series, in their place, of length 1 without their mean and their straight line.

    0 where a value is NaN, and all over a constant series.
    """
    count, says = series.shape[1], np.zeros(len(series), dtype=np.bool_)
    for place, row in enumerate(series):
        known = np.isfinite(row)
        filled = np.where(known, row, 0.0)
        centred = np.where(known, filled - filled.sum() / max(known.sum(), 1), 0.0)
        scale = np.abs(centred).max(initial=0.0)
        says[place] = scale > ROUNDING * max(np.abs(filled).max(initial=0.0), ROUNDING)
        row[:] = centred / (scale if says[place] else 1.0)
    line = np.arange(count) - (count - 1) / 2
    line /= np.sqrt(max(line @ line, 1.0))
    for place, (row, slope) in enumerate(zip(series, series @ line, strict=True)):
        row -= slope * line
        length = np.sqrt((row**2).sum())
        row[:] = row / length if says[place] and length > ROUNDING else 0.0
    return series


@dataclass(frozen=True)
class Orders:
    """Orders of rounds in which visits of one length are exchanged, the given one first: each is drawn when it is asked for.

    starts
        the first rounds of the visits of each length.
    count
        how many orders there are besides the given one.
    """

    rounds: int
    starts: Mapping[int, NDArray[np.intp]]
    count: int

    def __iter__(self) -> Iterator[NDArray[np.intp]]:
        yield np.arange(self.rounds)
        random, drawn = np.random.default_rng(SEED), dict[int, np.random.Generator]()
        for length, starts in self.starts.items():  # each begins where all draws of the one before have ended
            drawn[length] = deepcopy(random)
            deque((random.permuted(starts) for _ in range(self.count)), maxlen=0)
        for _ in range(self.count):
            order = np.arange(self.rounds)
            for length, starts in self.starts.items():
                within = np.arange(length)
                order[starts[:, None] + within] = drawn[length].permuted(starts)[:, None] + within
            yield order


def _orders_of_visits(visits: ArrayLike | None, rounds: int) -> Orders | None:
    """Return orders of the rounds in which visits of one length are exchanged; None for too few."""
    if visits is None:
        return None
    of = np.asarray(visits, dtype=np.float64)
    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]]) if of.size else np.zeros(0, dtype=np.intp)
    lengths = np.diff(np.r_[starts, of.size])
    if np.isnan(of).any() or not lengths.size or np.bincount(lengths).max() < FEWEST_VISITS:
        return None
    by_length = {int(length): starts[lengths == length] for length in np.unique(lengths)}
    return Orders(rounds, by_length, ORDERS if rounds <= MANY_ROUNDS else ORDERS_OF_MANY)


def _moved(harm: Floats, evidence: Floats, orders: Orders | None) -> Floats:
    """Return the products of harms with evidence moved against them, [H, M, ways], the observed ones first."""
    if orders is not None:
        return np.stack([harm @ evidence[:, order].T for order in orders], axis=-1)
    spectrum, found = np.fft.rfft(harm), np.empty((len(harm), *evidence.shape))
    for place, row in enumerate(evidence):
        found[:, place] = np.fft.irfft(spectrum * np.conj(np.fft.rfft(row)), n=harm.shape[1])
    return found


def _step_down(values: Floats) -> Floats:
    """Return adjusted one-sided p-values of statistics, [T], from their values over all ways, [T, ways], the observed ones first.

    The values are standardised in their place.
    """
    for row in values:
        spread = np.sqrt((row**2).mean())
        row /= spread if spread > ROUNDING else 1.0
    order = np.argsort(-values[:, 0], kind="stable")
    largest, single = np.full(values.shape[1], -np.inf), np.empty(len(values))
    for place in reversed(range(len(values))):
        row = values[order[place]]
        np.maximum(largest, row, out=largest)
        single[place] = (largest >= row[0] - ROUNDING).mean()
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(single)
    return adjusted


def disturbed(evidence: ArrayLike) -> NDArray[np.bool_]:
    """Return which rounds have much of the evidence: those above the boundary between two classes that leaves least variance within them.

    N. Otsu, "A threshold selection method from gray-level histograms", *IEEE Transactions on Systems, Man, and Cybernetics* 9, 1979. The
    boundary depends on the evidence alone, and not on what became of the answers.

    Parameters
    ----------
    evidence : [R]
        more means more harm; NaN counts as quiet.

    Returns
    -------
    [R]; no round where the evidence is constant.

    Examples
    --------
    >>> disturbed([0.1, 0.9, 0.2, 1.1]).tolist()
    [False, True, False, True]
    """
    values = np.asarray(evidence, dtype=np.float64)
    known = np.sort(values[np.isfinite(values)])
    places = np.flatnonzero(np.diff(known) > 0)
    if not places.size:
        return np.zeros(values.shape, dtype=bool)
    below = places + 1.0
    sums = np.cumsum(known)
    between = (sums[places] / below - (sums[-1] - sums[places]) / (known.size - below)) ** 2 * below * (known.size - below)
    return np.asarray(values > known[places[int(np.argmax(between))]])


@dataclass(frozen=True)
class Lateness:
    """How much of the variance of being late belongs to samples, to rounds and to neither; the three add up to 1."""

    by_sample: float
    by_round: float
    by_neither: float


def divide_lateness(late: ArrayLike) -> Lateness | None:
    r"""Return the variance components of being late: a two-way layout with random samples and rounds and one answer in each cell.

    late_ri = m + round_r + sample_i + rest_ri. With mean squares MS of rounds, of samples and of the rest (R - 1, S - 1 and
    (R - 1)(S - 1) degrees of freedom) the components are (MS_rounds - MS_rest)/S, (MS_samples - MS_rest)/R and MS_rest, those below 0
    taken as 0: Searle, Casella and McCulloch, *Variance Components*, 1992, section 4.3. Divided by their sum each is the correlation
    of being late between two answers of one sample in different rounds (``by_sample``), and of different samples in one round
    (``by_round``).

    Parameters
    ----------
    late : [R, S]
        True where the answer to a sample was late in a round.

    Returns
    -------
    None where the layout says nothing: fewer than 2 rounds or samples, or all answers late, or none.

    Examples
    --------
    >>> divide_lateness([[True, False, False], [True, False, False]])
    Lateness(by_sample=1.0, by_round=0.0, by_neither=0.0)
    """
    x = np.asarray(late, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or (x == x.flat[0]).all():
        return None
    rounds, samples = x.shape
    mean, of_round, of_sample = x.mean(), x.mean(axis=1), x.mean(axis=0)
    total = float(((x - mean) ** 2).sum())
    rounds_sum, samples_sum = samples * float(((of_round - mean) ** 2).sum()), rounds * float(((of_sample - mean) ** 2).sum())
    rest = max(0.0, total - rounds_sum - samples_sum) / ((rounds - 1) * (samples - 1))
    by_round = max(0.0, (rounds_sum / (rounds - 1) - rest) / samples)
    by_sample = max(0.0, (samples_sum / (samples - 1) - rest) / rounds)
    whole = by_round + by_sample + rest
    return Lateness(by_sample / whole, by_round / whole, rest / whole)
