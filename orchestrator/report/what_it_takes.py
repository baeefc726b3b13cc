"""The size that claims take, as a table, and what a campaign is too short to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.planning.claims import CLAIMS, lacking, minutes
from orchestrator.report.table import Table
from orchestrator.report.text import seconds


def claims_table(rounds_s: Sequence[float], note: str = "") -> Table:
    """Return a row per claim, with what it takes of all trials, whose rounds take so long."""
    return Table(
        title="What each claim takes",
        columns=["claim", "visits", "rounds", "time"],
        rows=[
            [
                claim.what,
                str(claim.visits),
                str(claim.rounds or "-"),
                seconds(60 * minutes(claim.rounds, rounds_s)) if claim.rounds else "-",
            ]
            for claim in CLAIMS
        ],
        note=note,
        right=frozenset(["visits", "rounds", "time"]),
    )


def too_short_for(trials: Sequence[TrialData]) -> Iterator[str]:
    """Yield what the shortest of these trials are too short to show, and how long a sweep that could takes."""
    measured = [data for data in trials if not data.record.imported]
    if not measured:
        return
    rounds = min(len(data.times[data.clock]) for data in measured)
    visits = min(1 if data.visits is None else int(np.unique(data.visits).size) for data in measured)
    missing = lacking(visits, rounds)
    if missing:
        most = max(claim.rounds for claim in missing)
        took = minutes(most, [float(np.nanmean(data.evidence["duration_ns"])) / 1e9 for data in measured])
        yield (
            f"{rounds} rounds in {visits} visits are too few for {', '.join(claim.what for claim in missing)}: "
            f"measurement.min_rounds={most} in visits is enough, and takes about {seconds(60 * took)}"
        )
