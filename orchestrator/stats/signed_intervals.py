"""Intervals of mean tail quality for metrics that are no mean over samples: a late answer may cost quality or add to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.korn_graubard import ROUNDING, Interval, check_confidence, korn_graubard
from orchestrator.stats.long_run import Spread, Visits, long_run_spreads


@dataclass(frozen=True)
class Sway:
    """How far late answers can move the quality of a round, and by how many inferences.

    loss, gain
        sum of what quality falls, and of what it rises, where one inference alone is late, over those that cost quality and over
        those that add to it.
    losing, gaining
        (sum of w)^2 / sum of w^2 of either: their number, where all weigh alike.
    lowest
        what no quality lies below.
    """

    loss: float
    losing: float
    gain: float
    gaining: float
    lowest: float = 0.0


def signed_intervals(
    qualities: ArrayLike,
    ideal: float,
    sway: Sway,
    confidence: float = 0.95,
    dependent: NDArray[np.bool_] | None = None,
    visits: Visits | None = None,
    alike: ArrayLike = False,
) -> list[Interval]:
    """Return intervals of mean tail quality over rounds, one per threshold, of a metric whose losses have either sign.

    mAP and F1 rise where a wrong answer comes late, so that the mean may lie above ideal quality. Losses and gains of a round,
    max(ideal - Q_r, 0) and max(Q_r - ideal, 0), each have a Korn-Graubard interval, in shares of what there is to lose and to
    gain. Their difference has the limits of Zou and Donner ("Construction of confidence limits about effect measures",
    Statistics in Medicine 27, 2008): with means l and g, limits l1, l2 and g1, g2, and their correlation c over rounds, mean
    quality lies below the observed mean by at most sqrt((l2 - l)^2 + (g - g1)^2 - 2 c (l2 - l)(g - g1)), and above it by at most
    the same of (l - l1) and (g2 - g). Whatever the rounds, the mean lies within. See docs/statistics.md for its coverage.

    Parameters
    ----------
    qualities : [M, R]
        tail quality of each round at each threshold.
    ideal
        quality without a threshold.
    sway
        what there is to lose and to gain in a round.
    confidence
        as a fraction.
    dependent, visits, alike
        for the mean of rounds to come: as in `intervals.intervals_of_rounds_to_come`. By default rounds are exchangeable, which those of
        this session are.

    Returns
    -------
    Limits of at least ``sway.lowest``; a single round says nothing, and its interval is all that is possible.

    Raises
    ------
    InputError
        if there are no rounds, or a quality is not finite or below ``sway.lowest``.

    Examples
    --------
    >>> qualities = np.array([[0.30, 0.31, 0.30, 0.32, 0.31, 0.30]])
    >>> [found] = signed_intervals(qualities, 0.30, Sway(0.35, 20.0, 0.05, 8.0))
    >>> round(found.low, 3), round(float(qualities.mean()), 3), round(found.high, 3)
    (0.295, 0.307, 0.32)
    """
    curve = np.asarray(qualities, dtype=np.float64)
    check_confidence(confidence)
    finite = bool(np.isfinite(curve).all()) and math.isfinite(ideal)
    if curve.ndim != 2 or not curve.shape[1] or not finite or curve.min(initial=sway.lowest) < sway.lowest - ROUNDING:
        raise InputError(
            f"interval over rounds of shape {curve.shape[1:]}: needs at least one round, and qualities that are finite and not below "
            f"{sway.lowest:g}"
        )
    widened = np.zeros(len(curve), dtype=bool) if dependent is None else dependent
    by_times = np.broadcast_to(alike, len(curve)).tolist()
    return [
        _interval(quality, ideal, sway, confidence, of_row, visits, told)
        for quality, of_row, told in zip(curve, widened.tolist(), by_times, strict=True)
    ]


def _interval(
    quality: NDArray[np.float64],
    ideal: float,
    sway: Sway,
    confidence: float,
    dependent: bool,
    visits: Visits | None,
    alike: bool,
) -> Interval:
    mean, best = float(quality.mean()), float(quality.max())
    if ideal <= 0 and best <= 0 and not sway.lowest:
        return Interval(0.0, 0.0, confidence, "exact")
    if ideal <= 0 or quality.size == 1:
        return Interval(sway.lowest, max(1.0, ideal + sway.gain, best), confidence, "none", {"rounds": quality.size})
    loss = ideal - quality
    loss[np.abs(loss) < ROUNDING * ideal] = 0
    lost, gained = np.maximum(loss, 0), np.maximum(-loss, 0)
    of_lost, of_gained = long_run_spreads([lost, gained], visits, alike=alike) if dependent else (None, None)
    # What one late answer does alone need not add up: together they lose all of the quality, and gain what was seen.
    lost_less, lost_more, losses = _limits(lost, max(sway.loss, ideal - sway.lowest), sway.losing, confidence, of_lost)
    gained_less, gained_more, gains = _limits(gained, max(sway.gain, float(gained.max())), sway.gaining, confidence, of_gained)
    together = _correlation(lost, gained)
    down = math.sqrt(max(lost_more**2 + gained_less**2 - 2 * together * lost_more * gained_less, 0))
    up = math.sqrt(max(lost_less**2 + gained_more**2 - 2 * together * lost_less * gained_more, 0))
    parameters = {"rounds": quality.size, "correlation": together}
    parameters |= {f"loss_{name}": value for name, value in losses.items()} | {f"gain_{name}": value for name, value in gains.items()}
    unit = "rounds" if of_lost is None else of_lost.unit
    return Interval(max(mean - down, sway.lowest), mean + up, confidence, "signed korn-graubard", parameters, unit)


def _limits(
    part: NDArray[np.float64], most: float, answers: float, confidence: float, spread: Spread | None
) -> tuple[float, float, dict[str, float]]:
    """Return how far the limits of the mean of one part, [R], lie below and above it; a part that cannot be has none."""
    if most <= 0:
        return 0.0, 0.0, {}
    found = korn_graubard(part, most, max(answers, 1.0), confidence, spread)
    mean = float(part.mean())
    parameters = {name: found.parameters[name] for name in ("pi", "n", "deff", "n_eff", "degrees") if name in found.parameters}
    return max(mean - (most - found.high), 0.0), max(most - found.low - mean, 0.0), parameters


def _correlation(lost: NDArray[np.float64], gained: NDArray[np.float64]) -> float:
    """Return the correlation of losses and gains over rounds, never positive since a round has one of them; 0 where one is constant."""
    if np.ptp(lost) <= ROUNDING or np.ptp(gained) <= ROUNDING:
        return 0.0
    return min(float(np.corrcoef(lost, gained)[0, 1]), 0.0)
