"""The size that claims take, as a table, and what a campaign is too short to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.trial_data import TrialData
from orchestrator.planning.claims import CLAIMS, Claim, lacking, rounds_of
from orchestrator.report.table import Table
from orchestrator.report.text import seconds


def claims_table(trials: Sequence[tuple[float, float, float]], note: str = "") -> Table:
    """Return a row per claim, with what it takes of all trials.

    Takes of each trial how long a round lasts, in s, the rounds of a visit, and the pause after it,
    in lengths of a visit.
    """
    rows = []
    for claim in CLAIMS:
        rounds = [rounds_of(claim, per_visit) for _, per_visit, _ in trials]
        size = [str(max(rounds, default=claim.rounds)), _took(claim, trials)]
        rows.append([claim.what, str(claim.visits), *(size if claim.rounds else "--")])
    return Table(
        title="What each claim takes",
        columns=["claim", "visits", "rounds", "time"],
        rows=rows,
        note=note,
        right=frozenset(["visits", "rounds", "time"]),
    )


def _took(claim: Claim, trials: Sequence[tuple[float, float, float]]) -> str:
    """Return the time of trials that take turns.

    That is all visits, or those of one trial and its pauses where these are longer.
    """
    each = [(round_s * rounds_of(claim, per_visit), pause) for round_s, per_visit, pause in trials]
    longest_s = max((s * (1 + pause) for s, pause in each), default=0.0)
    return seconds(max(sum(s for s, _ in each), longest_s))


def too_short_for(trials: Sequence[TrialData]) -> dict[str, Any] | None:
    """Return what the shortest of these trials are too short to show; None if nothing.

    And how long a sweep that could takes.
    """
    measured = [data for data in trials if not data.record.imported]
    rounds = min((len(data.times[data.clock]) for data in measured), default=0)
    visits = min((data.visit_count for data in measured), default=0)
    missing = lacking(visits, rounds) if measured else []
    if not missing:
        return None
    per_visit = rounds / visits if visits > 1 else 1.0
    sizes = [
        (
            float(np.nanmean(data.evidence["duration_ns"])) / 1e9,
            per_visit,
            data.record.trial.measurement.pause,
        )
        for data in measured
    ]
    longest = max(missing, key=lambda claim: rounds_of(claim, per_visit))
    return {
        "rounds": rounds,
        "visits": visits,
        "missing": [claim.what for claim in missing],
        "claims": sum(claim.rounds > 0 for claim in CLAIMS),
        "min_rounds": rounds_of(longest, per_visit),
        "takes": _took(longest, sizes),
    }
