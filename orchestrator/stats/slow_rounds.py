"""Late answers: what moves with slow rounds, how lateness divides, and how late ones follow."""

from collections import deque
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.units import Floats, ranks

LEVEL = 0.05  # family-wise error of all the evidence of a trial
FEWEST_ROUNDS = 20  # with fewer no p-value of shifts reaches `LEVEL`
# Evidence that differs from its median in fewer rounds says nothing; from this many visits of one
# length on, visits are exchanged: 6 have 720 orders.
FEWEST_APART, FEWEST_VISITS = 6, 6
ORDERS, MANY_ROUNDS, ORDERS_OF_MANY = 999, 5_000, 199
ROUNDING, SEED = 1e-9, 0

# The first rounds of the visits of each length.
Starts: TypeAlias = Mapping[int, NDArray[np.intp]]


class Association(NamedTuple):
    """How evidence moves with the harm of the rounds, each [H, M], and by which permutations.

    Correlations are Spearman's, trends taken out; NaN where either is constant. P-values are
    one-sided: more evidence means more harm. They are adjusted for all tests, and 1 where NaN.
    """

    correlations: Floats
    p_values: Floats
    method: str


def association(
    harms: ArrayLike, evidence: ArrayLike, visits: ArrayLike | None = None
) -> Association:
    """Return which evidence moves with the harm of rounds, rounds being alike in neighbourhoods.

    Two statistics must both stand out: Spearman's rank correlation, which no single round makes,
    and the correlation of the harm's ranks with the evidence itself. Rates of rare events deceive
    ranks: a round twice as long has twice the chance of one event, and any event ranks above none;
    the second statistic has expectation 0 if events come at one rate. A straight line over the
    rounds is taken out of ranks and evidence: what rises all along moves with whatever else does.

    Each statistic is compared with its values when all evidence is moved against the harm at once:
    by circular shifts, or by exchanging visits of one length. P-values are those of the step-down
    maximum of standardised statistics (Westfall and Young, *Resampling-Based Multiple Testing*,
    1993, algorithm 2.8).

    Harms, [H, R], are worse the larger they are: share of late answers, time of the round, +inf
    allowed. Evidence, [M, R], is signed so that more should mean more harm, NaN where a round has
    none; a series that differs from its median in fewer than 6 rounds says nothing. Visits are
    numbers, [R], NaN for none.

    >>> time = np.random.default_rng(0).random(40)
    >>> float(association([time], [time**2]).p_values[0, 0])
    0.025
    """
    harm, known = (np.atleast_2d(np.asarray(one, dtype=np.float64)) for one in (harms, evidence))
    of_harm, starts = _unit(ranks(harm)), _starts_of_visits(visits)
    rows, p_values = (row[np.isfinite(row)] for row in known), []
    middle = np.array([[np.median(row) if row.size else 0.0] for row in rows])
    differ = np.isfinite(known) & (known != middle)
    varies = differ.sum(axis=1, keepdims=True) >= FEWEST_APART
    # One after the other, ranks last, every step in place: all evidence of a million rounds is
    # 128 MiB, each copy as much again.
    for plain in (True, False):
        series = np.where(varies, known, 0.0)
        for row in () if plain else series:
            row[:] = ranks(row)
        moved = _moved(of_harm, _unit(series), starts)
        observed, says = moved[..., 0].copy(), (series != 0).any(axis=1)
        p_values.append(_step_down(moved.reshape(-1, moved.shape[2])).reshape(observed.shape))
    says = (of_harm != 0).any(axis=1)[:, None] & says
    method = "visits exchanged" if starts else "circular shifts"
    return Association(np.where(says, observed, np.nan), np.maximum(*p_values), method)


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


def _starts_of_visits(visits: ArrayLike | None) -> Starts | None:
    """Return the visits whose order may be exchanged; None for too few of one length."""
    of = np.asarray([] if visits is None else visits, dtype=np.float64)
    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]][: of.size])
    lengths = np.diff(np.r_[starts, of.size])
    if not of.size or np.isnan(of).any() or np.bincount(lengths).max() < FEWEST_VISITS:
        return None
    return {int(length): starts[lengths == length] for length in np.unique(lengths)}


def _orders(by_length: Starts) -> Iterator[NDArray[np.intp]]:
    """Yield orders of the rounds with visits of one length exchanged, the given one first."""
    rounds = sum(length * starts.size for length, starts in by_length.items())
    count = ORDERS if rounds <= MANY_ROUNDS else ORDERS_OF_MANY
    yield np.arange(rounds)
    random, drawn = np.random.default_rng(SEED), dict[int, np.random.Generator]()
    # Each length begins where all draws of the one before have ended, and draws when asked.
    for length, starts in by_length.items():
        drawn[length] = deepcopy(random)
        deque((random.permuted(starts) for _ in range(count)), maxlen=0)
    for _ in range(count):
        order = np.arange(rounds)
        for length, starts in by_length.items():
            within = np.arange(length)
            order[starts[:, None] + within] = drawn[length].permuted(starts)[:, None] + within
        yield order


def _moved(harm: Floats, evidence: Floats, starts: Starts | None) -> Floats:
    """Return the products of harms with evidence moved, [H, M, ways], the observed ones first."""
    if starts:
        return np.stack([harm @ evidence[:, order].T for order in _orders(starts)], axis=-1)
    spectrum, found = np.fft.rfft(harm), np.empty((len(harm), *evidence.shape))
    for place, row in enumerate(evidence):
        found[:, place] = np.fft.irfft(spectrum * np.conj(np.fft.rfft(row)), n=harm.shape[1])
    return found


def _step_down(values: Floats) -> Floats:
    """Return adjusted p-values, [T], of statistics over all ways, [T, ways], the observed first.

    The values are standardised in their place.
    """
    spread = np.sqrt(np.einsum("tw,tw->t", values, values) / values.shape[1])
    values /= np.where(spread > ROUNDING, spread, 1.0)[:, None]
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
    """Return which rounds have much of the evidence, [R]; NaN counts as quiet.

    They lie above the boundary between two classes that leaves least variance within: N. Otsu, "A
    threshold selection method from gray-level histograms", *IEEE Transactions on Systems, Man, and
    Cybernetics* 9, 1979.

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
    apart = sums[places] / below - (sums[-1] - sums[places]) / above
    return np.asarray(values > known[places[int(np.argmax(apart**2 * below * above))]])


def divide_lateness(late: ArrayLike) -> dict[str, float] | None:
    """Return the variance components of being late, [R, S]: two ways, one answer in each cell.

    They are shares of the variance that samples, rounds and neither make, and sum to 1.

    With mean squares MS of rounds, of samples and of the rest the components are
    (MS_rounds - MS_rest)/S, (MS_samples - MS_rest)/R and MS_rest, those below 0 taken as 0: Searle,
    Casella and McCulloch, *Variance Components*, 1992, section 4.3. Divided by their sum each is
    the correlation of being late between two answers of one sample or of one round. None where the
    layout says nothing: fewer than 2 rounds or samples, or all answers late, or none.

    >>> divide_lateness([[True, False, False], [True, False, False]])
    {'by_sample': 1.0, 'by_round': 0.0, 'by_neither': 0.0}
    """
    x = np.asarray(late, dtype=np.float64)
    rounds, samples = x.shape
    if min(x.shape) < 2 or (x == x.flat[0]).all():
        return None
    mean = x.mean()
    rounds_sum = samples * float(((x.mean(axis=1) - mean) ** 2).sum())
    samples_sum = rounds * float(((x.mean(axis=0) - mean) ** 2).sum())
    rest = max(0.0, float(((x - mean) ** 2).sum()) - rounds_sum - samples_sum)
    rest /= (rounds - 1) * (samples - 1)
    by_round = max(0.0, (rounds_sum / (rounds - 1) - rest) / samples)
    by_sample = max(0.0, (samples_sum / (samples - 1) - rest) / rounds)
    whole = by_round + by_sample + rest
    parts = {"by_sample": by_sample, "by_round": by_round, "by_neither": rest}
    return {name: part / whole for name, part in parts.items()}


def staleness(late: ArrayLike) -> NDArray[np.int64]:
    """Return the age of the last answer on time at each arrival, in frames, [N]; 0 if on time.

    Before the first answer on time, the arrivals since the beginning are counted.

    >>> staleness([True, False, True, True])
    array([1, 0, 1, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    places = np.arange(flags.size)
    return places - np.maximum.accumulate(np.where(flags, -1, places))


def late_in_windows(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return the late ones of each window of ``length`` consecutive arrivals, [N - length + 1].

    >>> late_in_windows([True, False, True, True], 3)
    array([2, 2])
    """
    until = np.concatenate([[0], np.cumsum(np.asarray(late, dtype=np.int64))])
    return np.asarray(until[length:] - until[: max(until.size - length, 0)])


def streak_of_each(late: ArrayLike) -> NDArray[np.int64]:
    """Return the length of the streak of late answers that each is one of, [N]; 0 on time.

    >>> streak_of_each([True, False, True, True])
    array([1, 0, 2, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    first, after = _streaks(flags)
    found = np.zeros(flags.size, dtype=np.int64)
    found[flags] = np.repeat(after - first, after - first)
    return found


def worst_window_of_each(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return the late ones in the worst window of ``length`` that holds each answer, [N].

    Where there are fewer arrivals, a window holds all of them.

    >>> worst_window_of_each([True, False, False, True, True], 3)
    array([1, 1, 2, 2, 2])
    """
    found = np.zeros(np.size(late), dtype=np.int64)
    if not found.size:
        return found
    held = min(length, found.size)
    found[: found.size - held + 1] = late_in_windows(late, held)
    origin = held - 1 - held // 2
    return np.asarray(scipy.ndimage.maximum_filter1d(found, held, mode="constant", origin=origin))


def silences(
    late: ArrayLike, due_ns: ArrayLike, answered_ns: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many answers each stretch of late ones has, [E], and for how long none came, [E].

    Given are the answers of a stream in order of arrival, all [N]; ``due_ns`` ascend, and
    ``answered_ns`` count where answers are on time. A silence lasts from when the first was due
    until the next answer on time; 0 if that came before. The one that the stream ends with lasts
    until the last answer was due. A stretch is a warning; one that lasts longer than a system can
    bear is an error.

    >>> silences([False, True, True, False], [50, 60, 70, 80], [40, -1, 99, 75])
    (array([2]), array([15]))
    """
    due, answered = (np.asarray(one, dtype=np.int64) for one in (due_ns, answered_ns))
    first, after = _streaks(np.asarray(late, dtype=np.bool_))
    until = np.concatenate([answered, due[-1:]])[after]
    return after - first, np.maximum(until - due[first], 0)


def _streaks(late: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the first late answer of each streak, and of the first one after it."""
    edges = np.diff(np.concatenate([[False], late, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
