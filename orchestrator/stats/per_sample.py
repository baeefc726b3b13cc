from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.divergence import Fit, divergences, fit_density
from orchestrator.stats.histogram import FewTimes
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Times, checked_times

Source: TypeAlias = Literal["empirical", "kde"]

IQR_OF_NORMAL = 1.349
KERNEL_REACH = 8.3
"""In bandwidths: further away the Gaussian distribution function is 0 or 1 in double precision."""


@dataclass(frozen=True)
class EmpiricalTimes:
    """Each sample's own distribution: the times it took, all equally likely.

    times : [R, S]
        in ns, +inf for a sample without one.
    """

    times: Times
    source: ClassVar[Source] = "empirical"

    def on_time(self, thresholds: ArrayLike) -> Floats:
        """Return the probability of each sample to be on time, [M, S], at time bounds [M] in ns: its share of the rounds."""
        return quality_curve(np.ones(len(self.times)), self.times.T, thresholds)

    def draw(self, random: np.random.Generator, rounds: int) -> Times:
        """Return times of that many rounds, [rounds, S] in ns, every sample drawn on its own."""
        return _picked(self.times, random, rounds)


@dataclass(frozen=True)
class SmoothedTimes:
    """Each sample's own distribution: a Gaussian kernel density of its log times.

    The bandwidth is Silverman's, 0.9 min(sd, IQR / 1.349) n^(-1/5), the IQR left out where it is 0, of the n times the sample
    has (Silverman, *Density Estimation*, (3.31)), and at least 1 ns at the sample's median time. Times that are all equal have
    no density and stand for themselves. A round in which the sample had no time (+inf) keeps its share: none is drawn then.

    times : [R, S]
        in ns, +inf for a sample without one.
    """

    times: Times
    source: ClassVar[Source] = "kde"

    @cached_property
    def bandwidths(self) -> Floats:
        """Standard deviation of each sample's kernel in log time, [S]; 0 where its times are all equal or it has none."""
        ordered = np.sort(self._log_times, axis=1)
        has_time = np.isfinite(ordered)
        count = np.maximum(has_time.sum(axis=1, keepdims=True), 1)
        values = np.where(has_time, ordered, 0.0)
        deviations = np.where(has_time, values - values.sum(axis=1, keepdims=True) / count, 0.0)
        sd = np.sqrt((deviations**2).sum(axis=1, keepdims=True) / count)
        ranks = np.ceil(np.array([0.25, 0.5, 0.75, 1.0]) * count).astype(np.int64)
        q1, median, q3, longest = np.split(np.take_along_axis(values, ranks - 1, axis=1), 4, axis=1)
        spread = np.where(q3 > q1, np.minimum(sd, (q3 - q1) / IQR_OF_NORMAL), sd)
        bandwidths = np.maximum(0.9 * spread * count**-0.2, np.exp(-median))
        return np.asarray(np.where(longest > values[:, :1], bandwidths, 0.0)[:, 0])

    def on_time(self, thresholds: ArrayLike) -> Floats:
        """Return the probability of each sample to be on time, [M, S], at time bounds [M] in ns."""
        exact = self.bandwidths == 0
        on_time = np.empty((np.size(thresholds), exact.size))
        on_time[:, exact] = EmpiricalTimes(self.times[:, exact]).on_time(thresholds)
        on_time[:, ~exact] = _smoothed_on_time(self._log_times[~exact], self.bandwidths[~exact], np.asarray(thresholds, dtype=np.float64))
        return on_time

    def draw(self, random: np.random.Generator, rounds: int) -> Floats:
        """Return times of that many rounds, [rounds, S] in ns, every sample drawn on its own."""
        picked = _picked(self.times, random, rounds)
        return np.asarray(picked * np.exp(self.bandwidths * random.standard_normal(picked.shape)))

    @cached_property
    def _log_times(self) -> Floats:
        """Logarithm of each sample's times, [S, R]."""
        return np.ascontiguousarray(np.log(self.times.astype(np.float64)).T)


def per_sample_times(times: ArrayLike, smooth_from: int | None = None) -> EmpiricalTimes | SmoothedTimes:
    """Return the distribution of each sample's time, as its rounds show it: as they are, or smoothed where asked for.

    Smoothing widens every sample's distribution, which moves its tail: at 100 rounds a kernel density puts the mean quality at p95
    lower than it is and its variance 16 to 36 % too high, where the times as they are have no bias (see docs/statistics.md). The
    paper fits densities; ``smooth_from=100`` does so.

    Parameters
    ----------
    times : [R, S]
        times in ns, +inf for samples without one.
    smooth_from
        number of rounds from which on a kernel density is fitted; None: never.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative, or there are no rounds.

    Examples
    --------
    >>> per_sample_times([[10, 20], [30, 20]]).on_time([20])
    array([[0.5, 1. ]])
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    if not len(checked):
        raise InputError("times of no rounds say nothing about another round: at least one is needed")
    return EmpiricalTimes(checked) if smooth_from is None or len(checked) < smooth_from else SmoothedTimes(checked)


def _picked(times: Times, random: np.random.Generator, rounds: int) -> Times:
    """Return [rounds, S] values, each from a round of its own among [R, S]."""
    observed, samples = times.shape
    picked: Times = times[random.integers(observed, size=(rounds, samples)), np.arange(samples)]
    return picked


def _smoothed_on_time(log_times: Floats, bandwidths: Floats, thresholds: Floats) -> Floats:
    """Return the kernel density's distribution function of log times [S, R] at time bounds, [M, S]."""
    with np.errstate(divide="ignore"):
        log_bounds = np.log(np.maximum(thresholds, 0))
    has_time = np.isfinite(log_times)
    share = has_time.mean(axis=1)
    nearest = log_times.min(axis=1) - KERNEL_REACH * bandwidths
    furthest = np.where(has_time, log_times, -np.inf).max(axis=1) + KERNEL_REACH * bandwidths
    on_time = np.where(log_bounds[:, None] >= furthest, share, 0.0)
    for row, bound in zip(on_time, log_bounds, strict=True):
        within = (bound > nearest) & (bound < furthest)
        row[within] = scipy.special.ndtr((bound - log_times[within]) / bandwidths[within, None]).mean(axis=1)
    return on_time


SHARES = (80.0, 85.0, 90.0, 95.0)


def rounds_each_sample_needs(times: ArrayLike, initial: int = 30, step: int = 5, window: int = 5, largest_distance: float = 0.2) -> Floats:
    """Return the least number of rounds after which each sample's own density has settled: the paper's rule per sample.

    A sample's times are fitted after ``initial + step`` rounds and after every ``step`` more; it has settled at the first fit whose
    Jensen-Shannon *distance* to each of the ``window`` fits before is at most ``largest_distance`` (Yang et al., arXiv
    2212.13925v3; with its values at 60 rounds at the earliest). The densities are ours, of log time; those of the paper's program, with
    its bandwidth of 5 ms and more, are in `paper_program.per_record`.

    Parameters
    ----------
    times : [R, S]
        times in ns, +inf for samples without one.

    Returns
    -------
    [S] numbers of rounds; +inf where R rounds are not enough.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative.

    Examples
    --------
    >>> rounds_each_sample_needs(np.random.default_rng(0).lognormal(16, 0.1, (60, 1)))
    array([60.])
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    return np.array([_rounds_needed(own, initial, step, window, largest_distance) for own in checked.T], dtype=np.float64)


def rounds_needed_by_share(rounds: ArrayLike, shares: Sequence[float] = SHARES) -> dict[float, float]:
    """Return after how many rounds 80, 85, 90 and 95 % of the samples have settled.

    Parameters
    ----------
    rounds : [S]
        what `rounds_each_sample_needs` returns, at least one.
    shares
        in percent.

    Returns
    -------
    Number of rounds by share; +inf where fewer samples have settled.

    Examples
    --------
    >>> rounds_needed_by_share([60, 65, 70, 75, np.inf])
    {80.0: 75.0, 85.0: inf, 90.0: inf, 95.0: inf}
    """
    return {share: percentile_inverted_cdf(rounds, share) for share in shares}


def _rounds_needed(times: Times, initial: int, step: int, window: int, largest_distance: float) -> float:
    """Apply the rule to one sample's times, [R]."""
    fits: list[Fit] = []
    for end in range(initial + step, times.size + 1, step):
        if not np.isfinite(times[:end]).any():
            continue
        fit = fit_density(FewTimes(times[:end]))
        if len(fits) >= window and np.sqrt(divergences(fit, fits[-window:]).max()) <= largest_distance:
            return end
        fits.append(fit)
    return math.inf
