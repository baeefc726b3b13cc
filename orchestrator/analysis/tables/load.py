from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.load import delivery_of, percentile
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats.queueing import SECOND_NS, spacing_p_value
from orchestrator.stats.units import Floats
from orchestrator.storage import schema

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
        Column("streams", "int32", "how many; the unit of intervals", "streams", "count"),
        Column("rounds", "int32", "of all streams"),
        Column("arrivals", "int64", "samples that arrived in them"),
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
            "the same of starts and drops, had no sample waited for another: what our loop made "
            "of it",
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
        Column("own_delay_p99_ns", "float?", "the same", "own delay p99", "delay"),
        Column("own_delay_max_ns", "float?", "the same"),
        Column("idle_arrivals", "int64", "samples that found the server idle so long"),
        Column(
            "gap_error_p50_ns",
            "float?",
            "by how much the distance of two such starts differs from that of their arrivals",
        ),
        Column("gap_error_p99_ns", "float?", "the same", "gap error", "delay"),
        Column(
            "spacing_p",
            "float?",
            "p-value of the schedule's gaps against the law asked for; null for `periodic` and "
            "`trace`",
            "spacing",
            "p",
        ),
        Column(
            "queued_gap_p50_ns",
            "float?",
            "from the end of an inference to the next start where samples waited",
            "queued gap",
            "delay",
        ),
        Column(
            "utilisation",
            "float?",
            "scheduled rate x mean time that a served sample took, its part of a batch's; null if "
            "none was",
            "utilisation",
            "number .2f",
        ),
        Column("mean_wait_ns", "float?", "mean of arrival to start", "mean wait", "ms"),
        Column("dropped_share", "float", "samples that were never started", "dropped", "share"),
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
            "time that other processes had on the trial's cores, of all streams",
            "foreign CPU",
            "s",
        ),
        FLAGS,
    ),
    "trial",
    title="Schedules of {task}",
    note="Asked, scheduled and delivered are samples a second. Own delay (median, p99) is what our "
    "loop added "
    "where a sample found the server idle; foreign CPU is the time that other processes had on "
    "the trial's cores meanwhile; queued gap (p50) is from the end of an inference to the next "
    "start where samples waited; gap error (p99) is by how much the distance of two starts at an "
    "idle server differs from that of their arrivals; spacing is the p-value of the schedule's "
    "gaps against the law asked for. Waiting for other samples is the system's own, and part of "
    "its response. Of imported trials our loop is that of the program that measured.",
    section="Schedules under load",
)
def load(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield the row of a trial; none for a closed loop."""
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
        "spacing_p": _spacing([one.at for one in delivery.streams if one.at.size > 1], asked),
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
