"""What time depends on: the variance of log time divided among models, runtimes, systems, samples, processes, visits and rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError

Floats: TypeAlias = NDArray[np.float64]
RESAMPLES = 999
SAMPLE, PROCESS, SAMPLE_IN_PROCESS, ROUND, REST = "sample", "process", "sample x process", "round", "rest"
VISIT, SAMPLE_IN_VISIT = "visit", "sample x visit"
NOT_DRAWN = (VISIT, SAMPLE_IN_VISIT, ROUND)
"""Units that no resample draws: it says nothing of how well their shares are known."""
FEWEST = 2


@dataclass(frozen=True)
class Share:
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
    """Return the levels per factor, rising, of the largest complete part of a design that leaving out one level after another finds.

    Parameters
    ----------
    levels
        per measured combination its level of each factor.

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


class _Design:
    """Sufficient figures of a balanced table of log times, [C, P, R, I], its C cells in the order of the factors' levels."""

    def __init__(self, log_times: Floats, sizes: Mapping[str, int], visits: int | None) -> None:
        self.sizes = {name: size for name, size in sizes.items() if size > 1}
        self.cells, self.processes, self.rounds, self.samples = log_times.shape
        self.visits = visits if visits is not None and 1 < visits < self.rounds and self.rounds % visits == 0 else None
        self.means = log_times.mean(axis=2)
        centred = log_times - self.means[:, :, None]
        count = self.visits or 1
        of_visits = centred.reshape(self.cells, self.processes, count, -1, self.samples)
        visit_means = of_visits.mean(axis=3)
        within = of_visits - visit_means[:, :, :, None]
        per_visit = self.rounds // count
        trials = self.cells * self.processes
        self.within = _products(within) / (trials * max(count * (per_visit - 1), 1))
        self.between = _products(visit_means) / (trials * max(count - 1, 1)) * per_visit
        self.per_visit = per_visit

    @property
    def effects(self) -> list[tuple[str, ...]]:
        """Every factor with several levels, and every set of them."""
        return [names for count in range(1, len(self.sizes) + 1) for names in combinations(self.sizes, count)]

    def components(self, of_processes: Floats, of_samples: Floats, correction: tuple[float, float] = (1.0, 1.0)) -> dict[str, float]:
        """Return the variance of every source, negative estimates as they are.

        Parameters
        ----------
        of_processes : [C, P]
            how often each process counts, summing to P in a row.
        of_samples : [I]
            how often each sample counts, summing to I.
        correction
            of variances among processes and among samples: n/(n - 1) where they were drawn with replacement.
        """
        p, i, c = self.processes, self.samples, self.cells
        weight_p, weight_i = of_processes / p, of_samples / i
        of_cells = np.einsum("cp,cpi->ci", weight_p, self.means)
        spread = self.means - of_cells[:, None]
        among_samples = i / (i - 1) * correction[1]
        among_processes = p / (p - 1) * correction[0] if p > 1 else np.nan
        process_means = spread @ weight_i
        process_mean_square = float(np.einsum("cp,cp->", weight_p, process_means**2)) / c * among_processes
        own_way = spread - process_means[:, :, None]
        own_mean_square = float(np.einsum("cp,cpi,i->", weight_p, own_way**2, weight_i)) / c * among_processes * among_samples
        own = 0.0 if p == 1 else own_mean_square
        found: dict[str, float] = {}
        for names in self.effects:
            projected = self._projected(of_cells, names)
            mean = projected @ weight_i
            degrees = int(np.prod([self.sizes[name] - 1 for name in names]))
            own_squares = float((((projected - mean[:, None]) ** 2) @ weight_i).sum()) * among_samples / degrees
            noise = own_squares / i + (0.0 if p == 1 else process_mean_square / p - own / (p * i))
            found[" x ".join(names)] = (float((mean**2).sum()) - degrees * noise) / c
            found[" x ".join((*names, SAMPLE))] = degrees * (own_squares - own / p) / c
        sample_means = of_cells.mean(axis=0)
        found[SAMPLE] = float(weight_i @ (sample_means - weight_i @ sample_means) ** 2) * among_samples - own / (c * p)
        return found | self._within(weight_i, among_samples, process_mean_square, own_mean_square)

    def _within(self, weight_i: Floats, among_samples: float, process_mean_square: float, own_mean_square: float) -> dict[str, float]:
        """Return the variance of processes, visits, rounds, samples' own ways in these and what is left, from their mean squares."""
        r, i, m = self.rounds, self.samples, self.per_visit
        of_rounds, rest = _split(self.within, weight_i, among_samples)
        last = {ROUND: of_rounds - rest / i, REST: rest}
        if self.visits is None:
            upper, upper_own = of_rounds, rest
        else:
            upper, upper_own = _split(self.between, weight_i, among_samples)
            last = {VISIT: (upper - upper_own / i - last[ROUND]) / m, SAMPLE_IN_VISIT: (upper_own - rest) / m, **last}
        process = process_mean_square - own_mean_square / i - (upper - upper_own / i) / r
        return {PROCESS: process, SAMPLE_IN_PROCESS: own_mean_square - upper_own / r, **last}

    def _projected(self, of_cells: Floats, names: Sequence[str]) -> Floats:
        """Return the effects of a set of factors in every cell, [C, I]: the parts of the table that add up to it."""
        table = of_cells.reshape(*self.sizes.values(), self.samples)
        for axis, name in enumerate(self.sizes):
            mean = table.mean(axis=axis, keepdims=True)
            table = table - mean if name in names else np.broadcast_to(mean, table.shape)
        return np.asarray(table).reshape(self.cells, self.samples)


def _products(values: Floats) -> Floats:
    """Return the sums of products of samples, [I, I], over all other axes of values [..., I]."""
    flat = values.reshape(-1, values.shape[-1])
    return np.asarray(flat.T @ flat)


def _split(covariance: Floats, weight_i: Floats, among_samples: float) -> tuple[float, float]:
    """Return the mean square of what all samples share and that of each sample's own way, from a covariance of samples, [I, I]."""
    shared = float(weight_i @ covariance @ weight_i)
    return shared, float(weight_i @ np.diag(covariance) - shared) * among_samples


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

    Intervals are a two-way bootstrap: processes are drawn within each combination, samples for all at once, with the variance among
    drawn units corrected by n/(n - 1) and the distribution shifted by its bias. Inferences are no replicates and are never drawn, nor are
    visits and rounds, whose shares have no interval.

    Parameters
    ----------
    log_times : [*sizes, P, R, I]
        log time by level of each factor, process, round and inference, all finite; R in order of time.
    sizes
        levels of each factor, in the order of the axes.
    visits
        how many visits of R / visits rounds each process had; None without visits.

    Returns
    -------
    Shares by name: ``model``, ``model x system``, ``system x sample``, ``sample``, ``process``, ``round``... A factor of one level has
    none. With one process a combination ``process`` is NaN and intervals are NaN: what is a system's and what a process's cannot be told.

    Raises
    ------
    InputError
        for fewer than 2 samples or rounds, or times that are not finite.
    """
    table = np.asarray(log_times, dtype=np.float64)
    if table.ndim != len(sizes) + 3 or table.shape[: len(sizes)] != tuple(sizes.values()):
        raise ValueError(f"log times of shape {table.shape} and factors {dict(sizes)}: the shape must be [*sizes, P, R, I]")
    if min(table.shape[-2:]) < FEWEST or not np.isfinite(table).all():
        raise InputError(f"factors of {table.shape[-2]} rounds of {table.shape[-1]} inferences: at least 2 of each, all with a time")
    design = _Design(table.reshape(-1, *table.shape[-3:]), sizes, visits)
    p, i, c = design.processes, design.samples, design.cells
    point = design.components(np.ones((c, p)), np.ones(i))
    names = list(point)
    shares = _shares(np.array([list(point.values())]))[0]
    if p == 1:
        return {name: Share(value, share, np.nan, np.nan) for name, value, share in zip(names, point.values(), shares, strict=True)}
    drawn = np.empty((resamples, len(names)))
    for number in range(resamples):
        of_processes = random.multinomial(p, np.full(p, 1 / p), size=c).astype(np.float64)
        of_samples = random.multinomial(i, np.full(i, 1 / i)).astype(np.float64)
        found = design.components(of_processes, of_samples, (p / (p - 1), i / (i - 1)))
        drawn[number] = [found[name] for name in names]
    resampled = _shares(drawn)
    resampled += shares - resampled.mean(axis=0)
    edges = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).clip(0, 1)
    return {
        name: Share(point[name], float(share), np.nan, np.nan)
        if name in NOT_DRAWN
        else Share(point[name], float(share), min(float(low), float(share)), max(float(high), float(share)))
        for name, share, low, high in zip(names, shares, *edges, strict=True)
    }


def _shares(components: Floats) -> Floats:
    """Return each row's components, [.., n], over their sum, with their signs; unknown ones are left out of the sum."""
    total = np.nansum(components, axis=-1, keepdims=True)
    return np.asarray(np.divide(components, total, out=np.zeros_like(components), where=total > 0))
