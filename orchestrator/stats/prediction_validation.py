from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.later_mean import ANYTHING, Within
from orchestrator.stats.long_run import Unit, Visits
from orchestrator.stats.prediction import DRAWS, Curve, Figures, Fitted, Method, Prediction, figures_of, predict_from_curve, predict_quality
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Times, checked_times

ROUNDS_TO_VALIDATE = 20
"""With fewer rounds none can be spared for a test."""
MOST_TEST_ROUNDS = 30
ROUNDING = 1e-9
VALIDATED_PERCENTILES = (60.0, 90.0, 95.0, 99.0)
UNKNOWN = Figures(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Validation:
    """A prediction beside what the test rounds showed, at one threshold.

    percentile
        of all times of the rounds the prediction was fitted to, in percent.
    threshold_ns
        that percentile: the time bound of ``predicted`` and ``observed``.
    predicted, observed
        figures of the fitted law and of the test rounds.
    recomputed_threshold_ns
        the same percentile of the test rounds' own times, +inf where that falls on a sample without a time.
    observed_at_recomputed
        figures of the test rounds there: what the paper compares with. An own percentile fixes the share of samples on time, so
        that the mean agrees by construction, however much slower the test rounds are.
    fit_rounds, test_rounds
        how many there are.
    low, high
        95 % prediction interval of the mean of the test rounds; NaN where the fitted rounds do not vary.
    degrees, unit
        degrees of freedom of its variance, and what was taken as independent.
    raw_of_fit, raw_of_test
        figures of both as the paper's program takes them: least qualities as they are, variances divided by the number of rounds, each at
        its own linear percentile of all samples' times, where what takes that long is late. NaN if a sample has no time.
    """

    percentile: float
    threshold_ns: float
    predicted: Figures
    observed: Figures
    recomputed_threshold_ns: float
    observed_at_recomputed: Figures
    fit_rounds: int
    test_rounds: int
    low: float = math.nan
    high: float = math.nan
    degrees: float = math.nan
    unit: Unit = "rounds"
    raw_of_fit: Figures = UNKNOWN
    raw_of_test: Figures = UNKNOWN

    @property
    def inside(self) -> bool | None:
        """Whether the mean of the test rounds lies within the predicted limits; None where there are none."""
        if math.isnan(self.low):
            return None
        return self.low - ROUNDING <= self.observed.mean <= self.high + ROUNDING

    @property
    def difference(self) -> Figures:
        """Absolute differences between prediction and test rounds at the threshold that was frozen beforehand."""
        return self.predicted.difference(self.observed)

    @property
    def difference_as_in_paper(self) -> Figures:
        """Absolute differences where the test rounds choose their own threshold; minima are a predicted median one and an observed one."""
        return self.predicted.difference(self.observed_at_recomputed)

    @property
    def difference_as_in_paper_program(self) -> Figures:
        """Absolute differences of raw figures: the program predicts nothing, and compares the least quality of R rounds with that of n."""
        return self.raw_of_fit.difference(self.raw_of_test)


def validate_prediction(
    scores: ArrayLike,
    times: ArrayLike,
    *,
    random: np.random.Generator,
    method: Method = "block-bootstrap",
    draws: int = DRAWS,
    smooth_from: int | None = None,
    percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    visits: Visits | None = None,
    halves: Halves | None = None,
) -> tuple[Validation, ...]:
    """Predict the last rounds from the first, for a metric that is a mean over samples.

    The last min(30, R // 2) rounds are the test, the others are fitted (with visits, a test begins where the next one of them does); the
    minimum predicted is that of as many rounds as the test has. Thresholds are percentiles of the fitted rounds alone.

    Parameters
    ----------
    percentiles
        of the fitted rounds' pooled times, in percent. One that falls on a sample without a time is no time bound and left out.
    halves
        what `halves_of_mean` finds in these scores, times, percentiles and visits, if that is known: it is the same for every method.

    The others are those of `predict_quality`.

    Returns
    -------
    One comparison per percentile.

    Raises
    ------
    InputError
        as `predict_quality` does, and if there are fewer than 20 rounds.

    Examples
    --------
    >>> times = np.random.default_rng(0).lognormal(16, 0.1, (60, 100))
    >>> [found] = validate_prediction(np.ones(100), times, random=np.random.default_rng(0), percentiles=[90])
    >>> found.fit_rounds, found.test_rounds, round(found.predicted.mean, 3), round(found.observed.mean, 3)
    (30, 30, 0.9, 0.893)
    """
    known = halves_of_mean(scores, times, percentiles, visits) if halves is None else halves
    predict = partial(predict_quality, scores, random=random, method=method, draws=draws, smooth_from=smooth_from, fitted=known.fitted)
    return _validated(predict, known)


def validate_from_curve(
    curve: Curve,
    times: ArrayLike,
    *,
    random: np.random.Generator,
    method: Method = "block-bootstrap",
    draws: int = DRAWS,
    smooth_from: int | None = None,
    percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    inferences: ArrayLike | None = None,
    visits: Visits | None = None,
    within: Within = ANYTHING,
) -> tuple[Validation, ...]:
    """Predict the last rounds from the first, for any metric.

    Parameters
    ----------
    inferences : [R, B]
        one time per inference in ns, whose percentiles are the thresholds; None where every sample has an inference of its own.

    The others, and the errors, are those of `predict_from_curve` and `validate_prediction`, whose result this returns.
    """
    predict = partial(predict_from_curve, curve, random=random, method=method, draws=draws, smooth_from=smooth_from, within=within)
    return _validated(predict, halves_of(curve, times, percentiles, inferences, visits))


@dataclass(frozen=True)
class Halves:
    """The rounds that are fitted and those of the test, with all of a validation that no method changes.

    fit, test
        times, [R, S].
    visits
        of the fitted rounds, [R]; None where there are none.
    frozen
        percentiles, in percent, and the time bounds that they are of the fitted rounds, in ns.
    recomputed
        the same percentiles of the test rounds.
    observed, at_recomputed
        figures of the test rounds at either, one per percentile.
    raw
        figures of the fitted and of the test rounds as the paper's program takes them, one pair per percentile.
    fitted
        the fitted rounds at these time bounds, for a metric that is a mean over samples; None for others.
    """

    fit: Times
    test: Times
    visits: Visits | None
    frozen: Sequence[tuple[float, float]]
    recomputed: Sequence[float] = ()
    observed: Sequence[Figures] = ()
    at_recomputed: Sequence[Figures] = ()
    raw: Sequence[tuple[Figures, Figures]] = ()
    fitted: Fitted | None = None


def halves_of(
    curve: Curve,
    times: ArrayLike,
    percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    inferences: ArrayLike | None = None,
    visits: Visits | None = None,
) -> Halves:
    """Divide rounds for a validation; parameters and errors are those of `validate_from_curve`."""
    checked, pooled = checked_times(times), checked_times(times if inferences is None else inferences)
    if len(checked) != len(pooled):
        raise ValueError(f"times of {len(checked)} rounds and inferences of {len(pooled)}: the rounds must be the same")
    if len(checked) < ROUNDS_TO_VALIDATE:
        raise InputError(f"validation of a prediction on {len(checked)} rounds: at least {ROUNDS_TO_VALIDATE} are needed; measure more")
    tests = _test_rounds(len(checked), visits)
    fit, test = checked[:-tests], checked[-tests:]
    chosen = zip(percentiles, percentiles_inverted_cdf(pooled[:-tests], percentiles), strict=True)
    frozen = [(percentile, bound) for percentile, bound in chosen if math.isfinite(bound)]
    of_fit = None if visits is None else visits[:-tests]
    if not frozen:
        return Halves(fit, test, of_fit, frozen)
    bounds, of_frozen = np.array([bound for _, bound in frozen]), [percentile for percentile, _ in frozen]
    recomputed = np.array(percentiles_inverted_cdf(pooled[-tests:], of_frozen))
    observed, at_recomputed = (_figures_at(curve, test, where) for where in (bounds, recomputed))
    raw = list(zip(*(_raw_figures(curve, some, of_frozen) for some in (fit, test)), strict=True))
    return Halves(fit, test, of_fit, frozen, recomputed.tolist(), observed, at_recomputed, raw)


def halves_of_mean(
    scores: ArrayLike, times: ArrayLike, percentiles: Sequence[float] = VALIDATED_PERCENTILES, visits: Visits | None = None
) -> Halves:
    """Divide rounds for validations of a metric that is a mean over samples; parameters and errors are those of `validate_prediction`."""
    score = np.asarray(scores, dtype=np.float64)
    halves = halves_of(partial(quality_curve, score), times, percentiles, visits=visits)
    bounds = np.array([bound for _, bound in halves.frozen])
    return replace(halves, fitted=Fitted(score, halves.fit, bounds) if halves.frozen else None)


def _figures_at(curve: Curve, test: Times, bounds: Floats) -> list[Figures]:
    return [Figures(*figures.tolist()) for figures in np.transpose(figures_of(curve(test, bounds), len(test)))]


def _validated(predict: Callable[..., Prediction], halves: Halves) -> tuple[Validation, ...]:
    """Fit the first rounds and look at the last, at the fitted rounds' percentiles and at the test rounds' own."""
    if not halves.frozen:
        return ()
    bounds = np.array([bound for _, bound in halves.frozen])
    predicted = predict(halves.fit, bounds, rounds=len(halves.test), visits=halves.visits)
    limits = zip(*(values.tolist() for values in predicted.later[:3]), predicted.later.units, strict=True)
    shown = zip(halves.frozen, halves.observed, halves.recomputed, halves.at_recomputed, limits, halves.raw, strict=True)
    return tuple(
        Validation(
            percentile,
            bound,
            predicted.at(index),
            observed,
            recomputed,
            at_recomputed,
            len(halves.fit),
            len(halves.test),
            *of_mean,
            *both_raw,
        )
        for index, ((percentile, bound), observed, recomputed, at_recomputed, of_mean, both_raw) in enumerate(shown)
    )


def _raw_figures(curve: Curve, times: Times, percentiles: Sequence[float]) -> list[Figures]:
    """Return figures of rounds at their own percentiles, as the paper's program takes them."""
    if not np.isfinite(times).all():
        return [UNKNOWN] * len(percentiles)
    below = np.nextafter(np.percentile(times, percentiles), 0)
    return [Figures(float(one.mean()), float(one.var()), float(one.min())) for one in curve(times, below)]


def _test_rounds(rounds: int, visits: Visits | None) -> int:
    """Return how many rounds at the end are the test: whole visits, where one begins among them."""
    tests = min(MOST_TEST_ROUNDS, rounds // 2)
    if visits is None:
        return tests
    if len(visits) != rounds:
        raise ValueError(f"visits of {len(visits)} rounds and times of {rounds}: the rounds must be the same")
    starts = np.flatnonzero(np.diff(visits)) + 1
    later = starts[starts >= rounds - tests]
    return rounds - int(later[0]) if later.size else tests
