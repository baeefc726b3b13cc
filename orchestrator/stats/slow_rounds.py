"""Late answers: what moves with slow rounds, how lateness divides, and how late answers follow one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
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


class Association(NamedTuple):
    """How evidence moves with the harm of the rounds.

    correlations : [H, M]
        Spearman's rank correlation of each harm with each series of evidence, trends taken out; NaN where either is constant.
    p_values : [H, M]
        one-sided, adjusted for all tests, in the direction in which more evidence means more harm; 1 where NaN.
    method
        ``circular shifts`` or ``visits exchanged``.
    """

    correlations: Floats
    p_values: Floats
    method: str


def association(harms: ArrayLike, evidence: ArrayLike, visits: ArrayLike | None = None) -> Association:
    """Return which evidence moves with the harm of rounds, rounds being alike in neighbourhoods and not independent.

    Two statistics must both stand out: Spearman's rank correlation, which no single round makes, and the correlation of the harm's
    ranks with the evidence itself. Rates of rare events deceive ranks: a round twice as long has twice the chance of one event, and
    any event ranks above none; the second statistic has expectation 0 if events come at one rate. A straight line over the rounds is
    taken out of ranks and evidence: what rises all along moves with whatever else does.

    Each statistic is compared with its values when all evidence is moved against the harm at once: by circular shifts, or by
    exchanging visits of one length. P-values are those of the step-down maximum of standardised statistics (Westfall and Young,
    *Resampling-Based Multiple Testing*, 1993, algorithm 2.8).

    Parameters
    ----------
    harms : [H, R]
        what is worse the larger it is: share of late answers, time of the round. +inf is allowed.
    evidence : [M, R]
        rates or readings, signed so that more should mean more harm; NaN where a round has none. A series that differs from its
        median in fewer than 6 rounds says nothing.
    visits : [R]
        number of the visit of each round, NaN for none.

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
    of_harm, starts = _unit(ranks(harm)), _starts_of_visits(visits)
    middle = np.array([[np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0] for row in known])
    varies = (np.isfinite(known) & (known != middle)).sum(axis=1, keepdims=True) >= FEWEST_APART
    p_values, shape = [], (len(harm), len(known))
    # One after the other, ranks last, every step in place: all evidence of a million rounds is 128 MiB, each copy as much again.
    for plain in (True, False):
        series = np.where(varies, known, 0.0)
        for row in () if plain else series:
            row[:] = ranks(row)
        moved = _moved(of_harm, _unit(series), starts)
        observed, says = moved[..., 0].copy(), (series != 0).any(axis=1)
        p_values.append(_step_down(moved.reshape(-1, moved.shape[2])).reshape(shape))
    says = (of_harm != 0).any(axis=1)[:, None] & says
    return Association(np.where(says, observed, np.nan), np.maximum(*p_values), "visits exchanged" if starts else "circular shifts")


def _unit(series: Floats) -> Floats:
    """Make series, in their place, of length 1 without their mean and their straight line.

    0 where a value is NaN, and all over a constant series.
    """
    line = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    line /= np.sqrt(max(line @ line, 1.0))
    for row in series:
        known = np.isfinite(row)
        filled = np.where(known, row, 0.0)
        centred = np.where(known, filled - filled.sum() / max(known.sum(), 1), 0.0)
        scale = np.abs(centred).max(initial=0.0)
        says = scale > ROUNDING * max(np.abs(filled).max(initial=0.0), ROUNDING)
        row[:] = centred / (scale if says else 1.0)
        row -= (row @ line) * line
        length = np.sqrt((row**2).sum())
        row[:] = row / length if says and length > ROUNDING else 0.0
    return series


Starts: TypeAlias = Mapping[int, NDArray[np.intp]]
"""The first rounds of the visits of each length."""


def _starts_of_visits(visits: ArrayLike | None) -> Starts | None:
    """Return the visits whose order may be exchanged; None for too few of one length."""
    of = np.asarray([] if visits is None else visits, dtype=np.float64)
    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]][: of.size])
    lengths = np.diff(np.r_[starts, of.size])
    if not of.size or np.isnan(of).any() or np.bincount(lengths).max() < FEWEST_VISITS:
        return None
    return {int(length): starts[lengths == length] for length in np.unique(lengths)}


def _orders(by_length: Starts) -> Iterator[NDArray[np.intp]]:
    """Yield orders of the rounds in which visits of one length are exchanged, the given one first, each drawn when it is asked for."""
    rounds = sum(length * starts.size for length, starts in by_length.items())
    count = ORDERS if rounds <= MANY_ROUNDS else ORDERS_OF_MANY
    yield np.arange(rounds)
    random, drawn = np.random.default_rng(SEED), dict[int, np.random.Generator]()
    for length, starts in by_length.items():  # each begins where all draws of the one before have ended
        drawn[length] = deepcopy(random)
        deque((random.permuted(starts) for _ in range(count)), maxlen=0)
    for _ in range(count):
        order = np.arange(rounds)
        for length, starts in by_length.items():
            within = np.arange(length)
            order[starts[:, None] + within] = drawn[length].permuted(starts)[:, None] + within
        yield order


def _moved(harm: Floats, evidence: Floats, starts: Starts | None) -> Floats:
    """Return the products of harms with evidence moved against them, [H, M, ways], the observed ones first."""
    if starts:
        return np.stack([harm @ evidence[:, order].T for order in _orders(starts)], axis=-1)
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
    """Return which rounds, [R], have much of the evidence: above the boundary between two classes that leaves least variance within.

    N. Otsu, "A threshold selection method from gray-level histograms", *IEEE Transactions on Systems, Man, and Cybernetics* 9, 1979.
    The boundary depends on the evidence alone, [R], more of which means more harm; NaN counts as quiet.

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
    below, sums = places + 1.0, np.cumsum(known)
    above = known.size - below
    between = (sums[places] / below - (sums[-1] - sums[places]) / above) ** 2 * below * above
    return np.asarray(values > known[places[int(np.argmax(between))]])


class Lateness(NamedTuple):
    """How much of the variance of being late belongs to samples, to rounds and to neither; the three add up to 1."""

    by_sample: float
    by_round: float
    by_neither: float


def divide_lateness(late: ArrayLike) -> Lateness | None:
    """Return the variance components of being late, [R, S]: a two-way layout with random samples and rounds, one answer in each cell.

    With mean squares MS of rounds, of samples and of the rest the components are (MS_rounds - MS_rest)/S, (MS_samples - MS_rest)/R
    and MS_rest, those below 0 taken as 0: Searle, Casella and McCulloch, *Variance Components*, 1992, section 4.3. Divided by their
    sum each is the correlation of being late between two answers of one sample (``by_sample``) or of one round (``by_round``). None
    where the layout says nothing: fewer than 2 rounds or samples, or all answers late, or none.

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


def staleness(late: ArrayLike) -> NDArray[np.int64]:
    """Return how old the last answer on time is at each arrival, in frames, [N]: 0 where the answer itself is on time.

    Before the first answer on time, the arrivals since the beginning are counted.

    Examples
    --------
    >>> staleness([True, False, True, True])
    array([1, 0, 1, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    places = np.arange(flags.size)
    return places - np.maximum.accumulate(np.where(flags, -1, places))


def late_in_windows(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return how many are late in each window of ``length`` consecutive arrivals, [N - length + 1]; none where there are fewer.

    Raises InputError for a window that holds nothing.

    Examples
    --------
    >>> late_in_windows([True, False, True, True], 3)
    array([2, 2])
    """
    if length < 1:
        raise InputError(f"a window of {length} answers: must hold at least 1")
    until = np.concatenate([[0], np.cumsum(np.asarray(late, dtype=np.int64))])
    found: NDArray[np.int64] = until[length:] - until[: max(until.size - length, 0)]
    return found


def streak_of_each(late: ArrayLike) -> NDArray[np.int64]:
    """Return how many late answers in a row each answer is one of, [N]: the whole streak's length for all of its answers, 0 on time.

    Examples
    --------
    >>> streak_of_each([True, False, True, True])
    array([1, 0, 2, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    first, after = _streaks(flags)
    found = np.zeros(flags.size, dtype=np.int64)
    found[flags] = np.repeat(after - first, after - first)
    return found


def worst_window_of_each(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return how many are late in the worst of the windows of ``length`` consecutive arrivals that hold each answer, [N].

    Where there are fewer arrivals, a window holds all of them. Raises InputError for a window that holds nothing.

    Examples
    --------
    >>> worst_window_of_each([True, False, False, True, True], 3)
    array([1, 1, 2, 2, 2])
    """
    from scipy.ndimage import maximum_filter1d

    flags = np.asarray(late, dtype=np.bool_)
    held = min(length, flags.size) if flags.size else length
    found = np.zeros(flags.size, dtype=np.int64)
    counts = late_in_windows(flags, held)
    found[: counts.size] = counts
    return maximum_filter1d(found, held, mode="constant", origin=held - 1 - held // 2) if flags.size else found


class Silences(NamedTuple):
    """Stretches of late answers, E of them, in order.

    answers : int64 [E]
        how many late answers each has.
    lasted_ns : int64 [E]
        for how long there was no answer: from when the first of them was due until the next answer on time; 0 if that came before.
    """

    answers: NDArray[np.int64]
    lasted_ns: NDArray[np.int64]


def silences(late: ArrayLike, due_ns: ArrayLike, answered_ns: ArrayLike) -> Silences:
    """Return the stretches of late answers of a stream. One is a warning; one that lasts longer than a system can bear is an error.

    Parameters
    ----------
    late : [N]
        in order of arrival.
    due_ns : [N]
        until when each answer had to be there, int64, ascending.
    answered_ns : [N]
        when it was; looked at where it is on time. A stretch that the stream ends with lasts until the last answer was due.

    Examples
    --------
    >>> silences([False, True, True, False], [50, 60, 70, 80], [40, -1, 99, 75])
    Silences(answers=array([2]), lasted_ns=array([15]))
    """
    flags = np.asarray(late, dtype=np.bool_)
    due, answered = np.asarray(due_ns, dtype=np.int64), np.asarray(answered_ns, dtype=np.int64)
    first, after = _streaks(flags)
    until = np.concatenate([answered, due[-1:]])[after] if flags.size else due
    return Silences(after - first, np.maximum(until - due[first], 0))


def _streaks(late: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the first late answer of each streak, and of the first answer after it."""
    edges = np.diff(np.concatenate([[False], late, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
