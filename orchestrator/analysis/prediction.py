"""Tail quality predicted from a trial's first rounds, beside what its last rounds showed: one tidy row per threshold and method."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.stats.prediction import DRAWS, Method, variance_ratio
from orchestrator.stats.prediction_validation import ROUNDS_TO_VALIDATE, Validation, validate_from_curve, validate_prediction
from orchestrator.stats.times import PRIMARY_CLOCK, Clock

FIGURES = ("mean", "variance", "minimum")


def prediction_rows(data: TrialData, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of one trial for ``prediction.parquet``, for the primary metric; none where there are too few rounds."""
    if len(data.times[PRIMARY_CLOCK]) < ROUNDS_TO_VALIDATE:
        return
    for clock in Clock:
        ratios: list[float] | None = None
        for method in _methods(data):
            random = np.random.default_rng([analysis.seed, zlib.crc32(f"{data.trial_id} {clock} {method}".encode())])
            found = _validated(data, clock, method, random)
            # All methods are read at the same thresholds, those of the fitted rounds.
            ratios = _variance_ratios(data, clock, found) if ratios is None else ratios
            for validation, ratio in zip(found, ratios, strict=True):
                yield _row(data, clock, method, validation, ratio, flags)


def _methods(data: TrialData) -> tuple[Method, ...]:
    """Return whole rounds, and as a contrast independent inferences: by the exact law where they score 0 or 1, else by drawing.

    A metric that is no mean would have to be evaluated anew on thousands of drawn rounds, and where every round puts other samples
    into a batch no inference has a distribution of its own: neither has a contrast.
    """
    scores = data.scores_per_inference()
    if scores is None:
        return ("block-bootstrap",)
    return ("block-bootstrap", "poisson-binomial" if np.isin(scores, (0, 1)).all() else "monte-carlo")


def _validated(data: TrialData, clock: Clock, method: Method, random: np.random.Generator) -> tuple[Validation, ...]:
    """Return what a method predicts; thresholds are percentiles of inferences, and what is drawn on its own is an inference."""
    times, scores = data.inferences[clock], data.scores_per_inference()
    if scores is not None and (method != "block-bootstrap" or times is data.times[clock]):
        return validate_prediction(scores, times, random=random, method=method)
    curve = data.judged(data.metric).curve
    return validate_from_curve(curve, data.times[clock], random=random, method=method, inferences=times)


def _variance_ratios(data: TrialData, clock: Clock, found: Sequence[Validation]) -> list[float]:
    """Return one ratio per threshold, over the fitted rounds, of independent inferences; NaN where there is no contrast."""
    scores = data.scores_per_inference()
    if not found or scores is None:
        return [math.nan] * len(found)
    bounds = [validation.threshold_ns for validation in found]
    ratios: list[float] = variance_ratio(scores, data.inferences[clock][: found[0].fit_rounds], bounds).tolist()
    return ratios


def _row(data: TrialData, clock: Clock, method: Method, found: Validation, ratio: float, flags: Sequence[str]) -> dict[str, Any]:
    judged = data.judged(data.metric)
    scale = scale_of(judged)
    compared = {
        "predicted": (found.predicted, scale.shown),
        "observed": (found.observed, scale.shown),
        "difference": (found.difference, scale.shown_difference),
        "difference_as_in_paper": (found.difference_as_in_paper, scale.shown_difference),
    }
    return {
        **data.record.labels(),
        "metric": data.metric,
        "clock": clock,
        "threshold": f"p{found.percentile:g}",
        "threshold_ns": math.ceil(found.threshold_ns),
        "threshold_origin": "own",
        "method": method,
        "parameters": {"minimum_of_rounds": float(found.test_rounds), **({"draws": float(DRAWS)} if method == "monte-carlo" else {})},
        "fit_rounds": found.fit_rounds,
        "test_rounds": found.test_rounds,
        "ideal": ideal_quality(judged),
        **{
            f"{which}_{name}": _number(value if name == "variance" else shown(value))
            for which, (figures, shown) in compared.items()
            for name, value in zip(FIGURES, figures, strict=True)
        },
        "recomputed_threshold_ns": math.ceil(found.recomputed_threshold_ns) if math.isfinite(found.recomputed_threshold_ns) else None,
        "variance_ratio": _number(ratio),
        "flags": list(flags),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
