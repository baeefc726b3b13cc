"""From which deadline on the best system keeps its quality, and which that tie with it miss it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.ranking import Ranking, Standing
from orchestrator.report.findings import Finding
from orchestrator.report.findings.winner import name_of

PLACE = 15


def kept_from_ns(one: Standing) -> float:
    """Return from which deadline on a system keeps its quality: certified, else as observed."""
    certified, observed = one.deadlines
    return certified if math.isfinite(certified) else observed


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    """Yield whether the best system keeps the deadline."""
    primary, found = one.group.thresholds.primary, one.found
    if not found or primary is None:
        return
    best = found[0]
    heads = [*one.orders[0].those("tied"), *one.models.those("tied", "worse", "behind")]
    more_rounds = [
        0 if row["flags"] else row["more_rounds"] or 0
        for row in rows_of(results, "deadline", one.group)
        if row["trial"] in best.trials
        and (row["clock"], row["reference"]) == (one.group.clock, "own")
    ]
    first = min(found, key=kept_from_ns)
    values = {
        "kept": kept_from_ns(best) <= primary.ns,
        "from_ns": kept_from_ns(best) if math.isfinite(kept_from_ns(best)) else None,
        "certified": math.isfinite(best.deadlines[0]),
        "more_rounds": max(more_rounds, default=0) if all(more_rounds) else 0,
        "quality": results.analysis.deadline.quality,
        "rounds": 1 - results.analysis.deadline.late_share,
        "confidence": results.analysis.deadline.confidence,
        "missed_by": [name_of(other, found) for other in heads if kept_from_ns(other) > primary.ns],
        "first": name_of(first, found) if kept_from_ns(first) < kept_from_ns(best) else None,
        "first_ns": kept_from_ns(first),
    }
    yield Finding("deadline_kept", one.group.task, values, best.flags)
