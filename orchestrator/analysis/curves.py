"""What charts draw of one trial or system: its times, thresholds, and tail quality against them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import (
    JudgedMean,
    ideal_quality,
    in_blocks,
    intervals,
    over_processes,
)
from orchestrator.analysis.table import check_interval
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.convergence import fit_density
from orchestrator.stats.density import LogHistogram
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.times import Clock
from orchestrator.stats.units import Floats as Floats

NS_PER_MS = 1e6
PER_DECADE = 20  # points of a percentile plot from 90 % to 99 %, and so on
# Thresholds evenly spaced in log time, and as many at shares of all inferences; the latter where
# the metric is no mean of scores and is evaluated at each.
BETWEEN, FEWER = 48, 12
STEPS = np.array([1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001])  # of thresholds, in decades
BINS = 24  # in the histogram of rounds
# Stretches of rounds of one trial, and of all trials together.
MOST_POINTS, FEWEST_POINTS, DRAWN_POINTS = 400, 20, 4000


@dataclass(frozen=True)
class Times:
    """Times of a trial on one clock, one per inference; ``size`` counts those without one too."""

    histogram: LogHistogram
    size: int

    @property
    def timed(self) -> int:
        return int(self.histogram.counts.sum())

    def shares(self) -> Floats:
        """Return shares of inferences to draw a distribution at; near 1 they come by decades."""
        decades = max(1.0, np.log10(self.size))
        return np.append(0.0, 1 - 10 ** -np.linspace(0.05, decades, int(PER_DECADE * decades)))

    def at(self, shares: Floats) -> Floats:
        """Return the time in ms that each share of inferences keeps to; NaN where there is none."""
        if not self.timed:
            return np.full(shares.shape, np.nan)
        of_timed = shares * self.size / self.timed
        found = np.exp(self.histogram.quantiles(np.minimum(of_timed, 1))) / NS_PER_MS
        return np.asarray(np.where(of_timed > 1 + 1e-12, np.nan, found))

    def density(self, ms: Floats) -> Floats:
        """Return the density of log time at times in ms; it integrates to 1 over the logarithm."""
        fit = fit_density(self.histogram)
        logs, counts = fit.cells.occupied()
        away = (np.log(ms * NS_PER_MS)[:, np.newaxis] - logs) / fit.bandwidth.value
        weights = counts / (counts.sum() * fit.bandwidth.value * np.sqrt(2 * np.pi))
        return np.asarray(np.exp(-(away**2) / 2) @ weights)


def counted(times: Floats) -> Times:
    """Count times in ns, one per inference."""
    histogram = LogHistogram()
    histogram.add(times)
    return Times(histogram, times.size)


@dataclass(frozen=True)
class Grid:
    """Rising thresholds of one clock, and the names of those that are common; others have none.

    It starts at the primary threshold, or at the middle one where there is none.
    """

    ns: NDArray[np.int64]
    labels: tuple[str, ...]
    start: int

    @property
    def ms(self) -> Floats:
        return self.ns / NS_PER_MS


def grid_of(group: Group, clock: Clock, times: Sequence[Times]) -> Grid:
    """Return the common thresholds of a clock and others from the fastest to the slowest time.

    One stands for all where there is neither: all answers are late at it.
    """
    common, primary = group.thresholds.common(clock), group.thresholds.primary
    judged = group.trials[0].judged(group.trials[0].metric)
    found = np.concatenate([member.at(member.shares()) for member in times])
    found = np.sort(found[np.isfinite(found)]) * NS_PER_MS
    places: set[int] = {threshold.ns for threshold in common}
    if found.size:
        between = BETWEEN if isinstance(judged, JudgedMean) else FEWER
        evenly = roundest(np.geomspace(found[0], found[-1], between))
        by_share = found[np.linspace(0, len(found) - 1, between).astype(np.int64)]
        places |= {int(np.ceil(ns)) for ns in (*evenly, *by_share)}
    ns = np.array(sorted(places or {primary.ns if primary else SECOND_NS}), dtype=np.int64)
    labels = [dict.fromkeys(one.label for one in common if one.ns == place) for place in ns]
    start = int(np.searchsorted(ns, primary.ns)) if primary else len(ns) // 2
    return Grid(ns, tuple(map(", ".join, labels)), min(start, len(ns) - 1))


def roundest(places: Floats) -> Floats:
    """Return rising times, each with as few digits as tell it from its neighbours; the ends stay.

    Examples
    --------
    >>> [float(place) for place in roundest(np.array([18.4, 27.3, 29.1, 31.0, 33.2]))]
    [18.4, 25.0, 30.0, 32.0, 33.2]
    """
    rounded = places.copy()
    for index in range(1, len(places) - 1):
        low, high = np.sqrt(places[index - 1 : index + 1] * places[index : index + 2])
        for step in STEPS * 10.0 ** np.floor(np.log10(high)):
            nearest = np.round(np.round(places[index] / step) * step, 3)
            if low < nearest <= high:
                rounded[index] = nearest
                break
    return rounded


@dataclass(frozen=True)
class Curve:
    """Tail quality of a trial or system on one clock, on the metric's scale.

    At each of G thresholds, [G], it has the mean over rounds with its interval, the worst round and
    flags; at the primary one each stretch of rounds has a mean, a worst round and the number of the
    round in its middle, [K], and shares of rounds stand by quality between edges, [B + 1].
    ``sign`` is -1 where a smaller quality is the better one.
    """

    ideal: float
    mean: Floats
    worst: Floats
    low: Floats
    high: Floats
    rounds: Floats
    worst_rounds: Floats
    centres: Floats
    shares: Floats
    edges: Floats
    flags: tuple[tuple[str, ...], ...]
    sign: float = 1.0

    def oriented(self, name: str) -> Floats:
        """Return one of ``mean``, ``worst``, ``low`` and ``high`` so that more is better."""
        other = {"low": "high", "high": "low"}.get(name, name) if self.sign < 0 else name
        return np.asarray(self.sign * getattr(self, other))


def curve_of(
    data: TrialData,
    clock: Clock,
    grid: Grid,
    known: Mapping[int, Sequence[str]],
    points: int,
    flags: Sequence[str],
) -> Curve:
    """Return the curve of a trial, with at most so many ``points`` for stretches of rounds.

    ``known`` are the flags of stored figures by threshold in ns, ``flags`` those of all others.
    """
    judged, times = data.judged(data.metric), data.times[clock]
    answers = data.answers_at_stake(judged)
    parts, at = [], np.zeros(0)
    for some in in_blocks(range(len(grid.ns)), len(times)):
        quality = judged.curve(times, grid.ns[list(some)])
        if grid.start in some:
            at = quality[some.index(grid.start)]
        found = intervals(judged, quality, answers, data.visits)
        # The last digits of matrix products differ from machine to machine; pages should not.
        limits = np.array([(interval.low, interval.high) for interval in found]).T.round(12)
        parts.append((quality.mean(axis=1), quality.min(axis=1), *limits))
    mean, worst, low, high = map(np.concatenate, zip(*parts, strict=True))
    for ns, *figures in zip(grid.ns, low, mean.tolist(), high, strict=True):
        check_interval(f"mean quality of {data.trial_id} within {ns} ns ({clock} time)", *figures)
    ends = min(0.0, float(at.min())), max(judged.ideal(), float(at.max())) or 1.0
    counts, edges = np.histogram(at, BINS, ends)
    centres, rounds, worst_rounds = stretches(at, points)
    turn = slice(None, None, 1 if judged.sign > 0 else -1)
    low, high = (low, high)[turn]
    return Curve(
        ideal=ideal_quality(judged),
        mean=judged.shown(mean),
        worst=judged.shown(worst),
        low=judged.shown(low),
        high=judged.shown(high),
        rounds=judged.shown(rounds),
        worst_rounds=judged.shown(worst_rounds),
        centres=centres,
        shares=(counts / at.size)[turn],
        edges=judged.shown(edges)[turn],
        flags=tuple(tuple(known.get(int(ns), flags)) for ns in grid.ns),
        sign=judged.sign,
    )


def stretches(values: Floats, points: int) -> tuple[Floats, Floats, Floats]:
    """Return centres, means and minima of at most ``points`` stretches of values, NaN left out."""
    starts = np.linspace(0, values.size, min(points, values.size), endpoint=False).astype(np.int64)
    known = np.isfinite(values)
    counts = np.add.reduceat(known, starts, dtype=np.float64)
    counts[counts == 0] = np.nan
    means = np.add.reduceat(np.where(known, values, 0.0), starts) / counts
    minima = np.minimum.reduceat(np.where(known, values, np.inf), starts) * counts / counts
    return (starts + np.append(starts[1:], values.size) - 1) / 2, means, minima


def curve_of_processes(
    repeats: Sequence[TrialData], curves: Sequence[Curve], clock: Clock
) -> Curve:
    """Return the curve of a system that was repeated, by the rule of ``processes.parquet``.

    It has the mean of the processes' means, with Student's t over them, and the worst round of all;
    rounds stand one process after another.
    """
    first, judged = curves[0], repeats[0].judged(repeats[0].metric)
    worst = np.stack([curve.oriented("worst") for curve in curves])
    gains = judged.gained(np.stack([curve.mean for curve in curves], axis=1))
    resolution = 1 / min(data.inferences[clock].size for data in repeats)
    mean, low, high = over_processes(judged, gains, resolution).T
    limits = (low, high) if judged.sign > 0 else (high, low)
    rounds, worst_rounds, centres = (
        np.concatenate([getattr(curve, name) for curve in curves])
        for name in ("rounds", "worst_rounds", "centres")
    )
    flags = zip(*(curve.flags for curve in curves), strict=True)
    return replace(
        first,
        mean=judged.shown(mean),
        worst=first.sign * worst.min(axis=0),
        low=judged.shown(limits[0]),
        high=judged.shown(limits[1]),
        rounds=rounds,
        worst_rounds=worst_rounds,
        centres=centres,
        shares=np.mean([curve.shares for curve in curves], axis=0),
        flags=tuple(tuple(dict.fromkeys(chain(*of_all))) for of_all in flags),
    )
