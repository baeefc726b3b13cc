"""The gaps between the tokens of streamed answers: a mean does not show where one stood still."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData


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
