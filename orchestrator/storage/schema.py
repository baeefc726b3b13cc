"""The pyarrow schemas of every table that is stored. Durations are int64 nanoseconds, ids int32."""

from __future__ import annotations

import pyarrow as pa

from orchestrator.stats.times import Clock
from orchestrator.storage.vocabulary import Outcome

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

PARAMETERS = pa.map_(pa.string(), pa.float64())
"""What a method was given and estimated, by name."""

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
        pa.field("p10", pa.float64()),
        pa.field("p5", pa.float64()),
        pa.field("p1", pa.float64()),
        pa.field("interval_low", pa.float64(), nullable=False),
        pa.field("interval_high", pa.float64(), nullable=False),
        pa.field("interval_method", pa.string(), nullable=False),
        pa.field("interval_parameters", PARAMETERS, nullable=False),
        pa.field("ideal_low", pa.float64()),
        pa.field("ideal_high", pa.float64()),
        pa.field("first_round", pa.int32(), nullable=False),
        pa.field("rounds", pa.int32(), nullable=False),
        pa.field("samples", pa.int32(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, metric, slice, clock and threshold. ``first_round``: the figures cover rounds from this index on. ``p10``, ``p5``,
``p1``: percentiles over rounds, null where fewer than 10 rounds lie below. ``ideal_low``, ``ideal_high``: sampling interval of ideal
quality where a subset of the task was drawn."""

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
        pa.field("threshold_origin", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("parameters", PARAMETERS, nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, clock (``inference``, ``total``) and percentile. Its samples are times, one per inference: a batch counts once."""

DEADLINE = pa.schema(
    [
        *LABELS,
        pa.field("metric", pa.string(), nullable=False),
        pa.field("clock", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("reference_quality", pa.float64(), nullable=False),
        pa.field("quality_share", pa.float64(), nullable=False),
        pa.field("floor", pa.float64(), nullable=False),
        pa.field("late_share", pa.float64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("deadline_ns", pa.int64()),
        pa.field("certified", pa.bool_(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("observed_ns", pa.int64()),
        pa.field("threshold_origin", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("parameters", PARAMETERS, nullable=False),
        pa.field("rounds", pa.int32(), nullable=False),
        pa.field("more_rounds", pa.int32()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, clock and quality floor (``reference``: the trial's own ideal quality, or one common to all models of the task).
``observed_ns``: the bound that a share of 1 - ``late_share`` of the measured rounds kept, which promises nothing."""

COMPARISON = pa.schema(
    [
        *LABELS,
        pa.field("baseline", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("clock", pa.string(), nullable=False),
        pa.field("threshold", pa.string(), nullable=False),
        pa.field("threshold_ns", pa.int64(), nullable=False),
        pa.field("threshold_origin", pa.string(), nullable=False),
        pa.field("threshold_reference", pa.string()),
        pa.field("scope", pa.string(), nullable=False),
        pa.field("baseline_mean", pa.float64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("difference", pa.float64(), nullable=False),
        pa.field("interval_low", pa.float64()),
        pa.field("interval_high", pa.float64()),
        pa.field("verdict", pa.string()),
        pa.field("method", pa.string(), nullable=False),
        pa.field("parameters", PARAMETERS, nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, threshold and scope: its quality minus the baseline's. Scopes: ``this data set`` (rounds vary), ``samples like
these`` (rounds and samples vary), ``fresh processes`` (repeats vary; the only one with a verdict)."""

CONVERGENCE = pa.schema(
    [
        *LABELS,
        pa.field("rule", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("rounds", pa.int32(), nullable=False),
        pa.field("rjsd_bound", pa.float64()),
        *(pa.field(f"rjsd_{clock}", pa.float64()) for clock in Clock),
        *(pa.field(f"rjsd_{clock}_as_in_paper_code", pa.float64()) for clock in Clock),
        *(pa.field(f"bandwidth_{clock}", pa.float64()) for clock in Clock),
        *(pa.field(f"bandwidth_{clock}_method", pa.string()) for clock in Clock),
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
        pa.field("method", pa.string(), nullable=False),
        pa.field("parameters", PARAMETERS, nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per check of a stopping rule, as it was made while the trial ran; bandwidths are of the logarithm of time."""

PREDICTION = pa.schema(
    [
        *LABELS,
        pa.field("metric", pa.string(), nullable=False),
        pa.field("clock", pa.string(), nullable=False),
        pa.field("threshold", pa.string(), nullable=False),
        pa.field("threshold_ns", pa.int64(), nullable=False),
        pa.field("threshold_origin", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("parameters", PARAMETERS, nullable=False),
        pa.field("fit_rounds", pa.int32(), nullable=False),
        pa.field("test_rounds", pa.int32(), nullable=False),
        pa.field("ideal", pa.float64(), nullable=False),
        *(
            pa.field(f"{which}_{figure}", pa.float64())
            for which in ("predicted", "observed", "difference")
            for figure in ("mean", "variance", "minimum")
        ),
        pa.field("recomputed_threshold_ns", pa.int64()),
        *(pa.field(f"difference_as_in_paper_{figure}", pa.float64()) for figure in ("mean", "variance", "minimum")),
        pa.field("variance_ratio", pa.float64()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row per trial, clock, threshold and method: tail quality predicted from the first rounds, and what the last rounds showed.
``difference_as_in_paper``: the test rounds choose their own threshold. ``variance_ratio``: variance between rounds over what it were
if samples were independent."""

FORMS = {
    "tail_quality": TAIL_QUALITY,
    "latency": LATENCY,
    "convergence": CONVERGENCE,
    "prediction": PREDICTION,
    "deadline": DEADLINE,
    "comparison": COMPARISON,
}
"""Name of the file, without ``.parquet``, and its form."""


SCHEMA_VERSION = 1

OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "timeout", "lost")

OK = OUTCOMES.index("ok")
LOST = OUTCOMES.index("lost")

STAGES = ("preprocess_ns", "inference_ns", "postprocess_ns")
"""The stages between the four stamps of a sample. Their sum is the total clock."""

RESULT_TABLES = tuple(FORMS)
"""Tables that analysis writes beside ``campaign.json``, each as ``<name>.parquet``."""

TIMINGS = pa.schema(
    [
        pa.field("round", pa.int32(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("outcome", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("start_gap_ns", pa.int64()),
        pa.field("preprocess_ns", pa.int64()),
        pa.field("inference_ns", pa.int64()),
        pa.field("postprocess_ns", pa.int64()),
        pa.field("cuda_inference_ns", pa.int64()),
    ]
)
"""One row per sample per round. Durations are null unless the outcome is ``ok``; total is the sum of the three stages."""

ROUNDS = pa.schema(
    [
        pa.field("round", pa.int32(), nullable=False),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("started_monotonic_ns", pa.int64(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("process", pa.int32(), nullable=False),
        pa.field("incomplete", pa.bool_(), nullable=False),
        pa.field("prediction_digest", pa.string()),
        pa.field("different_answers", pa.int32()),
        pa.field("voluntary_switches", pa.int64()),
        pa.field("involuntary_switches", pa.int64()),
        pa.field("minor_faults", pa.int64()),
        pa.field("major_faults", pa.int64()),
        pa.field("cpu_time_ns", pa.int64()),
        pa.field("steal_ns", pa.int64()),
        pa.field("foreign_cpu_ns", pa.int64()),
        pa.field("frequency_mhz", pa.float64()),
        pa.field("load_1m", pa.float64()),
        pa.field("gpu_clock_mhz", pa.float64()),
        pa.field("gpu_temperature_c", pa.float64()),
        pa.field("gpu_power_w", pa.float64()),
        pa.field("gpu_throttle_reasons", pa.int64()),
        pa.field("gpu_foreign_processes", pa.int32()),
    ]
)
"""One row per round, the twin of the part of timings beside it. ``process`` counts the fresh processes of the trial from 0."""

SAMPLES = pa.schema(
    [
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("reference", pa.null()),
        pa.field("prediction", pa.null()),
        pa.field("input_size", pa.int64(), nullable=False),
    ]
)
"""Columns of ``predictions.parquet``, one row per sample; ``ANSWERS`` has the types of reference and prediction. More follow, by their
beginnings:"""
MORE_OF_SAMPLES = {"score_": pa.float64(), "slice_": pa.string()}

CLASSES = (pa.int32(), pa.list_(pa.int32()))

BOXES = [("boxes", pa.list_(pa.list_(pa.float64()))), ("labels", pa.list_(pa.int64()))]
DETECTIONS = (
    pa.struct([*BOXES, ("areas", pa.list_(pa.float64())), ("crowd", pa.list_(pa.int8()))]),
    pa.struct([*BOXES, ("scores", pa.list_(pa.float64()))]),
)

ANSWERS: dict[str, tuple[pa.DataType, pa.DataType]] = {"image_classification": CLASSES, "object_detection": DETECTIONS}
"""Per kind of task: the types of ``reference`` and ``prediction``. Other kinds take what pyarrow infers."""
