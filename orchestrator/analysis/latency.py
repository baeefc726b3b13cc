"""Percentiles of time: one tidy row per trial, clock and percentile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.latency import latency_percentiles
from orchestrator.storage.typed_rows import Int64, Labels, Parameters


class LatencyRow(Labels):
    """One row per trial, clock and percentile. Figures are over inferences: a batch counts once."""

    clock: Annotated[str, "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`"]
    percentile: Annotated[float, "in percent"]
    value_ns: Annotated[Int64 | None, "the time; null where it falls on an inference without one"]
    interval_low_ns: Annotated[Int64 | None, "lower limit of its 95 % interval, that of *rounds to come*"]
    interval_high_ns: Annotated[Int64 | None, "upper limit; null where nothing bounds it"]
    certified: Annotated[bool, "whether at least 10 independent times lie beyond and its interval has an upper limit"]
    samples_beyond: Annotated[Int64, "how many independent times lie beyond"]
    samples: Annotated[Int64, "how many inferences"]
    effective_samples: Annotated[Int64, "as how many independent ones they count for its interval"]
    mean_ns: Annotated[float | None, "mean of the times there are"]
    min_ns: Annotated[Int64 | None, "shortest time"]
    max_ns: Annotated[Int64 | None, "longest time"]
    without_time: Annotated[Int64, "inferences without a time"]
    threshold_origin: Annotated[str, "`own`: percentiles are those of the trial itself"]
    method: Annotated[str, "how the interval was found"]
    unit: Annotated[str, "what the interval takes as independent: `visits`, `streams` or, in one stretch, `rounds`"]
    parameters: Annotated[Parameters, "what the method was given, numbers by name"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def latency_rows(data: TrialData, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[LatencyRow]:
    """Yield the rows of one trial for ``latency.parquet``, every figure over inferences: a batch counts once.

    Times are null where they fall on an inference without one.
    """
    for clock, times in data.inferences.items():
        finite = times[np.isfinite(times)]
        percentiles = sorted({50.0, *analysis.percentiles})
        for percentile, found in zip(percentiles, latency_percentiles(times, percentiles, data.visits), strict=True):
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
                "mean_ns": float(finite.mean()) if finite.size else None,
                "min_ns": _whole(float(finite.min())) if finite.size else None,
                "max_ns": _whole(float(finite.max())) if finite.size else None,
                "without_time": int(times.size - finite.size),
                "threshold_origin": "own",
                "method": "order statistics",
                "unit": data.unit_from(0),
                "parameters": {"confidence": CONFIDENCE},
                "flags": [*flags, *([] if found.certified else ["not certified"])],
            }


def _whole(ns: float) -> int | None:
    return int(ns) if math.isfinite(ns) else None
