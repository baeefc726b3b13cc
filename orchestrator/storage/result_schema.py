"""The pyarrow schemas of the result tables: one tidy row per figure. Derived from the stored timings, recomputed at will."""

from __future__ import annotations

import pyarrow as pa

LABELS = [
    pa.field("trial", pa.string(), nullable=False),
    pa.field("match_key", pa.string(), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("task", pa.string(), nullable=False),
    pa.field("system", pa.string(), nullable=False),
    pa.field("runtime", pa.string(), nullable=False),
    pa.field("batch", pa.int32(), nullable=False),
    pa.field("repeat", pa.int32(), nullable=False),
]
"""What every result table begins with."""

TAIL_QUALITY = pa.schema(
    [
        *LABELS,
        pa.field("metric", pa.string(), nullable=False),
        pa.field("slice", pa.string(), nullable=False),
        pa.field("clock", pa.string(), nullable=False),
        pa.field("threshold", pa.string(), nullable=False),
        pa.field("threshold_ns", pa.int64(), nullable=False),
        pa.field("threshold_origin", pa.string(), nullable=False),
        pa.field("threshold_reference", pa.string()),
        pa.field("ideal", pa.float64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("worst", pa.float64(), nullable=False),
        pa.field("sd", pa.float64()),
        pa.field("interval_low", pa.float64(), nullable=False),
        pa.field("interval_high", pa.float64(), nullable=False),
        pa.field("interval_method", pa.string(), nullable=False),
        pa.field("first_round", pa.int32(), nullable=False),
        pa.field("rounds", pa.int32(), nullable=False),
        pa.field("samples", pa.int32(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, metric, slice, clock and threshold. ``first_round``: the figures cover rounds from this index on."""

LATENCY = pa.schema(
    [
        *LABELS,
        pa.field("clock", pa.string(), nullable=False),
        pa.field("percentile", pa.float64(), nullable=False),
        pa.field("value_ns", pa.int64()),
        pa.field("interval_low_ns", pa.int64()),
        pa.field("interval_high_ns", pa.int64()),
        pa.field("certified", pa.bool_(), nullable=False),
        pa.field("samples_beyond", pa.int64(), nullable=False),
        pa.field("samples", pa.int64(), nullable=False),
        pa.field("effective_samples", pa.int64(), nullable=False),
        pa.field("design_effect", pa.float64()),
        pa.field("mean_ns", pa.float64()),
        pa.field("min_ns", pa.int64()),
        pa.field("max_ns", pa.int64()),
        pa.field("without_time", pa.int64(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, clock (``inference``, ``total``) and percentile."""

CONVERGENCE = pa.schema(
    [
        *LABELS,
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("rounds", pa.int32(), nullable=False),
        pa.field("rjsd_bound", pa.float64()),
        pa.field("rjsd_inference", pa.float64()),
        pa.field("rjsd_total", pa.float64()),
        pa.field("rjsd_inference_as_in_paper_code", pa.float64()),
        pa.field("rjsd_total_as_in_paper_code", pa.float64()),
        pa.field("bandwidth_inference", pa.float64()),
        pa.field("bandwidth_total", pa.float64()),
        pa.field("bandwidth_inference_method", pa.string()),
        pa.field("bandwidth_total_method", pa.string()),
        pa.field("primary_threshold", pa.string()),
        pa.field("primary_threshold_ns", pa.int64()),
        pa.field("primary_threshold_origin", pa.string()),
        pa.field("quality_mean", pa.float64()),
        pa.field("half_width", pa.float64()),
        pa.field("half_width_bound", pa.float64()),
        pa.field("not_exchangeable", pa.bool_()),
        pa.field("percentile", pa.float64()),
        pa.field("overruns", pa.int64()),
        pa.field("samples_needed", pa.int64()),
        pa.field("samples_effective", pa.float64()),
        pa.field("design_effect", pa.float64()),
    ]
)
"""One row per check of a stopping rule, as it was made while the trial ran; bandwidths are of the logarithm of time."""
