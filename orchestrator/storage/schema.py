"""Columns of stored tables, declared once: schemas and ranges of what is measured, and the names that several rooms write and read.

Durations are int64 nanoseconds, ids int32. Each set of names is a type, so that mypy refuses one that no reader knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

# How far a trial has come.
State = Literal["planned", "running", "done", "failed", "interrupted", "infeasible"]
# What ``resume`` goes on with.
UNFINISHED: tuple[State, ...] = ("planned", "running", "interrupted")

# Where the times of a trial come from: a timed process of ours, or a file of another program.
Origin = Literal["measured", "imported"]

# What ended a process of a trial before its time.
FaultName = Literal[
    "process killed",
    "process failed",
    "host lost",
    "ray lost",
    "hang",
    "out of memory",
    "load failed",
    "too many errors",
    "clock broken",
    "gpu error",
    "answers malformed",
    "server died",
    "neighbour died",
]

# What is to blame for a lost process: the model, or its host, link or cluster.
LossCause = Literal["process", "machine"]

# What became of one sample in one round; ``dropped`` is one that arrived under load and was never started.
Outcome = Literal["ok", "error", "timeout", "lost", "dropped"]

# The outcome of the sample that a process was at when it ended.
InFlight = Literal["error", "timeout"]

# 2 added load: arrivals, waits and streams. Files of version 1 are read as closed loops.
SCHEMA_VERSION = 2

OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "timeout", "lost", "dropped")

OK, ERROR, TIMEOUT, LOST, DROPPED = range(len(OUTCOMES))
# Outcomes of samples that were started and have no answer.
FAILED = (ERROR, TIMEOUT, LOST)

# The stages between the four stamps of a sample. Their sum is the total clock.
STAGES = ("preprocess_ns", "inference_ns", "postprocess_ns")

# One row per sample per round; `MEANINGS` says what its columns mean.
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
        pa.field("arrival_ns", pa.int64()),
        pa.field("queue_ns", pa.int64()),
        pa.field("ramp", pa.bool_()),
        pa.field("headers_ns", pa.int64()),
        pa.field("first_token_ns", pa.int64()),
        pa.field("last_token_ns", pa.int64()),
        pa.field("tokens", pa.int32()),
        pa.field("token_gaps_ns", pa.list_(pa.int64())),
        pa.field("truncated", pa.bool_()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("cached_tokens", pa.int32()),
    ]
)

# One row per arrival of the ramps, in order of arrival; their round is -1.
RAMP = TIMINGS.append(pa.field("stream", pa.int32(), nullable=False))

# One of the GPUs that a trial with several of them was measured on.
GPU = pa.struct(
    {
        "clock_mhz": pa.float64(),
        "temperature_c": pa.float64(),
        "power_w": pa.float64(),
        "throttle_reasons": pa.int64(),
        "foreign_processes": pa.int32(),
    }
)

# One row per round, the twin of the part of timings beside it. Older campaigns have no visits.
ROUNDS = pa.schema(
    [
        pa.field("round", pa.int32(), nullable=False),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("started_monotonic_ns", pa.int64(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("process", pa.int32(), nullable=False),
        pa.field("visit", pa.int32()),
        pa.field("lead_in", pa.int32()),
        pa.field("lead_in_first_ns", pa.int64()),
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
        pa.field("run_delay_ns", pa.int64()),
        pa.field("cpu_pressure_ns", pa.int64()),
        pa.field("interrupts", pa.int64()),
        pa.field("throttled_periods", pa.int64()),
        pa.field("throttled_ns", pa.int64()),
        pa.field("package_energy_uj", pa.int64()),
        pa.field("program_cpu_ns", pa.int64()),
        pa.field("frequency_mhz", pa.float64()),
        pa.field("load_1m", pa.float64()),
        pa.field("resident_peak_bytes", pa.int64()),
        pa.field("gpu_clock_mhz", pa.float64()),
        pa.field("gpu_temperature_c", pa.float64()),
        pa.field("gpu_power_w", pa.float64()),
        pa.field("gpu_throttle_reasons", pa.int64()),
        pa.field("gpu_foreign_processes", pa.int32()),
        pa.field("gpu_memory_bytes", pa.int64()),
        pa.field("gpu_allocated_peak_bytes", pa.int64()),
        pa.field("gpus", pa.list_(GPU)),
        pa.field("stream", pa.int32()),
        pa.field("stream_started_monotonic_ns", pa.int64()),
        pa.field("overloaded", pa.bool_()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("cached_tokens", pa.int64()),
        pa.field("neighbour_cpu_ns", pa.int64()),
    ]
)

# Columns of ``predictions.parquet``, one row per sample; ``ANSWERS`` has the types of reference and prediction. More follow, by their
# beginnings:
SAMPLES = pa.schema(
    [
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("reference", pa.null()),
        pa.field("prediction", pa.null()),
        pa.field("input_size", pa.int64(), nullable=False),
    ]
)
MORE_OF_SAMPLES = {"score_": pa.float64(), "slice_": pa.string()}

CLASSES = (pa.int32(), pa.list_(pa.int32()))

BOXES = [("boxes", pa.list_(pa.list_(pa.float64()))), ("labels", pa.list_(pa.int64()))]
DETECTIONS = (
    pa.struct([*BOXES, ("areas", pa.list_(pa.float64())), ("crowd", pa.list_(pa.int8()))]),
    pa.struct([*BOXES, ("scores", pa.list_(pa.float64()))]),
)

# Per kind of task: the types of ``reference`` and ``prediction``. Other kinds take what pyarrow infers.
ANSWERS: dict[str, tuple[pa.DataType, pa.DataType]] = {"image_classification": CLASSES, "object_detection": DETECTIONS}

# Columns of timings that a server's answers fill.
ANSWER = ("headers_ns", "first_token_ns", "last_token_ns", "tokens", "token_gaps_ns", "truncated", "prompt_tokens", "cached_tokens")

# What columns of timings, rounds and samples mean; those without a type in `SAMPLES` by their beginnings.
MEANINGS = {
    "round": "number of the round, from 0; a round counts only if `timings/` and `rounds/` both hold it",
    "sample": "number of the sample: its row in `predictions.parquet`",
    "outcome": "`ok`; `error`: the model raised, or the server gave no answer; `timeout`: cut off; `lost`: the round ended before it; "
    "`dropped`: it arrived under load and was never started",
    "start_gap_ns": "from the end of the inference before to the start of this one; null for the first, or if several are in flight",
    "preprocess_ns": "first stage; null unless `ok`. The total clock is the sum of the three stages",
    "inference_ns": "second stage, the inference clock; null unless `ok`",
    "postprocess_ns": "third stage; null unless `ok`",
    "cuda_inference_ns": "the first GPU's own time of the inference; null outside PyTorch, under load and after errors",
    "arrival_ns": "under load: scheduled arrival, from the start of the stream",
    "queue_ns": "under load: from the arrival to the start of preprocess; null unless `ok`. The response clock is `queue_ns` + total",
    "ramp": "under load: whether the sample belongs to the ramp, as all of `ramp.parquet` do",
    "headers_ns": "of a server's answer: from sending the request to the end of its head",
    "first_token_ns": "of a streamed answer: from sending to the first piece of content. The clock first_token adds `queue_ns` and "
    "`preprocess_ns`",
    "last_token_ns": "of a streamed answer: from sending to the last piece of content. The clock per_token is (last - first) / "
    "(`tokens` - 1)",
    "tokens": "tokens of the answer as the server counts them, else pieces of content",
    "token_gaps_ns": "of a streamed answer: from each piece of content to the next",
    "truncated": "of a server's answer: whether it ended at its limit of tokens; null where the server does not say",
    "prompt_tokens": "tokens of the prompt by the server's count; of a round or stream, of all its prompts",
    "cached_tokens": "of these, tokens that the server had in a cache: by its answers, else of a round by the counters of its `/metrics`",
    "stream": "under load: number of the stream, which is that of its visit",
    "started_at": "time of day when the round began",
    "started_monotonic_ns": "the same by the host's steady clock",
    "duration_ns": "how long the round took",
    "process": "which fresh process timed the round: an index into `processes` of `trial.json`",
    "visit": "which visit of the trial the round belongs to; numbers are those of the machine's cycles, so some may be missing",
    "lead_in": "in the first round of a visit: uncounted inferences before it",
    "lead_in_first_ns": "in the first round of a visit: total time of the first uncounted inference",
    "incomplete": "the round ended before all samples were measured",
    "prediction_digest": "SHA-256 of all answers",
    "different_answers": "answers that differ from those of the first warm-up round",
    "voluntary_switches": "voluntary context switches of the process",
    "involuntary_switches": "involuntary context switches of the process",
    "minor_faults": "page faults without input or output",
    "major_faults": "page faults with input or output",
    "cpu_time_ns": "processor time of the process",
    "steal_ns": "processor time that the hypervisor took from the trial's cores",
    "foreign_cpu_ns": "processor time of other programs on the whole machine",
    "run_delay_ns": "how long the timed thread was ready to run and waited for a core",
    "cpu_pressure_ns": "how long any thread of the machine waited for a core",
    "interrupts": "interrupts of all cores",
    "throttled_periods": "periods in which a quota of processor time stopped the process",
    "throttled_ns": "how long a quota stopped the process, on all its cores together",
    "package_energy_uj": "energy of the processor packages by RAPL, in microjoules; null where it cannot be read",
    "program_cpu_ns": "processor time of this program's other processes on the machine",
    "neighbour_cpu_ns": "processor time of the trial's neighbour; null without one",
    "frequency_mhz": "clock frequency of the processor",
    "load_1m": "load average",
    "resident_peak_bytes": "peak of resident memory while the round was timed, shared mapped files included",
    "gpu_clock_mhz": "lowest clock of the GPUs",
    "gpu_temperature_c": "highest temperature of the GPUs",
    "gpu_power_w": "power of the GPUs together",
    "gpu_throttle_reasons": "reasons of all GPUs for a lower clock, as bits",
    "gpu_foreign_processes": "processes of others on the GPUs",
    "gpu_memory_bytes": "GPU memory of the process right after the round, as the driver counts it",
    "gpu_allocated_peak_bytes": "peak of PyTorch's tensors on its GPUs",
    "gpus": "clocks, temperature and power of each of several GPUs, in the order of `system.device`",
    "stream_started_monotonic_ns": "under load: when the stream's schedule began; evidence of a stream stands in its first round",
    "overloaded": "under load: the stream ended early because more samples waited than `load.max_backlog_s` allows",
    "name": "name of the sample",
    "reference": "the right answer, in the form of the task's kind",
    "prediction": "the answer of the warm-up, or the first one after it",
    "input_size": "size of the sample, as its model counts it: pixels, tokens, characters",
    "score_": "score of the sample by each metric that is a mean over samples",
    "slice_": "group of the sample in each slice",
}

# Columns that a trial fills or leaves empty in every row: under load, on GPUs, on several of them, beside a neighbour, and where a server
# answers.
OF_SOME_TRIALS = (
    "arrival_ns", "queue_ns", "ramp", "stream", "stream_started_monotonic_ns", "overloaded",
    "package_energy_uj", "gpu_memory_bytes", "gpu_allocated_peak_bytes", "gpus", "neighbour_cpu_ns", *ANSWER,
)  # fmt: skip

# Integers below are exact as float64: 104 days in nanoseconds.
EXACT_LIMIT = 2**53
COUNTED = ("sample", "process", "visit", "lead_in", "tokens")
TIMED = (
    "start_gap_ns", "preprocess_ns", "postprocess_ns", "cuda_inference_ns", "arrival_ns", "queue_ns", "token_gaps_ns",
    "headers_ns", "first_token_ns", "last_token_ns",
)  # fmt: skip
# Least and largest value of a column, beside null.
RANGES = {
    **dict.fromkeys(COUNTED, (0, 2**31 - 1)),
    **dict.fromkeys((*TIMED, "prompt_tokens", "cached_tokens"), (0, EXACT_LIMIT - 1)),
    "inference_ns": (1, EXACT_LIMIT - 1),
    "duration_ns": (0, 2**63 - 1),
}


def refuse_out_of_range(table: pa.Table) -> None:
    """Raise ValueError for a value of conforming timings, or of rounds, that lies out of its column's range."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in RANGES:
            least, most = RANGES[name]
            values = pc.list_flatten(column) if pa.types.is_list(column.type) else column
            if values is not column and values.null_count:
                raise ValueError(f"its {name} holds a null, and must be from {least} to {most}")
            for found in pc.min_max(values).values():
                if found.is_valid and not least <= found.as_py() <= most:
                    raise ValueError(f"its {name} is {found}, and must be from {least} to {most}")


TYPES = {
    "str": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "list": pa.list_(pa.string()),
    "map": pa.map_(pa.string(), pa.float64()),
}


@dataclass(frozen=True)
class Column:
    """One column of a result table: its Parquet schema, documentation and reports follow from it.

    type
        a key of `TYPES`, with ``?`` after it where there may be nulls.
    label, form
        its heading in reports, empty where it is not shown, and how its cells are written: see
        `orchestrator.report.table.cell`.
    """

    name: str
    type: str
    meaning: str
    label: str = ""
    form: str = ""


# What every result table begins with.
LABELS = (
    Column("trial", "str", "the trial's id"),
    Column("match_key", "str", "the id without the repeat, which trials of equal work share"),
    Column("model", "str", "its name"),
    Column("task", "str", "its name"),
    Column("system", "str", "its name"),
    Column("runtime", "str", "its name"),
    Column("server", "str", "the name of the server that answered; `none` for a model in the timed process"),
    Column("batch", "int32", "samples per inference"),
    Column("repeat", "int32", "number of the repeat, from 0"),
)


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Return the Parquet schema of columns."""
    return pa.schema([pa.field(one.name, TYPES[one.type.removesuffix("?")], nullable=one.type.endswith("?")) for one in columns])
