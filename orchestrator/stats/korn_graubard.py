"""An interval of a share by exact binomial tails, of as many independent answers as dependent ones are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.long_run import Spread, Unit

Method: TypeAlias = Literal["bootstrap-t", "korn-graubard", "signed korn-graubard", "clopper-pearson", "t", "exact", "none"]

ROUNDING = 1e-12
"""Differences of quality below this are the rounding of sums, not losses."""


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval and how it was found.

    method
        ``none`` where a single round says nothing (the interval is then everything possible), ``exact`` where nothing can vary.

    unit
        what was taken as independent of each other.

    ``parameters`` holds what the method was given and estimated, as plain numbers.
    """

    low: float
    high: float
    confidence: float
    method: Method
    parameters: Mapping[str, float] = field(default_factory=dict)
    unit: Unit = "rounds"


def korn_graubard(
    loss: NDArray[np.float64], ideal: float, at_stake: float, confidence: float = 0.95, spread: Spread | None = None
) -> Interval:
    """Return an interval of ideal - mean loss that holds up where most rounds lose nothing.

    pi = mean(L)/ideal of N = R `at_stake` answers; deff = max(1, (se/ideal)^2 / (pi (1 - pi)/N)); n_eff = (N/deff)
    (t_{N-1}/t_{df})^2, the last factor 1 where the losses do not vary; Clopper-Pearson with pi n_eff of n_eff. Korn and
    Graubard, "Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data",
    Survey Methodology 24, 1998, with rounds as clusters: se^2 = s^2/R and df = R - 1, unless ``spread`` says otherwise. With visits or
    cosines as units the last factor also counts where the losses do not vary: few slow spells do not show how much they would.

    Where each round has answers of its own, their mean may lie above ideal quality, that of all rounds: the interval then reaches up to it.

    Parameters
    ----------
    loss : [R]
        ideal - quality of each round, at least 2 rounds.
    ideal
        quality without a threshold, positive.
    at_stake
        answers that a round can lose, positive.
    confidence
        as a fraction.
    spread
        variance of the mean loss and its degrees of freedom, of rounds that depend on each other.

    Examples
    --------
    >>> round(korn_graubard(np.zeros(30), 0.9, 18.0).low, 4)
    0.8939
    """
    rounds = loss.size
    n = rounds * at_stake
    share = min(max(float(loss.mean()) / ideal, 0.0), 1.0)
    varies = float(np.ptp(loss)) > ROUNDING * ideal
    effective, deff = n, 1.0
    degrees = rounds - 1 if spread is None else spread.degrees
    if not varies and spread is not None and spread.unit != "rounds":
        effective = n * _shrink(n, degrees, confidence)
    elif varies:
        of_mean = float(loss.var(ddof=1)) / rounds if spread is None else spread.variance
        deff, effective = effective_number(share, n, of_mean / ideal**2, degrees, confidence)
    low, high = clopper_pearson(share * effective, effective, confidence)
    parameters = {"rounds": rounds, "pi": share, "n": n, "deff": deff, "n_eff": effective}
    unit: Unit = "rounds"
    if spread is not None:
        parameters["degrees"], unit = spread.degrees, spread.unit
    most = max(ideal * (1 - low), ideal - float(loss.mean()))
    return Interval(ideal * (1 - high), most, confidence, "korn-graubard", parameters, unit)


def effective_number(share: float, n: float, variance: float, degrees: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the design effect of a share of n answers, and as how many independent answers they count; see `korn_graubard`.

    Parameters
    ----------
    variance, degrees
        of the share, and the degrees of freedom of that variance.

    Examples
    --------
    >>> effective_number(0.5, 100, 0.01, 99)
    (4.0, 25.0)
    """
    independent = share * (1 - share) / n
    deff = max(1.0, variance / independent) if independent > 0 else math.inf
    return deff, n / deff * _shrink(n, degrees, confidence)


def clopper_pearson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval of a proportion by the exact binomial tails, continued to counts that are no whole numbers.

    Clopper and Pearson, Biometrika 26, 1934, in its beta form: B(a/2; x, n - x + 1) and B(1 - a/2; x + 1, n - x).

    Examples
    --------
    >>> [round(limit, 4) for limit in clopper_pearson(0, 30)]
    [0.0, 0.1157]
    """
    check_confidence(confidence)
    if not 0 <= successes <= n:
        raise InputError(f"{successes} successes of {n}: must lie between 0 and their number")
    tail = (1 - confidence) / 2
    # The special function itself: a page asks for thousands, and scipy.stats.beta.ppf takes a hundred times as long to check its input.
    low = float(scipy.special.betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(scipy.special.betaincinv(successes + 1, n - successes, 1 - tail)) if n - successes > 0 else 1.0
    return low, high


def check_confidence(confidence: float) -> None:
    """Raise InputError for a confidence that is no fraction between 0 and 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.95")


def _shrink(n: float, degrees: float, confidence: float) -> float:
    """Return (t_{N-1}/t_{df})^2, the price of knowing the variance with few degrees of freedom; never a gain."""
    if n - 1 <= degrees:
        return 1.0
    quantile = (1 + confidence) / 2
    return float((scipy.special.stdtrit(n - 1, quantile) / scipy.special.stdtrit(degrees, quantile)) ** 2)
