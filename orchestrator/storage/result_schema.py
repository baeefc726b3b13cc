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
