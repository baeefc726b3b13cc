"""How much quality varies between processes, visits, rounds and samples, and how a budget of time is best split among processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.interval import check_confidence
from orchestrator.stats.laws import t_quantile
from orchestrator.stats.units import Floats, Units

FEWEST_PROCESSES = 2
MOST_PROCESSES = 1000
"""No split into more is looked for."""


class Components(NamedTuple):
    """Variances that add up to that of one round of a fresh process, in the squared unit of quality.

    process
        of what a process has of its own.
    visit
        of what a visit has of its own, NaN where no process has two visits.
    round
        of what a whole round has of its own; with that of its samples where these are not known.
    sample
        of a round's quality from each of its samples going its own way, NaN where that is not known.
    """

    process: float
    visit: float
    round: float
    sample: float


def variance_components(
    qualities: Sequence[ArrayLike], visits: Sequence[Units | None] | None = None, answers: Sequence[ArrayLike] | None = None
) -> Components:
    """Return the variance components of rounds within visits within processes, by analysis of variance.

    Mean squares are set equal to their expectations, Henderson's method I for nested classes of unequal size (Searle, Casella and
    McCulloch, *Variance Components*, chapter 5 and appendix F): with n_pv rounds in visit v of process p, n_p in the process and N in all,
    a processes and b visits,

    - E[MS_round] = r,
    - E[MS_visit] = r + k1 v, k1 = (N - sum n_pv^2/n_p)/(b - a),
    - E[MS_process] = r + k2 v + k3 p, k2 = (sum n_pv^2/n_p - sum n_pv^2/N)/(a - 1), k3 = (N - sum n_p^2/N)/(a - 1).

    What a round's samples do is taken out of r: in a process, samples are crossed with rounds, and the mean square of what is left of
    their scores without the means of samples and of rounds, over the number of samples, is the variance that they bring to a round. A
    negative estimate is 0.

    Parameters
    ----------
    qualities
        per process the quality of each round, [R_p].
    visits
        per process the visit of each round, [R_p], or None.
    answers
        per process what each inference added to each round's quality times the number of inferences, [R_p, B], so that means over
        inferences are ``qualities``; None where the metric is no mean.

    Raises
    ------
    InputError
        if there are fewer than 2 processes, or one has no rounds.

    Examples
    --------
    >>> found = variance_components([[0.7, 0.8], [0.8, 0.9]])
    >>> round(found.process, 4), round(found.round, 4)
    (0.0025, 0.005)
    """
    series = [np.asarray(quality, dtype=np.float64) for quality in qualities]
    if len(series) < FEWEST_PROCESSES or not all(one.size for one in series):
        raise InputError(f"variance components of {len(series)} processes: at least {FEWEST_PROCESSES} are needed, each with a round")
    of_visits = visits or [None] * len(series)
    parts = [_split(one, of) for one, of in zip(series, of_visits, strict=True)]
    every = np.concatenate(series)
    total, a, b = every.size, len(series), sum(map(len, parts))
    within = sum(_about_mean(part) for process in parts for part in process)
    between_visits = sum(
        part.size * float(part.mean() - one.mean()) ** 2 for one, process in zip(series, parts, strict=True) for part in process
    )
    between = sum(one.size * float(one.mean() - every.mean()) ** 2 for one in series)
    visit_squares = sum(part.size**2 / one.size for one, process in zip(series, parts, strict=True) for part in process)
    of_round = within / (total - b) if total > b else 0.0
    of_visit = math.nan
    if b > a:
        of_visit = max((between_visits / (b - a) - of_round) / ((total - visit_squares) / (b - a)), 0.0)
    k2 = (visit_squares - sum(part.size**2 for process in parts for part in process) / total) / (a - 1)
    k3 = (total - sum(one.size**2 for one in series) / total) / (a - 1)
    known = 0.0 if math.isnan(of_visit) else of_visit
    of_process = max((between / (a - 1) - of_round - k2 * known) / k3, 0.0)
    of_sample = math.nan if answers is None else min(_of_samples(answers), of_round)
    return Components(of_process, of_visit, of_round - (0.0 if math.isnan(of_sample) else of_sample), of_sample)


def _split(series: Floats, visits: Units | None) -> list[Floats]:
    """Return the rounds of each visit; all of them where there are no visits."""
    if visits is None:
        return [series]
    return [series[visits == number] for number in np.unique(visits)]


def _about_mean(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _of_samples(answers: Sequence[ArrayLike]) -> float:
    """Return the variance that samples going their own ways bring to a round's quality; NaN from single rounds or samples."""
    squares, degrees, size = 0.0, 0, 1
    for each in answers:
        table = np.asarray(each, dtype=np.float64)
        left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        squares, size = squares + float((left**2).sum()), table.shape[1]
        degrees += (table.shape[0] - 1) * (table.shape[1] - 1)
    return squares / degrees / size if degrees else math.nan


@lru_cache(maxsize=1024)
def student_t(count: int, confidence: float = 0.95) -> float:
    """Return Student's t for a two-sided interval of a mean of ``count`` values, at least 2."""
    return float(t_quantile((1 + confidence) / 2, count - 1))


def mean_of_processes(means: ArrayLike, resolution: float = 0.0, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return mean, lower and upper limit of what a fresh process has in the mean: Student's t on the means of n processes, n - 1 degrees.

    Processes that all agree show no noise, which is not the same as having none: their standard deviation is not taken below
    ``resolution``.

    Parameters
    ----------
    means : [n]
        one per process, at least 2.
    resolution
        change of a process's mean by one answer in one round.

    Examples
    --------
    >>> [round(figure, 3) for figure in mean_of_processes([0.80, 0.84, 0.82])]
    [0.82, 0.77, 0.87]
    """
    check_confidence(confidence)
    found = np.asarray(means, dtype=np.float64)
    if found.ndim != 1 or found.size < FEWEST_PROCESSES or not np.isfinite(found).all():
        raise InputError(f"interval over {found.size} processes: at least {FEWEST_PROCESSES} finite means are needed")
    mean, sd = float(found.mean()), max(float(found.std(ddof=1)), resolution)
    half = student_t(found.size, confidence) * sd / math.sqrt(found.size)
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Costs:
    """What a budget is split by.

    process, round
        variance of what a process has of its own, and long-run variance of a round, in the squared unit of quality: a mean over n
        processes of R rounds has the variance process/n + round/(n R).
    process_s, round_s
        what a fresh process costs before its first round (loading and warming up), and what a round costs, in s.
    """

    process: float
    round: float
    process_s: float
    round_s: float

    @property
    def best_rounds(self) -> float:
        """Rounds of a process at the least variance a budget can buy: (omega/sigma_P) sqrt(c_P/c_R); +inf if processes do not differ.

        Cochran, *Sampling Techniques*, section 10.6, on the best number of units within a cluster.
        """
        if self.process <= 0:
            return math.inf
        return math.sqrt(self.round / self.process * self.process_s / self.round_s)

    def half_width(self, processes: int, rounds: int, confidence: float = 0.95) -> float:
        """Return the expected half-width of Student's t over so many processes of so many rounds."""
        quantile = float(t_quantile((1 + confidence) / 2, processes - 1))
        return quantile * math.sqrt(self.process / processes + self.round / (processes * rounds))


@dataclass(frozen=True)
class Split:
    """So many processes of so many rounds, and the half-width of the 95 % interval to be expected of them."""

    processes: int
    rounds: int
    half_width: float


def best_split(costs: Costs, budget_s: float) -> Split | None:
    """Return the split of a budget, in s, with the narrowest interval over processes; None where it does not pay for two of one round.

    Every number of processes is tried with as many rounds as the rest of the budget pays for. With many processes the best has about
    ``costs.best_rounds`` rounds; with few, more processes also buy degrees of freedom.

    Examples
    --------
    >>> found = best_split(Costs(process=1e-4, round=1e-3, process_s=10, round_s=1), 600)
    >>> found.processes, found.rounds, round(found.half_width, 4)
    (30, 10, 0.0053)
    """
    return best_common_split([costs], budget_s)


def best_common_split(costs: Sequence[Costs], budget_s: float) -> Split | None:
    """Return the split that several trials share whose widest interval is narrowest, for a budget of all together; None as `best_split`.

    Examples
    --------
    >>> steady, unsteady = Costs(1e-6, 1e-4, 10, 1), Costs(1e-4, 1e-3, 10, 1)
    >>> best_common_split([steady, unsteady], 1200) == best_split(unsteady, 600)
    True
    """
    process_s, round_s = (sum(getattr(one, name) for one in costs) for name in ("process_s", "round_s"))
    most = min(MOST_PROCESSES, int(budget_s / (process_s + round_s)))
    tried = [(count, int((budget_s / count - process_s) / round_s)) for count in range(FEWEST_PROCESSES, most + 1)]
    splits = [Split(count, rounds, max(one.half_width(count, rounds) for one in costs)) for count, rounds in tried if rounds > 0]
    return min(splits, key=lambda split: split.half_width, default=None)
