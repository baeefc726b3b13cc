"""Which system keeps most within the deadline and from which one on, or why none can be named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.ranking import WHO, Ranking, Standing, differing
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.findings import Finding
from orchestrator.report.table import bound

PLACE = 10


def name_of(one: Standing, found: Sequence[Standing]) -> str:
    """Name a system by what tells it from the others; one alone by model, system and runtime."""
    heads = differing(found) if len(found) > 1 else WHO
    words = {"batch": f"batch {one.names['batch']}"}
    return " · ".join(words.get(head, one.names[head]) for head in heads if one.names[head])


def kept_from_ns(one: Standing) -> float:
    """Return from which deadline on a system keeps its quality: certified, else as observed."""
    certified, observed = one.deadlines
    return certified if math.isfinite(certified) else observed


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    group, found, primary = one.group, one.found, one.group.thresholds.primary
    if not found or primary is None:
        yield Finding("no_deadline", group.task, _asked_for(results, one))
        return
    best, tied = found[0], one.orders[0].those("tied")
    values = {
        "within": bound(primary),
        "name": name_of(best, found),
        "metric": group.trials[0].metric,
        "mean": best.mean,
        "low": best.low,
        "high": best.high,
        "ideal": best.ideal,
        "plain": best.scale == PLAIN,
        "processes": best.processes,
        "systems": len(found),
        "tied": len(tied) + len(one.models.those("tied")),
    }
    kind = "winner" if best.level[0] > 0 else "nothing_kept"
    yield Finding(kind, group.task, values, best.marks)
    more_rounds = [
        0 if row["flags"] else row["more_rounds"] or 0
        for row in rows_of(results, "deadline", group)
        if row["trial"] in best.trials and (row["clock"], row["reference"]) == (group.clock, "own")
    ]
    first = min(found, key=kept_from_ns)
    kept = {
        "kept": kept_from_ns(best) <= primary.ns,
        "from_ns": kept_from_ns(best) if math.isfinite(kept_from_ns(best)) else None,
        "certified": math.isfinite(best.deadlines[0]),
        "share": results.analysis.deadline.quality,
        "rounds": 1 - results.analysis.deadline.late_share,
        "more_rounds": max(more_rounds, default=0) if all(more_rounds) else 0,
        "missed_by": [name_of(other, found) for other in tied if kept_from_ns(other) > primary.ns],
        "first": name_of(first, found) if kept_from_ns(first) < kept_from_ns(best) else None,
        "first_ns": kept_from_ns(first),
    }
    yield Finding("deadline_kept", group.task, kept, best.flags)


def _asked_for(results: CampaignAnalysis, one: Ranking) -> dict[str, Any]:
    """Return a deadline in the middle of a high percentile of all trials, None without times."""
    rows = rows_of(results, "latency", one.group)
    percentile = max((row["percentile"] for row in rows if row["percentile"] <= 95), default=50.0)
    wanted = one.group.clock, percentile
    found = [row["value_ns"] for row in rows if (row["clock"], row["percentile"]) == wanted]
    ns = sorted(filter(None, found))
    middle = math.sqrt(ns[0] * ns[-1]) / 1e6 if ns else math.nan
    return {
        "asked": results.analysis.primary,
        "ms": f"{float(f'{middle:.2g}'):g}" if ns else None,
        "percentile": f"p{percentile:g}",
        "observed": [ns[0], ns[-1]] if ns else [],
    }
