"""The variance of log time among its sources: model, runtime, system, sample, process, round..."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.density import Floats
from orchestrator.stats.units import t_quantile

SAMPLE, PROCESS, SAMPLE_IN_PROCESS = "sample", "process", "sample x process"
VISIT, SAMPLE_IN_VISIT, ROUND, REST = "visit", "sample x visit", "round", "rest"
# Units that no resample draws: it says nothing of how well their shares are known.
NOT_DRAWN = (VISIT, SAMPLE_IN_VISIT, ROUND)
# Of a share as measured: no resample counts as less, such as one that drew one unit alone.
LEAST_PART = 1e-3


class Share(NamedTuple):
    """How much of the variance of the log time of one inference a source has.

    ``variance`` is in squared units of log time, of a fixed factor the mean square of its effects.
    It is negative as it is: answers of one round, say, are then less alike than answers of
    different rounds. ``omega_squared`` is that over the sum of all, each with its sign, with limits
    that are NaN where the design does not tell.
    """

    variance: float
    omega_squared: float
    low: float
    high: float


def balanced(levels: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the levels per factor, rising, of a large complete part of a design.

    ``levels`` are each combination's level of each factor. One level after another is left out
    until the part is complete.

    Examples
    --------
    >>> balanced([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")])
    [('a', 'b'), ('x', 'y')]
    """
    found = {tuple(one) for one in levels}
    while found:
        kept = [tuple(sorted(set(names))) for names in zip(*found, strict=True)]
        if len(found) == math.prod(map(len, kept)):
            return kept
        _, place, name = min(
            (sum(one[place] == name for one in found) * len(names), place, name)
            for place, names in enumerate(kept)
            for name in names
        )
        found = {one for one in found if one[place] != name}
    return []


class _Within:
    """Mean squares within processes: of what all samples share, and of each sample's own way.

    They are sums of products over the middle axes of [C, P, .., I] times a factor, with weights of
    processes, [C, P], or else with those of samples, [I].
    """

    def __init__(self, values: Floats, factor: float) -> None:
        flat = values.reshape(*values.shape[:2], -1, values.shape[-1])
        products = [[one.T @ one * factor for one in cell] for cell in flat]
        self._pooled = np.mean(products, axis=(0, 1))
        self._shared = np.array([[one.mean() for one in cell] for cell in products])
        self._each = np.array([[np.diag(one).mean() for one in cell] for cell in products])

    def __call__(self, of_processes: Floats, of_samples: Floats | None) -> tuple[float, float]:
        both = [(of_processes * of).sum() / len(of) for of in (self._shared, self._each)]
        if of_samples is not None:
            both = [of_samples @ self._pooled @ of_samples, of_samples @ np.diag(self._pooled)]
        shared, each = map(float, both)
        return shared, each - shared


class _Design:
    """Sufficient figures of a balanced table of log times, [C, P, R, I], C in order of levels."""

    def __init__(self, log_times: Floats, sizes: Mapping[str, int], visits: int | None) -> None:
        self.sizes = {name: size for name, size in sizes.items() if size > 1}
        self.cells, self.processes, self.rounds, self.samples = log_times.shape
        self.means = log_times.mean(axis=2)
        self.visits = visits if visits and self.rounds % visits == 0 else 1
        self.visits = self.visits if self.visits < self.rounds else 1
        of_visits = (log_times - self.means[:, :, None]).reshape(
            self.cells, self.processes, self.visits, -1, self.samples
        )
        means = of_visits.mean(axis=3)
        m = self.rounds // self.visits
        self.within = _Within(of_visits - means[:, :, :, None], 1 / max(self.visits * (m - 1), 1))
        self.between = _Within(means, m / max(self.visits - 1, 1))

    def components(
        self, of_processes: Floats | None = None, of_samples: Floats | None = None
    ) -> dict[str, tuple[float, float]]:
        """Return every source's variance with noise, and that noise; the variance may be less.

        At most one is given: weights of processes, [C, P], 1 in a row, or of samples, [I].
        """
        p, i, c, m = self.processes, self.samples, self.cells, self.rounds // self.visits
        weight_p = np.full((c, p), 1 / p) if of_processes is None else of_processes
        weight_i = np.full(i, 1 / i) if of_samples is None else of_samples
        # Of equal weights 1/P and 1/I: how much less a mean varies than one of those it is of.
        part_p, part_i = float((weight_p**2).sum()) / c, float((weight_i**2).sum())
        among_p, among_i = _unbiased(part_p) if p > 1 else np.nan, _unbiased(part_i)
        of_cells = np.einsum("cp,cpi->ci", weight_p, self.means)
        spread = self.means - of_cells[:, None]
        means = spread @ weight_i
        own_ways = ((spread - means[:, :, None]) ** 2) @ weight_i
        process = float((weight_p * means**2).sum()) / c * among_p
        own = float((weight_p * own_ways).sum()) / c * among_p * among_i
        of_one, own_of_one = (0.0, 0.0) if p == 1 else (process * part_p, own * part_p)
        found: dict[str, tuple[float, float]] = {}
        for names, part in self._parts(of_cells).items():
            degrees = math.prod(self.sizes[name] - 1 for name in names)
            mean = part @ weight_i
            squares = float(((part - mean[:, None]) ** 2 @ weight_i).sum()) * among_i / degrees
            of_mean = squares * part_i + of_one - own_of_one * part_i
            found[" x ".join(names)] = float((mean**2).sum()) / c, degrees * of_mean / c
            with_samples = degrees * squares / c, degrees * own_of_one / c
            found[" x ".join((*names, SAMPLE))] = with_samples
        of_all = of_cells.mean(axis=0)
        of_sample = float(weight_i @ (of_all - weight_i @ of_all) ** 2) * among_i
        rounds, rest = self.within(weight_p, of_samples)
        rest *= among_i
        visits, of_visits = rounds, rest
        last = {ROUND: (rounds, rest * part_i), REST: (rest, 0.0)}
        if self.visits > 1:
            visits, of_visits = self.between(weight_p, of_samples)
            of_visits *= among_i
            noise = (of_visits - rest) * part_i + rounds
            own_visit = of_visits / m, rest / m
            last = {VISIT: (visits / m, noise / m), SAMPLE_IN_VISIT: own_visit, **last}
        of_process = own * part_i + (visits - of_visits * part_i) / self.rounds
        return found | {
            SAMPLE: (of_sample, own_of_one / c),
            PROCESS: (process, of_process),
            SAMPLE_IN_PROCESS: (own, of_visits / self.rounds),
            **last,
        }

    # The effects of every set of factors in every cell, [C, I], in order of size.
    def _parts(self, of_cells: Floats) -> dict[tuple[str, ...], Floats]:
        parts: dict[tuple[str, ...], Floats] = {}
        parts[()] = of_cells.reshape(*self.sizes.values(), self.samples)
        for axis, name in enumerate(self.sizes):
            for names, table in list(parts.items()):
                mean = table.mean(axis=axis, keepdims=True)
                parts[names] = np.broadcast_to(mean, table.shape)
                parts[*names, name] = table - mean
        return {
            names: parts[names].reshape(of_cells.shape)
            for count in range(1, len(self.sizes) + 1)
            for names in combinations(self.sizes, count)
        }


# What makes a mean square about a weighted mean unbiased, 0 with all weight on one.
def _unbiased(part: float) -> float:
    return 1 / (1 - part) if part < 1 - ROUNDING else 0.0


def divide_variance(
    log_times: Floats,
    sizes: Mapping[str, int],
    random: np.random.Generator,
    *,
    visits: int | None = None,
    resamples: int = 999,
    confidence: float = 0.95,
) -> dict[str, Share]:
    """Return the share of every source in the variance of the log time of one inference.

    The model: factors (fixed, with all interactions), samples (random, crossed with them),
    processes (random, within each combination of levels), the way of a sample in a process, visits,
    the way of a sample in a visit, rounds, and what is left; without visits the model has neither
    of their two terms. Mean squares are set equal to their expectations (Cornfield and Tukey,
    *Annals of Mathematical Statistics* 27, 1956; Brennan, *Generalizability Theory*, chapter 3); a
    fixed factor's component is the mean square of its effects (Vaughan and Corballis,
    *Psychological Bulletin* 72, 1969). omega^2 is a component over their sum. Every estimate keeps
    its sign, in the sum too: only then is the sum an unbiased estimate of the variance of the log
    time of one inference, and the same whether visits are terms of the model or not.

    Intervals are a two-way bootstrap. Processes are drawn within each combination of levels,
    samples for all at once, one of both at a time; the variances that their draws show are
    corrected by n/(n - 1) and added. What is drawn is the log odds of a share before its noise is
    taken off, ln((share + noise)/(1 - share)), which has no bound; its limits are Student's t, with
    Satterthwaite's degrees of freedom (*Biometrics Bulletin* 2, 1946) of both parts. Visits and
    rounds are never drawn: their shares have no interval.

    Parameters
    ----------
    log_times : [*sizes, P, R, I]
        by level of each factor, process, round and inference, all finite, and at least 2 rounds and
        inferences; R in order of time.
    sizes
        levels of each factor, in the order of the axes; one of one level has no share.
    visits
        how many visits of R / visits rounds each process had.

    Returns
    -------
    Shares by name: ``model``, ``model x system``, ``system x sample``, ``sample``, ``process``,
    ``round``... With one process a combination, ``process`` and intervals are NaN: what is a
    system's and what a process's cannot be told.
    """
    table = np.asarray(log_times, dtype=np.float64)
    design = _Design(table.reshape(-1, *table.shape[-3:]), sizes, visits)
    components = design.components()
    shares, noises = _shares(components)
    low = high = np.full(len(components), np.nan)
    if design.processes > 1:
        low, high = _limits(design, shares, noises, random, resamples, confidence)
    return {
        name: Share(whole - noise, share, *((np.nan, np.nan) if name in NOT_DRAWN else limits))
        for (name, (whole, noise)), share, *limits in zip(
            components.items(), shares.tolist(), low.tolist(), high.tolist(), strict=True
        )
    }


def _shares(components: Mapping[str, tuple[float, float]]) -> Floats:
    whole, noise = np.array([*components.values()]).T
    total = np.nansum(whole - noise)
    return np.array([whole - noise, noise]) / total if total > 0 else np.zeros((2, whole.size))


def _limits(
    design: _Design,
    shares: Floats,
    noises: Floats,
    random: np.random.Generator,
    resamples: int,
    confidence: float,
) -> tuple[Floats, Floats]:
    c, p, i = design.cells, design.processes, design.samples
    whole = shares + noises
    least_above = np.maximum(whole, 0) * LEAST_PART
    least_below = np.maximum(1 - shares, LEAST_PART) * LEAST_PART

    def log_odds(share: Floats, noise: Floats) -> Floats:
        above, below = np.maximum(share + noise, least_above), np.maximum(1 - share, least_below)
        return np.log(np.where(above > 0, above, 1)) - np.log(below)

    drawn = np.empty((resamples, 2, shares.size))
    for one in drawn:
        of_processes = random.multinomial(p, np.full(p, 1 / p), size=c) / p
        of_samples = random.multinomial(i, np.full(i, 1 / i)) / i
        both = design.components(of_processes), design.components(of_samples=of_samples)
        one[:] = [log_odds(*_shares(components)) for components in both]
    variances = drawn.var(axis=0, ddof=1) * [[p / (p - 1)], [i / (i - 1)]]
    both = variances.sum(axis=0)
    squares = (variances**2 / [[c * (p - 1)], [i - 1]]).sum(axis=0)
    degrees = np.divide(both**2, squares, out=np.ones_like(both), where=squares > 0)
    reach = t_quantile((1 + confidence) / 2, degrees) * np.sqrt(both)
    # share = (odds - noise) / (1 + odds), written so that large odds do not overflow
    against = np.exp(-(log_odds(shares, noises) + np.array([[-1], [1]]) * reach))
    limits = ((1 - noises * against) / (1 + against)).clip(0, 1)
    low, high = np.where((whole > 0) & (both > 0), limits, shares)
    return np.minimum(low, shares), np.maximum(high, shares)
