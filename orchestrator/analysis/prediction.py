"""Tail quality predicted from a trial's first rounds, beside what its last rounds showed: one tidy row per threshold and method."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np

from orchestrator.analysis.dependence import FEW_ROUNDS, MIN_ROUNDS
from orchestrator.analysis.quality import JudgedMean, ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.later_mean import ANYTHING
from orchestrator.stats.prediction import DRAWS, Fitted, Method, variance_ratio_of
from orchestrator.stats.prediction_validation import (
    ROUNDS_TO_VALIDATE,
    Halves,
    Validation,
    halves_of_mean,
    validate_from_curve,
    validate_prediction,
)
from orchestrator.stats.times import Clock
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters


class PredictionRow(Labels):
    """One row per trial, clock, threshold and method: what the first rounds predict, and what the last ones showed."""

    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`"]
    threshold: Annotated[str, "a percentile of the first rounds"]
    threshold_ns: Annotated[Int64, "the time bound"]
    threshold_origin: Annotated[str, "`own`"]
    method: Annotated[str, "how it was predicted"]
    parameters: Annotated[Parameters, "what the method was given, numbers by name"]
    fit_rounds: Annotated[Int32, "how many rounds predict"]
    test_rounds: Annotated[Int32, "how many rounds are predicted"]
    ideal: Annotated[float, "quality without a threshold"]
    predicted_mean: Annotated[float | None, "mean tail quality, predicted from the first rounds"]
    predicted_low: Annotated[
        float | None, "lower limit of the 95 % interval of the mean of the last rounds; null where the first do not vary"
    ]
    predicted_high: Annotated[float | None, "upper limit"]
    predicted_variance: Annotated[float | None, "variance of tail quality between rounds, predicted from the first rounds"]
    predicted_minimum: Annotated[float | None, "tail quality of the worst of the last rounds: its median, predicted from the first"]
    observed_mean: Annotated[float | None, "mean tail quality, observed in the last rounds"]
    inside: Annotated[bool | None, "whether `observed_mean` lies within `predicted_low` and `predicted_high`; null without them"]
    observed_variance: Annotated[float | None, "variance of tail quality between rounds, observed in the last rounds"]
    observed_minimum: Annotated[float | None, "tail quality of the worst round, observed in the last rounds"]
    difference_mean: Annotated[float | None, "mean tail quality, observed minus predicted"]
    difference_variance: Annotated[float | None, "variance of tail quality between rounds, observed minus predicted"]
    difference_minimum: Annotated[float | None, "tail quality of the worst round, observed minus predicted"]
    recomputed_threshold_ns: Annotated[Int64 | None, "the same percentile of the last rounds"]
    difference_as_in_paper_mean: Annotated[float | None, "`difference_mean` where the last rounds choose their own threshold"]
    difference_as_in_paper_variance: Annotated[float | None, "the same of the variance"]
    difference_as_in_paper_minimum: Annotated[
        float | None, "the same of the worst round: a predicted median minimum beside an observed one"
    ]
    difference_as_in_paper_program_mean: Annotated[
        float | None,
        "mean tail quality of the last rounds beside that of the first, each at its own percentile, as the paper's program has it",
    ]
    difference_as_in_paper_program_variance: Annotated[float | None, "the same of the variance"]
    difference_as_in_paper_program_minimum: Annotated[
        float | None, "the same of the worst round: raw minima, of rounds that differ in number"
    ]
    variance_ratio: Annotated[float | None, "variance between rounds over what it were if inferences were independent"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def prediction_rows(data: TrialData, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[PredictionRow]:
    """Yield the rows of one trial for ``prediction.parquet``, for the primary metric; none where there are too few rounds."""
    if len(data.times[data.clock]) < ROUNDS_TO_VALIDATE:
        return
    for clock in data.times:
        ratios: list[float] | None = None
        halves = _halves(data, clock)
        for method in _methods(data):
            random = np.random.default_rng([analysis.seed, zlib.crc32(f"{data.trial_id} {clock} {method}".encode())])
            found = _validated(data, clock, method, random, halves)
            # All methods are read at the same thresholds, those of the fitted rounds.
            ratios = _variance_ratios(data, clock, found, halves) if ratios is None else ratios
            for validation, ratio in zip(found, ratios, strict=True):
                yield _row(data, clock, method, validation, ratio, flags)


def _methods(data: TrialData) -> tuple[Method, ...]:
    """Return the methods: whole rounds, and for contrast independent inferences, exact if scores are 0 or 1, else by drawing.

    A metric that is no mean would have to be evaluated anew on thousands of drawn rounds, and where every round puts other samples
    into a batch no inference has a distribution of its own: neither has a contrast.
    """
    scores = data.scores_per_inference()
    if scores is None:
        return ("block-bootstrap",)
    return ("block-bootstrap", "poisson-binomial" if np.isin(scores, (0, 1)).all() else "monte-carlo")


def _halves(data: TrialData, clock: Clock) -> Halves | None:
    """Return what all methods share of the rounds, None where they look at different times: at samples, and at batches of them."""
    scores = data.scores_per_inference()
    if scores is None or data.inferences[clock] is not data.times[clock]:
        return None
    return halves_of_mean(scores, data.times[clock], visits=data.visits)


def _validated(data: TrialData, clock: Clock, method: Method, random: np.random.Generator, halves: Halves | None) -> tuple[Validation, ...]:
    """Return what a method predicts; thresholds are percentiles of inferences, and what is drawn singly is an inference."""
    times, scores = data.inferences[clock], data.scores_per_inference()
    if scores is not None and (method != "block-bootstrap" or times is data.times[clock]):
        return validate_prediction(scores, times, random=random, method=method, visits=data.visits, halves=halves)
    judged = data.judged(data.metric)
    within = (0.0, judged.ideal()) if isinstance(judged, JudgedMean) else ANYTHING
    every = data.times[clock]
    return validate_from_curve(judged.curve, every, random=random, method=method, inferences=times, visits=data.visits, within=within)


def _variance_ratios(data: TrialData, clock: Clock, found: Sequence[Validation], halves: Halves | None) -> list[float]:
    """Return one ratio per threshold, over the fitted rounds, of independent inferences; NaN where there is no contrast."""
    scores = data.scores_per_inference()
    if not found or scores is None:
        return [math.nan] * len(found)
    bounds = np.array([validation.threshold_ns for validation in found])
    known = None if halves is None else halves.fitted
    fitted = Fitted(scores, data.inferences[clock][: found[0].fit_rounds], bounds) if known is None else known
    ratios: list[float] = variance_ratio_of(fitted).tolist()
    return ratios


def _row(data: TrialData, clock: Clock, method: Method, found: Validation, ratio: float, flags: Sequence[str]) -> PredictionRow:
    judged = data.judged(data.metric)
    scale = scale_of(judged)
    predicted, observed = (_shown(figures, scale.shown) for figures in (found.predicted, found.observed))
    limits = (None, None) if found.inside is None else scale.shown_limits(found.low, found.high)
    few = found.unit == "cosines" and found.fit_rounds < MIN_ROUNDS
    differences = (found.difference, found.difference_as_in_paper, found.difference_as_in_paper_program)
    difference, as_in_paper, as_in_program = (_shown(figures, scale.shown_difference) for figures in differences)
    return {
        **data.record.labels(),
        "metric": data.metric,
        "clock": clock,
        "threshold": f"p{found.percentile:g}",
        "threshold_ns": math.ceil(found.threshold_ns),
        "threshold_origin": "own",
        "method": method,
        "parameters": {
            "minimum_of_rounds": float(found.test_rounds),
            "confidence": 0.95,
            "degrees": found.degrees,
            **({"draws": float(DRAWS)} if method == "monte-carlo" else {}),
        },
        "fit_rounds": found.fit_rounds,
        "test_rounds": found.test_rounds,
        "ideal": ideal_quality(judged),
        "predicted_mean": predicted.mean,
        "predicted_low": limits[0],
        "predicted_high": limits[1],
        "predicted_variance": predicted.variance,
        "predicted_minimum": predicted.minimum,
        "observed_mean": observed.mean,
        "inside": found.inside,
        "observed_variance": observed.variance,
        "observed_minimum": observed.minimum,
        "difference_mean": difference.mean,
        "difference_variance": difference.variance,
        "difference_minimum": difference.minimum,
        "recomputed_threshold_ns": math.ceil(found.recomputed_threshold_ns) if math.isfinite(found.recomputed_threshold_ns) else None,
        "difference_as_in_paper_mean": as_in_paper.mean,
        "difference_as_in_paper_variance": as_in_paper.variance,
        "difference_as_in_paper_minimum": as_in_paper.minimum,
        "difference_as_in_paper_program_mean": as_in_program.mean,
        "difference_as_in_paper_program_variance": as_in_program.variance,
        "difference_as_in_paper_program_minimum": as_in_program.minimum,
        "variance_ratio": _number(ratio),
        "flags": [*flags, *([FEW_ROUNDS] if few else [])],
    }


class _Figures(NamedTuple):
    mean: float | None
    variance: float | None
    minimum: float | None


def _shown(figures: Sequence[float], show: Callable[[float], float]) -> _Figures:
    """Return mean, variance and minimum on the metric's scale; NaN is null."""
    mean, variance, minimum = figures
    return _Figures(_number(show(mean)), _number(variance), _number(show(minimum)))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
