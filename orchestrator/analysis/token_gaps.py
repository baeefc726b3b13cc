"""The gaps between the tokens of streamed answers: a mean time per token does not show where an answer stood still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from orchestrator.analysis.groups import Group
from orchestrator.storage.typed_rows import Int64, Labels


class TokenGapsRow(Labels):
    """One row per trial with streamed answers of which any has two pieces."""

    answers: Annotated[Int64, "streamed answers with content, of all rounds"]
    gaps: Annotated[Int64, "times from one piece of content to the next; pieces are tokens, unless the server puts several into one"]
    p50_ns: Annotated[Int64, "median of all gaps"]
    p95_ns: Annotated[Int64, "95th percentile of all gaps"]
    p99_ns: Annotated[Int64, "99th percentile of all gaps"]
    longest_ns: Annotated[Int64, "the longest gap"]
    longest_p50_ns: Annotated[Int64, "median of the longest gap of each answer: half of all answers stood still for longer"]
    longest_p99_ns: Annotated[Int64, "99th percentile of the longest gap of each answer"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def token_gaps_rows(group: Group) -> Iterator[TokenGapsRow]:
    """Yield the rows of a group's trials for ``token_gaps.parquet``."""
    for data in group.trials:
        found = data.token_gaps
        if found is not None and found.gaps:
            p50, p95, p99, longest = found.percentiles_ns
            longest_p50, longest_p99 = found.longest_ns
            yield {
                **data.record.labels(),
                "answers": found.answers,
                "gaps": found.gaps,
                "p50_ns": p50,
                "p95_ns": p95,
                "p99_ns": p99,
                "longest_ns": longest,
                "longest_p50_ns": longest_p50,
                "longest_p99_ns": longest_p99,
                "flags": list(group.flags[data.trial_id]),
            }
