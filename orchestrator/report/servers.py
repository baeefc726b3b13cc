"""Trials that a server answered: who it was, what became of the requests, and what of each time was the client's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.table import Table, who, who_columns
from orchestrator.report.text import milliseconds
from orchestrator.storage import schema
from orchestrator.storage.records import TrialRecord

NOTE = (
    "Inference is from the moment a request was sent to the last byte of its answer, network included; preprocess and postprocess are the "
    "client's. Its own part was measured against a server on the client's host that answers at once, over TLS where the trial is: sent to "
    "last byte, and all three stages (p50, p99), one request after another; and all three as the trial sends them, in a closed loop with "
    "so many in flight, which is the most that it can be, and under load by its schedule. What weights a server holds it does not say, so "
    "that no digest vouches for them. No request was sent twice."
)
HEADS = ("server", "in flight", "requests", "errors", "timeouts", "client, request", "client, total", "client, several at once")


def server_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task which servers answered; nothing for models in the timed process."""
    for group in results.groups:
        served = [data for data in group.trials if data.record.trial.server.is_asked]
        if served:
            yield Table(
                title=f"Servers of {group.task}",
                columns=[*who_columns(group), *HEADS],
                rows=[[*who({**data.record.labels()}, group), *_cells(data)] for data in served],
                note=NOTE,
                right=frozenset(HEADS[1:]),
            )


def client_part(record: TrialRecord, what: str, at_once: bool = False) -> tuple[float, float] | None:
    """Return p50 and p99 of the client's own part, in ns, None where it was not measured.

    ``what`` is ``request`` or ``total``; ``at_once`` chooses that of requests as the trial sends them, several at once.
    """
    found = record.facts.get("client")
    figures: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if at_once:
        together = figures.get("at_once")
        figures = together if isinstance(together, Mapping) else {}
    p50, p99 = (figures.get(f"{what}_{word}_ns") for word in ("p50", "p99"))
    if not all(isinstance(figure, int | float) and not isinstance(figure, bool) and 0 <= figure < 2**53 for figure in (p50, p99)):
        return None
    assert p50 is not None
    assert p99 is not None
    return float(p50), float(p99)


def _cells(data: TrialData) -> list[str]:
    trial = data.record.trial
    counts = [int((data.outcome == code).sum()) for code in (schema.ERROR, schema.TIMEOUT)]
    parts = [client_part(data.record, what, at_once) for what, at_once in (("request", False), ("total", False), ("total", True))]
    return [
        trial.server.name,
        str(trial.in_flight),
        f"{data.outcome.size:,}",
        *(f"{count:,}" for count in counts),
        *("-" if part is None else ", ".join(map(milliseconds, part)) for part in parts),
    ]
