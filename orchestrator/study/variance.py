"""What time depends on: the variance of log time divided among models, runtimes, systems, samples, processes, visits and rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from orchestrator.contracts import InputError
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.density import Floats
from orchestrator.stats.units import t_quantile

RESAMPLES = 999
SAMPLE, PROCESS, SAMPLE_IN_PROCESS, ROUND, REST = "sample", "process", "sample x process", "round", "rest"
VISIT, SAMPLE_IN_VISIT = "visit", "sample x visit"
NOT_DRAWN = (VISIT, SAMPLE_IN_VISIT, ROUND)
"""Units that no resample draws: it says nothing of how well their shares are known."""
LEAST_PART = 1e-3
"""Of a share as measured: no resample counts as less, where it drew one unit alone and so shows no variance among units."""


class Share(NamedTuple):
    """How much of the variance of the log time of one inference a source has.

    variance
        the component, in squared units of log time; of a fixed factor the mean square of its effects. Negative as it is: answers of one
        round, say, are then less alike than answers of different rounds.
    omega_squared, low, high
        the component over the sum of all, each with its sign, and its 95 % interval; NaN where the design does not tell.
    """

    variance: float
    omega_squared: float
    low: float
    high: float


def balanced(levels: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the levels per factor, rising, of the largest complete part of a design, from each combination's level of each factor.

    One level after another is left out until the part is complete.

    Examples
    --------
    >>> balanced([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")])
    [('a', 'b'), ('x', 'y')]
    """
    found = {tuple(one) for one in levels}
    while found:
        kept = [sorted({one[place] for one in found}) for place in range(len(next(iter(found))))]
        if len(found) == int(np.prod([len(names) for names in kept])):
            return [tuple(names) for names in kept]
        lacking = [
            (sum(one[place] == name for one in found) * len(kept[place]), place, name) for place in range(len(kept)) for name in kept[place]
        ]
        _, place, name = min(lacking)
        found = {one for one in found if one[place] != name}
    return []


class _Within:
    """Covariances of samples within processes, as mean squares of what all samples share and of each sample's own way."""

    def __init__(self, values: Floats, degrees: int, times: int = 1) -> None:
        """Of values [C, P, .., I], the sums of whose products over the middle axes are divided by ``degrees`` and taken ``times``."""
        cells, processes, *_, samples = values.shape
        self._pooled = np.zeros((samples, samples))
        self._shared, self._each = np.empty((cells, processes)), np.empty((cells, processes))
        for place in np.ndindex(cells, processes):
            flat = values[place].reshape(-1, samples)
            products = flat.T @ flat * (times / degrees)
            self._shared[place], self._each[place] = products.mean(), np.diag(products).mean()
            self._pooled += products / (cells * processes)

    def mean_squares(self, of_processes: Floats | None, of_samples: Floats | None, among_samples: float) -> tuple[float, float]:
        """Return both, with weights of processes, [C, P], or of samples, [I], in place of equal ones."""
        if of_samples is not None:
            shared, each = float(of_samples @ self._pooled @ of_samples), float(of_samples @ np.diag(self._pooled))
        elif of_processes is not None:
            shared, each = (float((of_processes * one).sum() / len(one)) for one in (self._shared, self._each))
        else:
            shared, each = float(self._shared.mean()), float(self._each.mean())
        return shared, (each - shared) * among_samples


class _Design:
    """Sufficient figures of a balanced table of log times, [C, P, R, I], its C cells in the order of the factors' levels."""

    def __init__(self, log_times: Floats, sizes: Mapping[str, int], visits: int | None) -> None:
        self.sizes = {name: size for name, size in sizes.items() if size > 1}
        every_set = [names for count in range(1, len(self.sizes) + 1) for names in combinations(self.sizes, count)]
        self._effects = [(names, math.prod(self.sizes[name] - 1 for name in names)) for names in every_set]
        self.cells, self.processes, self.rounds, self.samples = log_times.shape
        self.visits = visits if visits is not None and 1 < visits < self.rounds and self.rounds % visits == 0 else None
        self.means = log_times.mean(axis=2)
        count = self.visits or 1
        of_visits = (log_times - self.means[:, :, None]).reshape(self.cells, self.processes, count, -1, self.samples)
        visit_means = of_visits.mean(axis=3)
        self.per_visit = self.rounds // count
        self.within = _Within(of_visits - visit_means[:, :, :, None], max(count * (self.per_visit - 1), 1))
        self.between = _Within(visit_means, max(count - 1, 1), self.per_visit)

    def components(self, of_processes: Floats | None = None, of_samples: Floats | None = None) -> tuple[dict[str, float], dict[str, float]]:
        """Return the variance of every source, negative estimates as they are, and what was taken off each as noise.

        At most one of both is given: weights of processes, [C, P], 1 in a row, or of samples, [I], in place of equal ones.
        """
        p, i, c = self.processes, self.samples, self.cells
        weight_p = np.full((c, p), 1 / p) if of_processes is None else of_processes
        weight_i = np.full(i, 1 / i) if of_samples is None else of_samples
        # Of equal weights 1/P and 1/I: by how much less a mean varies than one of those that it is of.
        part_p, part_i = float((weight_p**2).sum()) / c, float((weight_i**2).sum())
        among_processes, among_samples = _unbiased(part_p) if p > 1 else np.nan, _unbiased(part_i)
        of_cells = np.einsum("cp,cpi->ci", weight_p, self.means)
        spread = self.means - of_cells[:, None]
        process_means = spread @ weight_i
        process_mean_square = float(np.einsum("cp,cp->", weight_p, process_means**2)) / c * among_processes
        own_way = spread - process_means[:, :, None]
        own_mean_square = float(np.einsum("cp,cpi,i->", weight_p, own_way**2, weight_i)) / c * among_processes * among_samples
        of_one, own = (0.0, 0.0) if p == 1 else (process_mean_square, own_mean_square)
        found: dict[str, float] = {}
        noise: dict[str, float] = {}
        parts = self._parts(of_cells)
        for names, degrees in self._effects:
            projected = parts[names].reshape(c, i)
            mean = projected @ weight_i
            own_squares = float((((projected - mean[:, None]) ** 2) @ weight_i).sum()) * among_samples / degrees
            name, with_samples = " x ".join(names), " x ".join((*names, SAMPLE))
            noise[name] = degrees * (own_squares * part_i + of_one * part_p - own * part_p * part_i) / c
            noise[with_samples] = degrees * own * part_p / c
            found[name] = float((mean**2).sum()) / c - noise[name]
            found[with_samples] = degrees * own_squares / c - noise[with_samples]
        sample_means = of_cells.mean(axis=0)
        noise[SAMPLE] = own * part_p / c
        found[SAMPLE] = float(weight_i @ (sample_means - weight_i @ sample_means) ** 2) * among_samples - noise[SAMPLE]
        of_rounds, rest = self.within.mean_squares(of_processes, of_samples, among_samples)
        last, last_noise = {ROUND: of_rounds - rest * part_i, REST: rest}, {ROUND: rest * part_i, REST: 0.0}
        upper, upper_own = of_rounds, rest
        if self.visits is not None:
            upper, upper_own = self.between.mean_squares(of_processes, of_samples, among_samples)
            of_visit = (upper - upper_own * part_i - last[ROUND]) / self.per_visit
            last = {VISIT: of_visit, SAMPLE_IN_VISIT: (upper_own - rest) / self.per_visit, **last}
            last_noise = {VISIT: upper / self.per_visit - of_visit, SAMPLE_IN_VISIT: rest / self.per_visit, **last_noise}
        noise |= {
            PROCESS: own_mean_square * part_i + (upper - upper_own * part_i) / self.rounds,
            SAMPLE_IN_PROCESS: upper_own / self.rounds,
        }
        found |= {PROCESS: process_mean_square - noise[PROCESS], SAMPLE_IN_PROCESS: own_mean_square - noise[SAMPLE_IN_PROCESS]}
        return found | last, noise | last_noise

    def _parts(self, of_cells: Floats) -> dict[tuple[str, ...], Floats]:
        """Return the effects in every cell by set of factors, [*sizes, I] each: the parts of the table that add up to it."""
        parts: dict[tuple[str, ...], Floats] = {(): of_cells.reshape(*self.sizes.values(), self.samples)}
        for axis, name in enumerate(self.sizes):
            halves: dict[tuple[str, ...], Floats] = {}
            for names, table in parts.items():
                mean = table.mean(axis=axis, keepdims=True)
                halves[names], halves[*names, name] = np.broadcast_to(mean, table.shape), table - mean
            parts = halves
        return parts


def _unbiased(part: float) -> float:
    """Return what makes the mean square about a weighted mean unbiased, 0 where all weight lies on one.

    Examples
    --------
    >>> _unbiased(1 / 5)  # five equal weights
    1.25
    """
    return 1 / (1 - part) if part < 1 - ROUNDING else 0.0


def divide_variance(
    log_times: Floats,
    sizes: Mapping[str, int],
    random: np.random.Generator,
    *,
    visits: int | None = None,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[str, Share]:
    """Return the share of every source in the variance of the log time of one inference, on a balanced design.

    The model: factors (fixed, with all interactions), samples (random, crossed with them), processes (random, within each combination
    of levels), the way of a sample in a process, visits, the way of a sample in a visit, rounds, and what is left; without visits the
    model has neither of their two terms. Mean squares are set equal to their expectations
    (Cornfield and Tukey, *Annals of Mathematical Statistics* 27, 1956; Brennan, *Generalizability Theory*, chapter 3); a fixed factor's
    component is the mean square of its effects (Vaughan and Corballis, *Psychological Bulletin* 72, 1969). omega^2 is a component over
    their sum. Every estimate keeps its sign, in the sum too: only then is the sum an unbiased estimate of the variance of the log time of
    one inference, and the same whether visits are terms of the model or not.

    Intervals are a two-way bootstrap. Processes are drawn within each combination of levels, samples for all at once, one of both at a
    time; the variances that their draws show are corrected by n/(n - 1) and added. What is drawn is the log odds of a share before its
    noise is taken off, ln((share + noise)/(1 - share)), which has no bound; its limits are Student's t, with Satterthwaite's degrees
    of freedom (*Biometrics Bulletin* 2, 1946) of both parts. Visits and rounds are never drawn: their shares have no interval.

    Parameters
    ----------
    log_times : [*sizes, P, R, I]
        log time by level of each factor, process, round and inference, all finite; R in order of time.
    sizes
        levels of each factor, in the order of the axes; one of one level has no share.
    visits
        how many visits of R / visits rounds each process had; None without visits.

    Returns
    -------
    Shares by name: ``model``, ``model x system``, ``system x sample``, ``sample``, ``process``, ``round``... With one process a
    combination, ``process`` and intervals are NaN: what is a system's and what a process's cannot be told.
    """
    table = np.asarray(log_times, dtype=np.float64)
    if min(table.shape[-2:]) < 2 or not np.isfinite(table).all():
        raise InputError(f"factors of {table.shape[-2]} rounds of {table.shape[-1]} inferences: at least 2 of each, all with a time")
    design = _Design(table.reshape(-1, *table.shape[-3:]), sizes, visits)
    found, noise = design.components()
    names = list(found)
    shares, noises = _shares(found, noise)
    if design.processes == 1:
        low = high = np.full(len(names), np.nan)
    else:
        low, high = _limits(design, shares, noises, random, resamples, confidence)
    return {
        name: Share(found[name], float(share), *((np.nan, np.nan) if name in NOT_DRAWN else (float(below), float(above))))
        for name, share, below, above in zip(names, shares, low, high, strict=True)
    }


def _shares(found: Mapping[str, float], noise: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Return variances and their noise, [n] each, over the sum of all variances, with their signs; unknown ones are left out of the sum."""
    both = np.array([[of[name] for name in found] for of in (found, noise)])
    total = np.nansum(both[0])
    shares, noises = both / total if total > 0 else np.zeros_like(both)
    return shares, noises


def _limits(
    design: _Design, shares: Floats, noises: Floats, random: np.random.Generator, resamples: int, confidence: float
) -> tuple[Floats, Floats]:
    """Return lower and upper limits of every share, [n] each."""
    c, p, i = design.cells, design.processes, design.samples
    whole, left = shares + noises, 1 - shares
    floors = (np.maximum(whole, 0) * LEAST_PART, np.maximum(left, LEAST_PART) * LEAST_PART)

    def log_odds(drawn: tuple[Floats, Floats]) -> Floats:
        above, below = np.maximum(drawn[0] + drawn[1], floors[0]), np.maximum(1 - drawn[0], floors[1])
        return np.log(above, out=np.zeros_like(above), where=above > 0) - np.log(below)

    of_processes, of_samples = np.empty((resamples, shares.size)), np.empty((resamples, shares.size))
    equal_processes, equal_samples = np.full(p, 1 / p), np.full(i, 1 / i)
    for number in range(resamples):
        weights = random.multinomial(p, equal_processes, size=c) / p
        of_processes[number] = log_odds(_shares(*design.components(of_processes=weights)))
        weights = random.multinomial(i, equal_samples) / i
        of_samples[number] = log_odds(_shares(*design.components(of_samples=weights)))
    by_processes = of_processes.var(axis=0, ddof=1) * p / (p - 1)
    by_samples = of_samples.var(axis=0, ddof=1) * i / (i - 1)
    both = by_processes + by_samples
    squares = by_processes**2 / (c * (p - 1)) + by_samples**2 / (i - 1)
    degrees = np.divide(both**2, squares, out=np.ones_like(both), where=squares > 0)
    reach = t_quantile((1 + confidence) / 2, degrees) * np.sqrt(both)
    centre = log_odds((shares, noises))
    # share = (odds - noise) / (1 + odds), written so that large odds do not overflow
    low, high = ((1 - noises * np.exp(-edge)) / (1 + np.exp(-edge)) for edge in (centre - reach, centre + reach))
    known = (whole > 0) & (both > 0)
    low, high = (np.where(known, edge.clip(0, 1), shares) for edge in (low, high))
    return np.minimum(low, shares), np.maximum(high, shares)
