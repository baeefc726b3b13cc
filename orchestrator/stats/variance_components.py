"""How quality varies between processes, visits, rounds, samples, and the best split of a budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.units import Units, t_quantile

FEWEST_PROCESSES = 2
# No split into more is looked for.
MOST_PROCESSES = 1000


class Components(NamedTuple):
    """Variances that add up to that of one round of a fresh process: of what each has of its own.

    ``visit`` is NaN where no process has two visits, ``sample`` where samples are not known; a
    round's is then with that of its samples. ``sample`` is a round's variance from each of its
    samples going its own way.
    """

    process: float
    visit: float
    round: float
    sample: float


def variance_components(
    qualities: Sequence[ArrayLike],
    visits: Sequence[Units | None] | None = None,
    answers: Sequence[ArrayLike] | None = None,
) -> Components:
    """Return the variance components of rounds within visits within processes.

    Mean squares are set equal to their expectations, Henderson's method I for nested classes of
    unequal size (Searle, Casella and McCulloch, *Variance Components*, chapter 5 and appendix F):
    with n_pv rounds in visit v of process p, n_p in the process and N in all, a processes and b
    visits,

    - E[MS_round] = r,
    - E[MS_visit] = r + k1 v, k1 = (N - sum n_pv^2/n_p)/(b - a),
    - E[MS_process] = r + k2 v + k3 p, k2 = (sum n_pv^2/n_p - sum n_pv^2/N)/(a - 1),
      k3 = (N - sum n_p^2/N)/(a - 1).

    What a round's samples do is taken out of r: in a process, samples are crossed with rounds, and
    the mean square of what is left of their scores without the means of samples and of rounds, over
    the number of samples, is the variance that they bring to a round. A negative estimate is 0.

    Each process has the quality of its rounds, [R_p], their visits or None, and, for a mean, what
    each inference added to each round's quality times the number of inferences, [R_p, B].

    >>> found = variance_components([[0.7, 0.8], [0.8, 0.9]])
    >>> round(found.process, 4), round(found.round, 4)
    (0.0025, 0.005)
    """
    series = [np.asarray(quality, dtype=np.float64) for quality in qualities]
    pairs = []
    for one, of in zip(series, visits or [None] * len(series), strict=True):
        parts = [one] if of is None else [one[of == number] for number in np.unique(of)]
        pairs += [(one, part) for part in parts]
    every = np.concatenate(series)
    total, a, b = every.size, len(series), len(pairs)
    within = sum(float(((part - part.mean()) ** 2).sum()) for _, part in pairs)
    apart = sum(part.size * float(part.mean() - one.mean()) ** 2 for one, part in pairs)
    between = sum(one.size * float(one.mean() - every.mean()) ** 2 for one in series)
    visit_squares = sum(part.size**2 / one.size for one, part in pairs)
    of_round = within / (total - b) if total > b else 0.0
    of_visit = math.nan
    if b > a:
        of_visit = max((apart / (b - a) - of_round) / ((total - visit_squares) / (b - a)), 0.0)
    k2 = (visit_squares - sum(part.size**2 for _, part in pairs) / total) / (a - 1)
    k3 = (total - sum(one.size**2 for one in series) / total) / (a - 1)
    known = 0.0 if math.isnan(of_visit) else of_visit
    of_process = max((between / (a - 1) - of_round - k2 * known) / k3, 0.0)
    of_sample = math.nan if answers is None else min(_of_samples(answers), of_round)
    alone = of_round - (0.0 if math.isnan(of_sample) else of_sample)
    return Components(of_process, of_visit, alone, of_sample)


# The variance that samples bring to a round's quality; NaN from single ones.
def _of_samples(answers: Sequence[ArrayLike]) -> float:
    squares, degrees, size = 0.0, 0, 1
    for table in (np.asarray(each, dtype=np.float64) for each in answers):
        left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        squares, size = squares + float((left**2).sum()), table.shape[1]
        degrees += (len(table) - 1) * (size - 1)
    return squares / degrees / size if degrees else math.nan


@lru_cache(maxsize=1024)
def student_t(count: int, confidence: float = 0.95) -> float:
    """Return Student's t for a two-sided interval of a mean of ``count`` values, at least 2."""
    return float(t_quantile((1 + confidence) / 2, count - 1))


def mean_of_processes(
    means: ArrayLike, resolution: float = 0.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return mean, lower and upper limit of what a fresh process has in the mean.

    Student's t on the means of n processes, [n], at least 2. Processes that all agree show no
    noise, which is not the same as having none: their standard deviation is not taken below
    ``resolution``, the change of a process's mean by one answer in one round.

    >>> [round(figure, 3) for figure in mean_of_processes([0.80, 0.84, 0.82])]
    [0.82, 0.77, 0.87]
    """
    found = np.asarray(means, dtype=np.float64)
    mean, sd = float(found.mean()), max(float(found.std(ddof=1)), resolution)
    half = student_t(found.size, confidence) * sd / math.sqrt(found.size)
    return mean, mean - half, mean + half


@dataclass(frozen=True)
class Costs:
    """What a budget is split by: variances, in the squared unit of quality, and seconds.

    A mean over n processes of R rounds has the variance process/n + round/(n R), ``process`` of
    what a process has of its own, ``round`` the long-run variance of a round. ``process_s`` is the
    cost of a fresh process before its first round (loading and warming up).
    """

    process: float
    round: float
    process_s: float
    round_s: float

    @property
    def best_rounds(self) -> float:
        """Rounds of a process at the least variance a budget can buy, +inf if these do not differ.

        (omega/sigma_P) sqrt(c_P/c_R): Cochran, *Sampling Techniques*, section 10.6, on the best
        number of units within a cluster.
        """
        if self.process <= 0:
            return math.inf
        return math.sqrt(self.round / self.process * self.process_s / self.round_s)

    def half_width(self, processes: int, rounds: int) -> float:
        """Return the expected half-width of the 95 % interval over processes of so many rounds."""
        variance = self.process / processes + self.round / (processes * rounds)
        return student_t(processes) * math.sqrt(variance)


@dataclass(frozen=True)
class Split:
    """So many processes of so many rounds, and the expected half-width of the 95 % interval."""

    processes: int
    rounds: int
    half_width: float


def best_split(costs: Sequence[Costs], budget_s: float) -> Split | None:
    """Return the split of a budget, shared by all trials, whose widest interval is narrowest.

    Every number of processes is tried with as many rounds as the rest of the budget pays for. With
    many processes the best has about `Costs.best_rounds` rounds; with few, more processes also
    buy degrees of freedom. None where the budget does not pay for two of one round.

    >>> found = best_split([Costs(process=1e-4, round=1e-3, process_s=10, round_s=1)], 600)
    >>> found.processes, found.rounds, round(found.half_width, 4)
    (30, 10, 0.0053)

    >>> steady, unsteady = Costs(1e-6, 1e-4, 10, 1), Costs(1e-4, 1e-3, 10, 1)
    >>> best_split([steady, unsteady], 1200) == best_split([unsteady], 600)
    True
    """
    process_s, round_s = sum(one.process_s for one in costs), sum(one.round_s for one in costs)
    most, splits = min(MOST_PROCESSES, int(budget_s / (process_s + round_s))), []
    for count in range(FEWEST_PROCESSES, most + 1):
        if (rounds := int((budget_s / count - process_s) / round_s)) > 0:
            splits.append(Split(count, rounds, max(one.half_width(count, rounds) for one in costs)))
    return min(splits, key=lambda split: split.half_width, default=None)
