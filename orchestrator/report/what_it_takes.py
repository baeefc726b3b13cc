"""The size that claims take, as a table, and what a campaign is too short to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.planning.claims import CLAIMS, lacking, rounds_of
from orchestrator.report.table import Table
from orchestrator.report.text import seconds


def claims_table(trials: Sequence[tuple[float, float]], note: str = "") -> Table:
    """Return a row per claim, with what it takes of all trials: how long a round of each lasts, in s, and the rounds of a visit."""
    took = [sum(s * rounds_of(claim, per_visit) for s, per_visit in trials) for claim in CLAIMS]
    return Table(
        title="What each claim takes",
        columns=["claim", "visits", "rounds", "time"],
        rows=[
            [claim.what, str(claim.visits), str(claim.rounds or "-"), seconds(of) if claim.rounds else "-"]
            for claim, of in zip(CLAIMS, took, strict=True)
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
        needed = max(rounds_of(claim, rounds / visits if visits > 1 else 1) for claim in missing)
        took = needed * sum(float(np.nanmean(data.evidence["duration_ns"])) / 1e9 for data in measured)
        yield (
            f"{rounds} rounds in {visits} {'visit' if visits == 1 else 'visits'} are too few for "
            f"{', '.join(claim.what for claim in missing)}: "
            f"measurement.min_rounds={needed} in visits is enough, and takes about {seconds(took)}"
        )
