"""Tail quality predicted from a trial's first rounds, beside what its last rounds showed: one tidy row per threshold and method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated

import numpy as np

from orchestrator.analysis.halves import ROUNDS_TO_VALIDATE, Halves
from orchestrator.analysis.quality import JudgedMean, ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import flags_of_units
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.prediction import (
    ANYTHING,
    ROUNDING,
    Figures,
    Prediction,
    predict_independent,
    predict_rounds,
    ratio_of_variances,
)
from orchestrator.stats.tail_quality import quality_curve
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
    difference_mean: Annotated[float | None, "how far apart predicted and observed mean lie"]
    difference_variance: Annotated[float | None, "the same of the variance"]
    difference_minimum: Annotated[float | None, "the same of the worst round"]
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


def prediction_rows(data: TrialData, flags: Sequence[str]) -> Iterator[PredictionRow]:
    """Yield the rows of one trial for ``prediction.parquet``, for the primary metric; none where there are too few rounds.

    For contrast with whole rounds, inferences are taken as independent, where the metric is a mean over them. Where every round
    puts other samples into a batch no inference has a share on time of its own: there is no contrast.
    """
    judged, scores = data.judged(data.metric), data.scores_per_inference()
    within = (0.0, judged.ideal()) if isinstance(judged, JudgedMean) else ANYTHING
    for clock, times in data.times.items():
        if len(times) < ROUNDS_TO_VALIDATE:
            continue
        inferences = data.inferences[clock]
        halves = Halves(judged.curve, times, inferences, data.visits)
        found: dict[str, tuple[Halves, Prediction]] = {
            "block-bootstrap": (halves, predict_rounds(halves.quality, len(halves.test), halves.units, within))
        }
        ratios = np.full(halves.bounds.size, math.nan)
        if scores is not None:
            own = halves if times is inferences else Halves(partial(quality_curve, scores), inferences, units=data.visits)
            ratios = ratio_of_variances(scores, own.quality, own.on_time)
            found["poisson-binomial"] = own, predict_independent(scores, own.on_time, len(own.fit), len(own.test))
        of_fit = [*flags, *flags_of_units(halves.units, data.record.trial.load.is_open)]
        for method, (of, predicted) in found.items():
            told = list(dict.fromkeys(of_fit if method == "block-bootstrap" else flags))
            yield from _rows(data, clock, method, of, predicted, ratios.tolist(), told)


def _rows(
    data: TrialData, clock: Clock, method: str, of: Halves, predicted: Prediction, ratios: list[float], flags: list[str]
) -> Iterator[PredictionRow]:
    judged = data.judged(data.metric)
    scale = scale_of(judged)
    shown, observed = (_shown(scale.shown, figures) for figures in (predicted.figures, of.observed))
    differences = [predicted.figures.difference(figures) for figures in (of.observed, of.at_recomputed)]
    apart = [_shown(scale.shown_difference, figures) for figures in (*differences, of.difference_as_in_paper_program)]
    outside = np.maximum(predicted.low - of.observed.mean, of.observed.mean - predicted.high)
    for place, percentile in enumerate(of.percentiles.tolist()):
        low, high = float(predicted.low[place]), float(predicted.high[place])
        limits = (None, None) if math.isnan(low) else scale.shown_limits(low, high)
        recomputed = float(of.recomputed[place])
        difference, as_in_paper, as_in_program = (figures[place] for figures in apart)
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "clock": clock,
            "threshold": f"p{percentile:g}",
            "threshold_ns": math.ceil(of.bounds[place]),
            "threshold_origin": "own",
            "method": method,
            "parameters": {
                "minimum_of_rounds": float(len(of.test)),
                "confidence": CONFIDENCE,
                "degrees": float(predicted.degrees),
            },
            "fit_rounds": len(of.fit),
            "test_rounds": len(of.test),
            "ideal": ideal_quality(judged),
            "predicted_mean": shown[place][0],
            "predicted_low": limits[0],
            "predicted_high": limits[1],
            "predicted_variance": shown[place][1],
            "predicted_minimum": shown[place][2],
            "observed_mean": observed[place][0],
            "inside": None if math.isnan(low) else bool(outside[place] <= ROUNDING),
            "observed_variance": observed[place][1],
            "observed_minimum": observed[place][2],
            "difference_mean": difference[0],
            "difference_variance": difference[1],
            "difference_minimum": difference[2],
            "recomputed_threshold_ns": math.ceil(recomputed) if math.isfinite(recomputed) else None,
            "difference_as_in_paper_mean": as_in_paper[0],
            "difference_as_in_paper_variance": as_in_paper[1],
            "difference_as_in_paper_minimum": as_in_paper[2],
            "difference_as_in_paper_program_mean": as_in_program[0],
            "difference_as_in_paper_program_variance": as_in_program[1],
            "difference_as_in_paper_program_minimum": as_in_program[2],
            "variance_ratio": _number(ratios[place]),
            "flags": flags,
        }


def _shown(show: Callable[[float], float], figures: Figures) -> list[tuple[float | None, float | None, float | None]]:
    """Return mean, variance and minimum at each threshold on the metric's scale; NaN is null."""
    means, variances, minima = (values.tolist() for values in figures)
    return [
        (_number(show(mean)), _number(variance), _number(show(least)))
        for mean, variance, least in zip(means, variances, minima, strict=True)
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
