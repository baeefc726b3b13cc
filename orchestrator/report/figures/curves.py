"""Tail quality of one trial at every threshold of the grid, all from the same rounds and the same rules as the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.quality import ideal_quality, in_blocks, intervals, scale_of
from orchestrator.analysis.table import check_interval
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.figures.chart import Floats
from orchestrator.report.figures.grid import Grid
from orchestrator.stats.times import Clock

BINS = 24
"""In the histogram of rounds."""

Known = Mapping[int, Sequence[str]]
"""Flags of the rows of ``tail_quality.parquet``, by threshold in ns."""


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


def curve_of(data: TrialData, clock: Clock, grid: Grid, answers: float, known: Known, points: int, flags: Sequence[str] = ()) -> Curve:
    """Return the curve of a trial, whose every figure has these ``flags``.

    Parameters
    ----------
    answers
        how many answers a round can lose.
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
    parts, flagged = [], []
    for some in blocks:
        quality = first if some is blocks[0] else judged.curve(times, grid.ns[list(some)])
        found = intervals(judged, quality, answers, data.visits)
        # Products of matrices may differ in their last digits from machine to machine; pages should not.
        low, high = np.array([(interval.low, interval.high) for interval in found]).T.round(12)
        flagged += [tuple(known.get(int(grid.ns[index]), flags)) for index in some]
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
