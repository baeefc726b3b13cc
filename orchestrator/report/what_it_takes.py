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

    Takes of each trial how long a round lasts, in s, the rounds of a visit, and the pause after it, in lengths of a visit.
    """
    return Table(
        title="What each claim takes",
        columns=["claim", "visits", "rounds", "time"],
        rows=[
            [claim.what, str(claim.visits), *([str(_rounds(claim, trials)), seconds(_took(claim, trials))] if claim.rounds else "--")]
            for claim in CLAIMS
        ],
        note=note,
        right=frozenset(["visits", "rounds", "time"]),
    )


def _rounds(claim: Claim, trials: Sequence[tuple[float, float, float]]) -> int:
    return max((rounds_of(claim, per_visit) for _, per_visit, _ in trials), default=claim.rounds)


def _took(claim: Claim, trials: Sequence[tuple[float, float, float]]) -> float:
    """Return the seconds of trials that take turns: all visits, or those of one trial and its pauses where these are longer."""
    each = [(round_s * rounds_of(claim, per_visit), pause) for round_s, per_visit, pause in trials]
    return max(sum(s for s, _ in each), max((s * (1 + pause) for s, pause in each), default=0.0))


def too_short_for(trials: Sequence[TrialData]) -> dict[str, Any] | None:
    """Return what the shortest of these trials are too short to show, and how long a sweep that could takes; None if nothing."""
    measured = [data for data in trials if not data.record.imported]
    rounds = min((len(data.times[data.clock]) for data in measured), default=0)
    visits = min((data.visit_count for data in measured), default=0)
    missing = lacking(visits, rounds) if measured else []
    if not missing:
        return None
    per_visit = rounds / visits if visits > 1 else 1.0
    lasts = [float(np.nanmean(data.evidence["duration_ns"])) / 1e9 for data in measured]
    pauses = [data.record.trial.measurement.pause for data in measured]
    sizes = [(round_s, per_visit, pause) for round_s, pause in zip(lasts, pauses, strict=True)]
    longest = max(missing, key=lambda claim: rounds_of(claim, per_visit))
    return {
        "rounds": rounds,
        "visits": visits,
        "missing": [claim.what for claim in missing],
        "claims": sum(claim.rounds > 0 for claim in CLAIMS),
        "min_rounds": rounds_of(longest, per_visit),
        "takes": seconds(_took(longest, sizes)),
    }
