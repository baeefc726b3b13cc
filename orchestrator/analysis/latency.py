"""Percentiles of time: one tidy row per trial, clock and percentile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.stats.latency import latency_percentiles


def latency_rows(data: TrialData, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of one trial for ``latency.parquet``, every figure over inferences: a batch counts once.

    Times are null where they fall on an inference without one.
    """
    for clock, times in data.inferences.items():
        finite = times[np.isfinite(times)]
        percentiles = sorted({50.0, *analysis.percentiles})
        for percentile, found in zip(percentiles, latency_percentiles(times, percentiles), strict=True):
            yield {
                **data.record.labels(),
                "clock": clock,
                "percentile": percentile,
                "value_ns": _whole(found.value_ns),
                "interval_low_ns": _whole(found.low_ns),
                "interval_high_ns": _whole(found.high_ns),
                "certified": found.certified,
                "samples_beyond": found.beyond,
                "samples": found.samples,
                "effective_samples": found.effective_samples,
                "design_effect": None if math.isnan(found.design_effect) else found.design_effect,
                "mean_ns": float(finite.mean()) if finite.size else None,
                "min_ns": _whole(float(finite.min())) if finite.size else None,
                "max_ns": _whole(float(finite.max())) if finite.size else None,
                "without_time": int(times.size - finite.size),
                "threshold_origin": "own",
                "method": "order statistics",
                "parameters": {"confidence": found.confidence},
                "flags": list(flags if found.certified else (*flags, "not certified")),
            }


def _whole(ns: float) -> int | None:
    return int(ns) if math.isfinite(ns) else None
