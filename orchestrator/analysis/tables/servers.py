import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group, alike
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.storage.stored_form import finite

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
            "samples that the two answer differently",
            "answers that differ",
            "count",
        ),
        Column(
            "in_process_p50_ns",
            "float?",
            "median of all samples and rounds in the timed process; null where that has no answer",
            "in process p50",
            "ms",
        ),
        Column("in_process_p99_ns", "float?", "99th percentile, the same", "in process p99", "ms"),
        Column(
            "served_p50_ns",
            "float?",
            "median of all samples and rounds that the server answered",
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
            "the least difference of the medians of a quarter of the rounds, in order",
            "least",
            "ms",
        ),
        Column("cost_high_ns", "float?", "the largest such difference", "most", "ms"),
    ),
    "group",
    title="What servers of {task} cost ({clock} time)",
    note="Cost is the difference of the medians, with the least and the most of the four quarters "
    "of the rounds: sending and reading, the server's own work and queue, and what its cores are "
    "better or worse at. The client's own part stands under Servers. Answers differ where scores "
    "or corners are more than 0.1 % apart.",
    section="Servers",
)
def server_cost(context: Context, group: Group) -> Iterator[Row]:
    """Yield a row per trial that a server answered and trial of that model in the timed process."""
    for data, other in product(group.trials, repeat=2):
        one, two = data.record.trial, other.record.trial
        if (
            one.server.is_asked > two.server.is_asked
            and one.model.stands_for == two.model.name
            and one.measurement.batch == two.measurement.batch
            and (one.system, one.load, one.repeat) == (two.system, two.load, two.repeat)
        ):
            yield _row(group, data, other)


def _row(group: Group, data: TrialData, other: TrialData) -> Row:
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
            "median of the longest gap of each answer: half of all answers stood still for longer",
            "longest in an answer p50",
            "ms",
        ),
        Column(
            "longest_p99_ns",
            "int64",
            "99th percentile of the longest gap of each answer",
            "p99 of answers",
            "ms",
        ),
        FLAGS,
    ),
    "trial",
    title="Gaps between tokens of {task}",
    note="A gap is the time from one piece of an answer to the next, as the client received them, "
    "over all answers of all rounds. Pieces are tokens unless the server puts several into one. "
    "Longest in an answer: how long each answer stood still at most.",
    section="Servers",
)
def token_gaps(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield the row of a trial with streamed answers of which any has two pieces."""
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
