import math
from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.latency import latency_percentiles


@table(
    "latency",
    (
        Column(
            "clock",
            "str",
            "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`",
            "clock",
        ),
        Column("percentile", "float", "in percent", form="percentile"),
        Column(
            "value_ns",
            "int64?",
            "the time; null where it falls on an inference without one",
            "time",
            "ms [interval_low_ns, interval_high_ns]",
        ),
        Column(
            "interval_low_ns",
            "int64?",
            "lower limit of its 95 % interval, that of *rounds to come*",
        ),
        Column("interval_high_ns", "int64?", "upper limit; null where nothing bounds it"),
        Column(
            "certified",
            "bool",
            "whether at least 10 independent times lie beyond and its interval has an upper limit",
        ),
        Column("samples_beyond", "int64", "how many independent times lie beyond"),
        Column("samples", "int64", "how many inferences"),
        Column(
            "effective_samples", "int64", "as how many independent ones they count for its interval"
        ),
        Column("mean_ns", "float?", "mean of the times there are"),
        Column("min_ns", "int64?", "shortest time"),
        Column("max_ns", "int64?", "longest time"),
        Column("without_time", "int64", "inferences without a time"),
        Column("threshold_origin", "str", "`own`: percentiles are those of the trial itself"),
        Column("method", "str", "how the interval was found"),
        Column(
            "unit",
            "str",
            "what the interval takes as independent: `visits`, `streams` or, in one stretch, "
            "`rounds`",
        ),
        Column("parameters", "map", "what the method was given, numbers by name"),
        FLAGS,
    ),
    "trial",
    title="Latency of {task}",
    note="In brackets the 95 % interval of rounds to come.",
    across="percentile",
    section="Latency",
)
def latency(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield a row per clock and percentile; a time that falls on no answer is null."""
    percentiles = sorted({50.0, *context.analysis.percentiles})
    for clock, times in data.inferences.items():
        finite = times[np.isfinite(times)]
        known = [finite.mean(), finite.min(), finite.max()] if finite.size else [math.inf] * 3
        for percentile, found in zip(
            percentiles, latency_percentiles(times, percentiles, data.visits), strict=True
        ):
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
                "mean_ns": float(known[0]) if finite.size else None,
                "min_ns": _whole(known[1]),
                "max_ns": _whole(known[2]),
                "without_time": int(times.size - finite.size),
                "threshold_origin": "own",
                "method": "order statistics",
                "unit": data.unit_from(0),
                "parameters": {"confidence": CONFIDENCE},
                "flags": [*group.flags[data.trial_id], *["not certified"] * (not found.certified)],
            }


def _whole(ns: float) -> int | None:
    return int(ns) if math.isfinite(ns) else None
