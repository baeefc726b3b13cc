"""What processes take, and what servers cost."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group, alike
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.stored_form import finite


@table(
    "resources",
    (
        Column(
            "processes",
            "int32",
            "number of fresh processes; of several, the largest figure counts",
        ),
        Column(
            "load_ns", "int64?", "from the start of its work until the model is loaded", "load", "s"
        ),
        Column(
            "first_inference_ns",
            "int64?",
            "the first model call of the process, before anything is warm",
        ),
        Column(
            "first_total_ns", "int64?", "the same with preprocess and postprocess", "first", "ms"
        ),
        Column(
            "warm_first_ns",
            "int64?",
            "total time of the first inference after the warm-up; null under load",
            "warm first",
            "ms",
        ),
        Column(
            "paused_first_ns",
            "int64?",
            "the longest total time of a first inference after the pause before a later visit",
            "after a pause",
            "ms",
        ),
        Column(
            "resident_peak_bytes",
            "int64?",
            "most resident memory of the process, from its start to its end",
            "memory",
            "memory",
        ),
        Column(
            "resident_round_peak_bytes",
            "int64?",
            "the same while rounds, under load streams, were timed",
            "in rounds",
            "memory",
        ),
        Column(
            "gpu_memory_peak_bytes",
            "int64?",
            "most GPU memory of the process right after a round, as the driver counts it",
            "GPU memory",
            "memory",
        ),
        Column(
            "gpu_allocated_peak_bytes",
            "int64?",
            "most that PyTorch's tensors took on its GPUs, loading included",
            "GPU tensors",
            "memory",
        ),
        Column("rounds", "int32", "number of rounds"),
        Column("samples", "int32", "number of samples", "samples", "count"),
        Column(
            "changed_rounds",
            "int32?",
            "rounds with an answer other than the first warm-up round's; null where none, or only "
            "the first, is stored",
        ),
        Column(
            "changed_samples",
            "int32?",
            "samples with such an answer; null likewise",
            "changed answers",
            "count",
        ),
        Column("most_changed", "int32?", "most such answers in one round; null likewise"),
        Column(
            "compared_with",
            "str?",
            "the first trial of the same model and data; null for that trial itself",
        ),
        Column(
            "differing_samples",
            "int32?",
            "samples with another answer than the first trial of the same weights; fractions agree "
            "within 0.1 %; null without stored answers",
            "other answers",
            "count",
        ),
        FLAGS,
    ),
    "group",
    title="First inferences, memory and changed answers of {task}",
    note="First: total time of the first inference of a process; warm first: of the first "
    "inference after its warm-up; after a pause: of the slowest first inference of a later visit. "
    "Memory: peak of resident memory of the process, from its start on and while it was timed. "
    "Changed answers: samples with an answer that differs from the first round's. Other answers: "
    "samples whose answer differs from that of the first trial of the same model; a dash is that "
    "trial, or no stored answers.",
    section="First inferences, memory and changed answers",
)
def resources(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per trial: what it uses beside its times.

    Memory is that of the timed process, without processes that a model starts. With several
    processes, the largest figure counts.
    """
    differing = {found.other: found.samples for found in group.disagreements}
    firsts: dict[str, TrialData] = {}
    for data in group.trials:
        first = firsts.setdefault(data.record.trial.model.name, data)
        starts = cold_starts(data.record.cold_start)
        changed = _of_rounds(data, "different_answers")
        is_known = _answers(data) and bool(np.isfinite(changed).any())
        is_first = first.trial_id == data.trial_id
        compared = not is_first and _answers(data) and _answers(first)
        resident, allocated = (
            [*(start.get(cold) for start in starts), *_of_rounds(data, warm)]
            for cold, warm in (
                ("peak_memory_bytes", "resident_peak_bytes"),
                ("gpu_allocated_peak_bytes", "gpu_allocated_peak_bytes"),
            )
        )
        at_end = data.record.placement.get("at_end") or {}
        yield {
            **data.record.labels(),
            "processes": max(1, len(data.record.processes)),
            **{
                name: _largest(start.get(name) for start in starts)
                for name in ("load_ns", "first_inference_ns", "first_total_ns")
            },
            "warm_first_ns": _largest(warm_firsts(data)),
            "paused_first_ns": _largest(paused_firsts(data)),
            "resident_peak_bytes": _largest([*resident, at_end.get("peak_memory_bytes")]),
            "resident_round_peak_bytes": _largest(_of_rounds(data, "resident_peak_bytes")),
            "gpu_memory_peak_bytes": _largest(_of_rounds(data, "gpu_memory_bytes")),
            "gpu_allocated_peak_bytes": _largest(allocated),
            "rounds": len(changed),
            "samples": len(data.references),
            "changed_rounds": int((changed > 0).sum()) if is_known else None,
            "changed_samples": data.changed_samples if is_known else None,
            "most_changed": int(np.nanmax(changed)) if is_known else None,
            "compared_with": None if is_first else first.trial_id,
            "differing_samples": differing.get(data.trial_id, 0) if compared else None,
            "flags": list(group.flags[data.trial_id]),
        }


def _answers(data: TrialData) -> bool:
    return any(answer is not None for answer in data.predictions)


def cold_starts(stored: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the cold starts in ``trial.json``, of a trial's processes in their order."""
    return [*stored.get("earlier", ()), stored] if stored else []


def warm_firsts(data: TrialData) -> Iterator[float]:
    """Yield per process the total time of its first inference after the warm-up, in ns.

    That of the lead-in, or else of its first round. Whether anything was warm is not known of an
    imported trial.
    """
    if data.record.trial.load.is_open or data.record.imported:
        return
    leads = _of_rounds(data, "lead_in_first_ns")
    for row in _first_rows(data):
        found = leads[row] if np.isfinite(leads[row]) else data.as_run(PRIMARY_CLOCK, int(row))[0]
        if np.isfinite(found):
            yield float(found)


def paused_firsts(data: TrialData) -> list[float]:
    """Return the total time, in ns, of the first inference of every visit but each process's first.

    It is +inf where the model raised.
    """
    asked, leads = _of_rounds(data, "lead_in"), _of_rounds(data, "lead_in_first_ns")
    times = np.where((asked > 0) & ~np.isfinite(leads), np.inf, leads)
    rows = np.setdiff1d(np.flatnonzero(~np.isnan(times)), _first_rows(data))
    return [float(time) for time in times[rows]]


def _first_rows(data: TrialData) -> NDArray[np.intp]:
    return np.unique(_of_rounds(data, "process"), return_index=True)[1]


def _of_rounds(data: TrialData, name: str) -> NDArray[np.float64]:
    """Return a column of the rounds, [R]; NaN where it was not stored."""
    return data.evidence.get(name, np.full(len(data.times[data.clock]), np.nan))


def _largest(values: Iterable[float | None]) -> int | None:
    """Return the largest of the values that are known and have 64 bits, None of none."""
    return max((int(one) for one in values if one is not None and abs(one) < 2**63), default=None)


QUARTERS = 4


@table(
    "server_cost",
    (
        Column("against", "str", "id of the trial in the timed process", "against"),
        Column(
            "clock",
            "str",
            "the one that counts first: `total` in a closed loop, `response` under load",
        ),
        Column("samples", "int32", "samples of the task", "samples", "count"),
        Column(
            "different_answers",
            "int32",
            "samples with different answers",
            "answers that differ",
            "count",
        ),
        Column(
            "in_process_p50_ns",
            "float?",
            "median over all samples and rounds in the timed process; null without an answer",
            "in process p50",
            "ms",
        ),
        Column("in_process_p99_ns", "float?", "99th percentile, the same", "in process p99", "ms"),
        Column(
            "served_p50_ns",
            "float?",
            "median over all samples and rounds, failed requests last; null if it is one of these",
            "served p50",
            "ms",
        ),
        Column("served_p99_ns", "float?", "99th percentile, the same", "served p99", "ms"),
        Column(
            "cost_p50_ns",
            "float?",
            "difference of the medians: what the server costs",
            "cost p50",
            "ms",
        ),
        Column("cost_p99_ns", "float?", "difference of the 99th percentiles", "cost p99", "ms"),
        Column(
            "cost_low_ns",
            "float?",
            "the least difference of medians in four successive quarters of the rounds",
            "least",
            "ms",
        ),
        Column("cost_high_ns", "float?", "the largest such difference", "most", "ms"),
    ),
    "group",
    title="What servers of {task} cost ({clock} time)",
    note="Cost is the difference of the medians, with the least and the largest difference of "
    "four quarters of the rounds. It includes sending and reading, the server's own work and "
    "queue, and the difference between the cores. The client's own part stands under Servers. "
    "Answers differ where scores or corners are more than 0.1 % apart.",
    section="Servers",
)
def server_cost(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per served trial and trial of the same model in the timed process.

    Both have the same system, batch, load and repeat (``same_as``). Times are on the first clock.
    """
    for data, other in product(group.trials, repeat=2):
        one, two = data.record.trial, other.record.trial
        if (
            one.server.is_asked > two.server.is_asked
            and one.model.stands_for == two.model.name
            and one.measurement.batch == two.measurement.batch
            and (one.system, one.load, one.repeat) == (two.system, two.load, two.repeat)
        ):
            yield _server_cost(group, data, other)


def _server_cost(group: Group, data: TrialData, other: TrialData) -> Row:
    served, inside = data.times[group.clock], other.times[group.clock]
    (served_p50, served_p99), (inside_p50, inside_p99) = (
        [float(percentile_inverted_cdf(times.ravel(), percent)) for percent in (50, 99)]
        for times in (served, inside)
    )
    quarters = zip(medians(served), medians(inside), strict=True)
    differences = [one - two for one, two in quarters if math.isfinite(one) and math.isfinite(two)]
    answers = zip(data.predictions, other.predictions, strict=True)
    return {
        **data.record.labels(),
        "against": other.trial_id,
        "clock": str(group.clock),
        "samples": len(data.predictions),
        "different_answers": sum(not alike(mine, theirs) for mine, theirs in answers),
        "in_process_p50_ns": finite(inside_p50),
        "in_process_p99_ns": finite(inside_p99),
        "served_p50_ns": finite(served_p50),
        "served_p99_ns": finite(served_p99),
        "cost_p50_ns": finite(served_p50 - inside_p50),
        "cost_p99_ns": finite(served_p99 - inside_p99),
        "cost_low_ns": min(differences, default=None),
        "cost_high_ns": max(differences, default=None),
    }


def medians(times: NDArray[np.float64]) -> list[float]:
    """Return the median of each quarter of the rounds, in order; of all where there are fewer."""
    parts = np.array_split(times, QUARTERS) if len(times) >= QUARTERS else [times] * QUARTERS
    return [float(percentile_inverted_cdf(part.ravel(), 50)) for part in parts]


@table(
    "token_gaps",
    (
        Column(
            "answers", "int64", "streamed answers with content, of all rounds", "answers", "count"
        ),
        Column(
            "gaps",
            "int64",
            "times from one piece of content to the next; pieces are tokens, unless the server "
            "puts several into one",
            "gaps",
            "count",
        ),
        Column("p50_ns", "int64", "median of all gaps", "gap p50", "ms"),
        Column("p95_ns", "int64", "95th percentile of all gaps", "gap p95", "ms"),
        Column("p99_ns", "int64", "99th percentile of all gaps", "gap p99", "ms"),
        Column("longest_ns", "int64", "the longest gap", "longest", "ms"),
        Column(
            "longest_p50_ns",
            "int64",
            "median over answers of their longest gap",
            "longest in an answer p50",
            "ms",
        ),
        Column(
            "longest_p99_ns",
            "int64",
            "99th percentile over answers of their longest gap",
            "p99 of answers",
            "ms",
        ),
        FLAGS,
    ),
    "trial",
    title="Gaps between tokens of {task}",
    note="A gap is the time from one piece of an answer to the next, as the client received them, "
    "over all answers of all rounds. Pieces are tokens unless the server puts several into one. "
    "Longest in an answer: the longest gap of each answer.",
    section="Servers",
)
def token_gaps(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial with streamed answers of two pieces or more.

    Gaps are the times between pieces of content, over all answers of all rounds, as the client
    received them.
    """
    found = data.token_gaps
    if found is not None and found.gaps:
        names = ("p50_ns", "p95_ns", "p99_ns", "longest_ns", "longest_p50_ns", "longest_p99_ns")
        yield {
            **data.record.labels(),
            "answers": found.answers,
            "gaps": found.gaps,
            **dict(zip(names, [*found.percentiles_ns, *found.longest_ns], strict=True)),
            "flags": list(group.flags[data.trial_id]),
        }
