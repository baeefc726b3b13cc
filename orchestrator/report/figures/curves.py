"""Tail quality of one trial at every threshold of the grid, all from the same rounds and the same rules as the tables."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.dependence import alike_visits, dependence_of_rows, flags_of_rows
from orchestrator.analysis.law import check_interval
from orchestrator.analysis.quality import Stake, ideal_quality, in_blocks, intervals_of, intervals_to_come, scale_of
from orchestrator.analysis.tail_quality import UNEQUAL
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.figures.chart import Floats
from orchestrator.report.figures.grid import Grid
from orchestrator.stats.times import Clock

RESAMPLES = 999
"""Resamples of a band; the figures of tables have 19,999."""


def bands(
    curve: Floats,
    ideal: float,
    stake: Stake,
    seed: int,
    dependent: Floats | None = None,
    visits: NDArray[np.int32] | None = None,
    alike: bool = False,
) -> tuple[Floats, Floats]:
    """Return 95 % limits of mean tail quality of rounds to come at every threshold.

    Thresholds between which no sample's time lies have equal rounds, and share one interval.

    Parameters
    ----------
    curve : [G, R]
        tail quality per threshold and round.
    ideal
        quality without a threshold.
    stake
        what a round can lose.
    seed
        of the resamples.
    dependent : [G]
        how far the evidence goes that rounds depend on each other, 0 to 1 (`dependence.dependence_of_rows`); None: at no threshold.
    visits : [R]
        number of each round's visit; None where there are none.
    alike
        whether times say that neighbouring visits resemble each other.

    Returns
    -------
    [G], [G] lower and upper limits.
    """
    ordered = np.sort(curve, axis=1)
    number: dict[bytes, int] = {}  # NumPy's own search for equal rows makes a Python object per round
    place = [number.setdefault(hashlib.sha256(row.tobytes()).digest(), len(number)) for row in ordered]
    distinct = ordered[[place.index(row) for row in range(len(number))]]
    random = np.random.default_rng([seed, curve.shape[1]])
    session = intervals_of(distinct, ideal, stake, random, RESAMPLES)
    found = [session[number] for number in place]
    if dependent is not None:
        found = intervals_to_come(curve, ideal, stake, found, dependent, visits, alike=alike)
    limits = np.array([(interval.low, interval.high) for interval in found])
    # Products of matrices may differ in their last digits from machine to machine; pages should not.
    low, high = limits.T.round(12)
    return low, high


BINS = 24
"""In the histogram of rounds."""

Known = Mapping[int, Mapping[str, Any]]
"""Rows of ``tail_quality.parquet`` by threshold in ns."""


@dataclass(frozen=True)
class Curve:
    """Tail quality of a trial on one clock.

    mean, worst, low, high
        [G], over rounds, with the interval of the mean.
    rounds, worst_rounds
        [G, K], mean and worst round of K stretches of rounds that are drawn as one point each; the same where a stretch is one round.
    centres
        [K], number of the round in the middle of each stretch.
    shares
        [G, B], share of rounds in each bin of quality.
    edges
        [B + 1], limits of these bins.
    flags
        [G], of the figures at each threshold.
    sign
        -1 where a smaller quality is the better one.
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
    data: TrialData, clock: Clock, grid: Grid, stake: Stake, known: Known, points: int, seed: int, flags: Sequence[str] = ()
) -> Curve:
    """Return the curve of a trial, whose every figure has these ``flags``.

    Parameters
    ----------
    stake
        what a round can lose.
    known
        figures that the result tables hold already; they are taken over.
    points
        most stretches of rounds.
    """
    judged = data.judged(data.metric)
    ideal, scale = judged.ideal(), scale_of(judged)
    times = data.times[clock]
    blocks = list(in_blocks(range(len(grid.ns)), len(times)))
    first = judged.curve(times, grid.ns[list(blocks[0])])
    best = float(first.max()) if len(blocks) == 1 else max(float(judged.curve(times, grid.ns[list(some)]).max()) for some in blocks)
    edges = np.linspace(0, max(ideal, best) or 1.0, BINS + 1)
    parts, flagged, alike = [], [], alike_visits(data, clock)
    everywhere = [*flags, *([] if stake.balanced else [UNEQUAL])]
    for some in blocks:
        quality = first if some is blocks[0] else judged.curve(times, grid.ns[list(some)])
        dependent, weights = dependence_of_rows(data, quality, clock)
        low, high = bands(quality, ideal, stake, seed, weights, data.visits, alike)
        for place, (index, own) in enumerate(zip(some, flags_of_rows(quality, dependent, data.visits, data.close_visits), strict=True)):
            ns = int(grid.ns[index])
            flagged.append(tuple(known[ns]["flags"]) if ns in known else (*everywhere, *own))
            if ns in known:
                low[place], high[place] = sorted(scale.gained(known[ns][f"interval_{limit}"]) for limit in ("low", "high"))
            elif grid.labels[index]:
                random = np.random.default_rng([seed, zlib.crc32(f"0:{data.trial_id} {clock} {ns}".encode())])
                session = intervals_of(quality[place][None], ideal, stake, random)
                [found] = intervals_to_come(quality[place][None], ideal, stake, session, weights[place][None], data.visits, alike=alike)
                low[place], high[place] = found.low, found.high
        centres, means, worst = stretches(quality, points)
        parts.append((quality.mean(axis=1), quality.min(axis=1), low, high, means, worst, _shares(quality, edges)))
    mean, least, low, high, means, worst, shares = map(np.concatenate, zip(*parts, strict=True))
    for index, ns in enumerate(grid.ns):
        check_interval(f"mean quality of trial {data.trial_id} within {ns} ns ({clock} time)", low[index], float(mean[index]), high[index])
    if scale == PLAIN:
        return Curve(ideal, mean, least, low, high, means, worst, centres, shares, edges, tuple(flagged))
    low, high = (low, high) if scale.sign > 0 else (high, low)
    mean, least, low, high, means, worst, edges = (scale.shown(each) for each in (mean, least, low, high, means, worst, edges))
    if scale.sign < 0:
        shares, edges = shares[:, ::-1], edges[::-1]
    return Curve(ideal_quality(judged), mean, least, low, high, means, worst, centres, shares, edges, tuple(flagged), scale.sign)


def stretches(values: Floats, points: int) -> tuple[Floats, Floats, Floats]:
    """Return centres [K], means [M, K] and minima [M, K] of at most ``points`` stretches of values [M, R], NaN left out."""
    rounds = values.shape[1]
    starts = np.unique(np.linspace(0, rounds, min(points, rounds), endpoint=False).astype(np.int64))
    ends = np.append(starts[1:], rounds)
    known = np.isfinite(values)
    counts = np.add.reduceat(known, starts, axis=1, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        means = np.add.reduceat(np.where(known, values, 0), starts, axis=1) / counts
    minima = np.minimum.reduceat(np.where(known, values, np.inf), starts, axis=1)
    minima[counts == 0] = np.nan
    return (starts + ends - 1) / 2, means, minima


def _shares(quality: Floats, edges: Floats) -> Floats:
    bins = len(edges) - 1
    place = np.clip((quality / edges[-1] * bins + 1e-9).astype(np.int64), 0, bins - 1)
    place += bins * np.arange(len(quality))[:, None]
    counts = np.bincount(place.ravel(), minlength=bins * len(quality)).reshape(len(quality), bins)
    return np.asarray(counts / quality.shape[1])
