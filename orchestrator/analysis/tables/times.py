"""Times: latency, schedules under load, and the trajectory by which each trial stopped."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.load import delivery_of, percentile
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.latency import latency_percentiles
from orchestrator.stats.queueing import SECOND_NS, spacing_p_value
from orchestrator.stats.stopping import CHECK_COLUMNS
from orchestrator.stats.times import SERVICE_CLOCKS
from orchestrator.stats.units import Floats
from orchestrator.storage import schema
from orchestrator.storage.records import TrialRecord
from orchestrator.subject.samples import CONVERSATION


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
            "the time; null if it falls on an inference without a time",
            "time",
            "ms [interval_low_ns, interval_high_ns]",
        ),
        Column(
            "interval_low_ns",
            "int64?",
            "lower limit of its 95 % interval for *rounds to come*",
        ),
        Column("interval_high_ns", "int64?", "upper limit; null where nothing bounds it"),
        Column(
            "certified",
            "bool",
            "whether at least 10 independent times lie beyond it and its interval has an "
            "upper limit",
        ),
        Column("samples_beyond", "int64", "number of independent times beyond the percentile"),
        Column("samples", "int64", "number of inferences"),
        Column(
            "effective_samples",
            "int64",
            "number of independent inferences that would give the same interval",
        ),
        Column("mean_ns", "float?", "mean of all times that exist"),
        Column("min_ns", "int64?", "shortest time"),
        Column("max_ns", "int64?", "longest time"),
        Column("without_time", "int64", "inferences without a time"),
        Column("threshold_origin", "str", "`own`: percentiles are those of the trial itself"),
        Column("method", "str", "method of the interval"),
        Column(
            "unit",
            "str",
            "unit of the interval: `visits`, `streams` or, in one stretch, `rounds`",
        ),
        Column("parameters", "map", "settings of the method, by name"),
        FLAGS,
    ),
    "trial",
    title="Latency of {task}",
    note="In brackets the 95 % interval of rounds to come.",
    across="percentile",
    section="Latency",
)
def latency(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, clock and percentile, over inferences: a batch counts once.

    A time that no answer reaches is null.
    """
    percentiles = sorted({50.0, *context.analysis.percentiles})
    for clock, times in data.inferences.items():
        finite = times[np.isfinite(times)]
        known = [finite.mean(), finite.min(), finite.max()] if finite.size else [math.inf] * 3
        for percent, found in zip(
            percentiles, latency_percentiles(times, percentiles, data.visits), strict=True
        ):
            yield {
                **data.record.labels(),
                "clock": clock,
                "percentile": percent,
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


UNKNOWN = "unknown"  # what is not told of imported trials


@table(
    "load",
    (
        Column("load", "str", "the load in words, such as `poisson 40/s newest`", "load"),
        Column(
            "policy",
            "str",
            "what is served when the server becomes free; `unknown` of imported trials",
        ),
        Column(
            "idle",
            "str",
            "what the process does until the next arrival: `sleep`, `spin` or `unknown`",
            "idle",
        ),
        Column("streams", "int32", "number of streams, the unit of intervals", "streams", "count"),
        Column("rounds", "int32", "of all streams"),
        Column("arrivals", "int64", "samples that arrived in these rounds"),
        Column(
            "asked_per_s",
            "float?",
            "samples a second that the load asks for; null for a trace",
            "asked",
            "number .6g",
        ),
        Column(
            "scheduled_per_s",
            "float?",
            "samples a second of the schedule as it was drawn; null where no stream has two "
            "moments",
            "scheduled",
            "number .6g",
        ),
        Column(
            "delivered_per_s",
            "float?",
            "the rate as our loop delivered it: starts and drops a second, without waits behind "
            "other samples",
            "delivered",
            "number .6g",
        ),
        Column(
            "own_delay_p50_ns",
            "float?",
            "own delay: start minus arrival of samples that found the server idle for "
            "`load.spin_us`",
            "own delay",
            "delay",
        ),
        Column(
            "own_delay_p99_ns", "float?", "99th percentile of the same", "own delay p99", "delay"
        ),
        Column("own_delay_max_ns", "float?", "largest of the same"),
        Column("idle_arrivals", "int64", "samples that found the server idle for that long"),
        Column(
            "gap_error_p50_ns",
            "float?",
            "median difference between the gap of two such starts and the gap of their arrivals",
        ),
        Column("gap_error_p99_ns", "float?", "99th percentile of the same", "gap error", "delay"),
        Column(
            "spacing_p",
            "float?",
            "p-value of the schedule's gaps against the law asked for; null for `periodic`, "
            "`trace` and conversations",
            "spacing",
            "p",
        ),
        Column(
            "queued_gap_p50_ns",
            "float?",
            "median time from the end of an inference to the next start, if samples waited",
            "queued gap",
            "delay",
        ),
        Column(
            "utilisation",
            "float?",
            "scheduled rate x mean service time of a sample, a batch shared equally; null if none "
            "was served",
            "utilisation",
            "number .2f",
        ),
        Column("mean_wait_ns", "float?", "mean time from arrival to start", "mean wait", "ms"),
        Column(
            "dropped_share", "float", "share of samples that were never started", "dropped", "share"
        ),
        Column(
            "overloaded_streams",
            "int32",
            "streams that ended early because too many samples waited",
            "overloaded streams",
            "count",
        ),
        Column(
            "foreign_cpu_ns",
            "float?",
            "processor time of other programs on the whole machine, over all streams",
            "foreign CPU",
            "s",
        ),
        FLAGS,
    ),
    "trial",
    title="Schedules of {task}",
    note="Asked, scheduled and delivered are samples a second. Own delay (median, p99): what our "
    "loop added where a sample found the server idle. Foreign CPU: processor time of other "
    "programs on the whole machine. Queued gap (p50): from the end of an inference to the next "
    "start, where samples waited. Gap error (p99): the difference between the gap of two starts "
    "at an idle server and the gap of their arrivals. Spacing: p-value of the schedule's gaps "
    "against the law asked for. Waiting for other samples is part of the response. For imported "
    "trials, our loop is that of the program that measured.",
    section="Schedules under load",
)
def load(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial under load, without ramps and streams that a fault cut short.

    Of imported trials, own delay is that of the program that measured.
    """
    if data.arrivals is None or data.streams is None:
        return
    asked, delivery, imported = data.record.trial.load, delivery_of(data), data.record.imported
    delays, waits = delivery.delays, delivery.waits
    foreign_ns = data.evidence.get("foreign_cpu_ns", np.zeros(0))
    yield {
        **data.record.labels(),
        "load": asked.words,
        "policy": UNKNOWN if imported else asked.policy,
        "idle": UNKNOWN if imported else asked.idle,
        "streams": len(np.unique(data.streams)),
        "rounds": len(data.streams),
        "arrivals": int(data.arrivals.size),
        "asked_per_s": asked.rate_per_s,
        "scheduled_per_s": delivery.scheduled,
        "delivered_per_s": delivery.delivered,
        "own_delay_p50_ns": percentile(delays, 50),
        "own_delay_p99_ns": percentile(delays, 99),
        "own_delay_max_ns": percentile(delays, 100),
        "idle_arrivals": delays.size,
        "gap_error_p50_ns": percentile(delivery.gap_errors, 50),
        "gap_error_p99_ns": percentile(delivery.gap_errors, 99),
        "spacing_p": None
        if CONVERSATION in data.slices
        else _spacing([one.at for one in delivery.streams if one.at.size > 1], asked),
        "queued_gap_p50_ns": percentile(delivery.queued_gaps, 50),
        "utilisation": delivery.utilisation,
        "mean_wait_ns": float(waits.mean()) if waits.size else None,
        "dropped_share": float((data.outcome == schema.DROPPED).mean()),
        "overloaded_streams": int(np.unique(data.streams[data.overloaded]).size),
        "foreign_cpu_ns": float(np.nansum(foreign_ns)) if np.isfinite(foreign_ns).any() else None,
        "flags": list(group.flags[data.trial_id]),
    }


def _spacing(moments: Sequence[Floats], load: LoadConfig) -> float | None:
    """Return the p-value of the gaps between groups against the law; a cut group counts once."""
    if load.name not in ("poisson", "gamma") or not moments or load.rate_per_s is None:
        return None
    gaps = np.concatenate([np.diff(np.unique(at) if load.group > 1 else at) for at in moments])
    shape = load.burstiness if load.name == "gamma" else 1.0
    mean_ns = load.group * SECOND_NS / load.rate_per_s
    return spacing_p_value(gaps, mean_ns, shape) if gaps.size else None


MEANINGS = {
    "rounds": "number of rounds at the check",
    "rjsd_bound": "rJSD at which a density counts as settled",
    "primary_threshold": "label of the primary threshold",
    "primary_threshold_ns": "that threshold",
    "primary_threshold_origin": "`absolute` or `own`",
    "quality_mean": "mean tail quality at that threshold so far",
    "half_width": "half-width of its 95 % interval",
    "half_width_bound": "half-width at which rule `settled` stops",
    "percentile": "percentile to be certified, in percent",
    "overruns": "allowed number of inferences beyond it",
    "samples_needed": "number of inferences needed",
    "samples_effective": "number of independent inferences",
    "design_effect": "variance of the share beyond, relative to independent inferences",
}
for _clock in SERVICE_CLOCKS:
    MEANINGS |= {
        f"rjsd_{_clock}": f"distance of the density of {_clock} times from earlier ones",
        f"rjsd_{_clock}_as_in_paper_code": "the figure that the paper's program prints, where rule "
        "`paper` makes its comparisons",
        f"bandwidth_{_clock}": f"of the density of the logarithm of {_clock} time",
        f"bandwidth_{_clock}_method": "how it was chosen",
    }
TYPES = {int: "int64?", float: "float?", str: "str?", bool: "bool?"}


@table(
    "convergence",
    (
        Column("rule", "str", "its name"),
        Column("reason", "str?", "why it stopped the trial"),
        *(
            Column(name, "int32" if name == "rounds" else TYPES[kind], MEANINGS[name])
            for name, kind in CHECK_COLUMNS.items()
        ),
        Column("method", "str", "how densities are estimated"),
        Column(
            "parameters",
            "map",
            "settings of the method and the rule's own numbers, by name",
        ),
        FLAGS,
    ),
    per="campaign",
)
def convergence(context: Context) -> Iterator[Row]:
    """Yield one row per check of the stopping rule, as it was made while the trial ran.

    A column that a rule does not fill is null; its own numbers are in ``parameters``.
    """
    for record in context.records:
        for check in () if record.stopping is None else record.stopping.checks:
            own = {name: value for name, value in check.items() if name not in CHECK_COLUMNS}
            numbers = {name: float(one) for name, one in own.items() if type(one) in (int, float)}
            yield {
                **record.labels(),
                "rule": record.stopping and record.stopping.rule,
                "reason": record.stopping and record.stopping.reason,
                **{name: check.get(name) for name in CHECK_COLUMNS},
                "method": "Gaussian kernel density of log time, improved Sheather-Jones",
                "parameters": {"window": 5.0, "confidence": 0.95, **numbers},
                "flags": list(record.flags_of_figures),
            }


def rjsd_column(record: TrialRecord, clock: str) -> str:
    """Return the column of the distance that a trial's rule looked at."""
    by_program = record.stopping is not None and record.stopping.rule == "paper"
    return f"rjsd_{clock}_as_in_paper_code" if by_program else f"rjsd_{clock}"
