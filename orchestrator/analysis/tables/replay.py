from orchestrator.analysis.load import OVERLOADED
from orchestrator.analysis.table import FLAGS, METRIC, Column, View
from orchestrator.analysis.units import FEW_STREAMS

# Beside the labels of a trial.
REPLAY = (
    METRIC,
    Column("law", "str", "of arrivals: `periodic`, `poisson`, `gamma` or `trace`"),
    Column("group", "int32", "samples that arrive at once"),
    Column("burstiness", "float?", "shape of the gamma law; null for other laws"),
    Column("rate_per_s", "float", "samples a second", "rate", "per_s"),
    Column("policy", "str", "what is served next: `queue`, `newest`, `skip_late` or `idle`"),
    Column(
        "queue_limit",
        "int32?",
        "an arrival that finds this many waiting is dropped; null for no limit",
    ),
    Column("seed", "int64", "seed of the arrivals and of the order of samples"),
    Column(
        "utilisation",
        "float",
        "rate x mean total time of the trial, closed loop",
        "utilisation",
        "number .2f",
    ),
    Column("threshold", "str", "label of the deadline"),
    Column(
        "threshold_ns",
        "int64",
        "an answer is on time when its response, from arrival to answer, is at most this",
    ),
    Column("threshold_origin", "str", "`absolute` or `reference`"),
    Column(
        "threshold_reference",
        "str?",
        "the trial whose percentile it is, where the origin is `reference`",
    ),
    Column("ideal", "float", "quality without a threshold"),
    Column(
        "closed_mean",
        "float",
        "tail quality of the same rounds in the closed loop they were measured in, on the total "
        "clock",
        "closed",
        "quality",
    ),
    Column(
        "mean",
        "float",
        "tail quality on the response clock, late answers counted as failed: a mean over streams",
        "kept",
        "quality [interval_low, interval_high]",
    ),
    Column("interval_low", "float", "lower limit of its 95 % interval over streams"),
    Column("interval_high", "float", "upper limit"),
    Column("interval_method", "str", "method of the interval, over streams"),
    Column("interval_parameters", "map", "settings and estimates of the method, by name"),
    Column(
        "fallback",
        "str?",
        "the trial that answers where this one is late; null where there is none",
    ),
    Column(
        "fallback_mean",
        "float?",
        "tail quality of both together",
        "with fallback",
        "quality [fallback_low, fallback_high]",
    ),
    Column("fallback_low", "float?", "lower limit of its 95 % interval over streams"),
    Column("fallback_high", "float?", "upper limit"),
    Column("streams", "int32", "number of streams, the unit of intervals"),
    Column("rounds", "int32", "stored rounds in these streams"),
    Column("arrivals", "int64", "samples that arrived; this and all later columns leave out ramps"),
    Column("late", "float", "share of answers that were late or never came", "late", "share"),
    Column("dropped", "float", "share of samples that were never started", "dropped", "share"),
    Column(
        "mean_wait_ns",
        "float?",
        "mean time from arrival to start, of started samples; null if all were dropped",
        "mean wait",
        "ms",
    ),
    Column(
        "response_p50_ns",
        "float?",
        "median time from arrival to answer; null where half of the answers never came",
    ),
    Column("response_p99_ns", "float?", "99th percentile of the same", "p99 response", "ms"),
    Column(
        "staleness_mean",
        "float",
        "mean age of the last answer on time, in arrivals, when an answer is due; 0 for an answer "
        "on time",
    ),
    Column("staleness_p99", "int64", "99th percentile of the same", "stale p99", "count"),
    Column("longest_streak", "int64", "longest run of late answers", "streak", "count"),
    Column("window_late", "int32?", "k of the k-of-n rule; null without one"),
    Column("window_length", "int32?", "n of the k-of-n rule"),
    Column(
        "windows_broken",
        "float?",
        "share of windows of n consecutive answers with at least k late ones",
        "windows broken",
        "share",
    ),
    Column(
        "warnings", "int64", "stretches of late answers, one alone included", "warnings", "count"
    ),
    Column(
        "errors",
        "int64?",
        "stretches that lasted longer than `error_after_ns`; null without one",
        "errors",
        "count",
    ),
    Column("error_after_ns", "int64?", "longest allowed time without an answer on time"),
    Column(
        "longest_silence_ns",
        "int64",
        "longest time from when a late answer was due to the next one on time, or to the stream's "
        "end",
        "silence",
        "ms",
    ),
    Column(
        "measured",
        "str?",
        "the same trial as it was measured under this load; null where it was not",
    ),
    Column(
        "measured_mean",
        "float?",
        "its tail quality on the response clock, as in its report: a mean over rounds",
        "measured",
        "quality [measured_low, measured_high]",
    ),
    Column("measured_low", "float?", "lower limit of its 95 % interval of rounds to come"),
    Column("measured_high", "float?", "upper limit"),
    Column(
        "service_change",
        "float?",
        "its mean total time over that of the closed loop, less 1",
        "times",
        "number +.1%",
    ),
    Column(
        "idle_penalty",
        "float?",
        "the penalty of idling: median total time of its samples that found the server idle, over "
        "the closed loop's, less 1",
        "after idling",
        "number +.1%",
    ),
    Column(
        "held_mean",
        "float?",
        "replayed quality if the newest answer there is serves where one is late",
        "held",
        "quality",
    ),
    Column(
        "measured_held",
        "float?",
        "the same as measured; both are null where the metric is no mean over samples, or answers "
        "are unknown or change",
        "held, measured",
        "quality",
    ),
    FLAGS,
)
# What flags mean of a replay, which has no load of its own.
REMEDIES = {
    OVERLOADED: "samples arrive faster than they are answered, so figures depend on the length of "
    "a stream; lower --rate",
    FEW_STREAMS: "the rounds of a stream share a queue; a stream is a visit of the closed loop: "
    "measure 12 visits or more",
}
REPLAYED = View(
    "replay",
    "Replay of {task} ({metric}): {asked}",
    "Played back from times of a closed loop, which idling and other work of a real load would "
    "change. closed: tail quality of the same rounds, each sample started when the last had ended. "
    "kept: late and dropped samples count as failed; a mean over streams with its 95 % interval. "
    "held: the newest answer there is serves where one is late; samples are in random order, and "
    "successive pictures of a camera, which resemble each other, keep more. with fallback: another "
    "trial, on a machine of its own, answers where this one is late.",
    labels={
        "rate_per_s": "rate",
        "utilisation": "utilisation",
        "closed_mean": "closed",
        "mean": "kept",
        "held_mean": "held",
        "fallback": "fallback",
        "fallback_mean": "with fallback",
    },
    flags=REMEDIES,
)
STREAKS = View(
    "streaks",
    "Late answers of {task} one after another",
    "late: share of all answers, dropped ones included. stale p99: age of the last answer on time "
    "when an answer is due, in arrivals. streak: most late answers in a row. windows broken: by "
    "the k-of-n rule. warnings: stretches of late answers; errors: those that lasted too long. "
    "silence: the longest time from when a late answer was due to the next one on time.",
    labels={
        "rate_per_s": "rate",
        "arrivals": "arrivals",
        "late": "late",
        "dropped": "dropped",
        "mean_wait_ns": "mean wait",
        "response_p99_ns": "p99 response",
        "staleness_p99": "stale p99",
        "longest_streak": "streak",
        "windows_broken": "windows broken",
        "warnings": "warnings",
        "errors": "errors",
        "longest_silence_ns": "silence",
    },
    flags=REMEDIES,
)
MEASURED = View(
    "measured",
    "Replayed and measured, of {task} ({metric}): {asked}",
    "The same trial as it was measured under this load. times: its mean total time against the "
    "closed loop's. after idling: by how much the median of samples that found the server idle "
    "lies above the closed loop's, since clocks and caches are colder then. A replay includes "
    "neither.",
    labels={
        "rate_per_s": "rate",
        "mean": "replayed",
        "measured_mean": "measured",
        "service_change": "times",
        "idle_penalty": "after idling",
        "held_mean": "held",
        "measured_held": "held, measured",
    },
    flags=REMEDIES,
)
