"""Which system keeps most within the deadline, or why none can be named."""

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


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    """Yield the best system with what it keeps; without a deadline that there is none."""
    group = one.group
    if not one.found or group.thresholds.primary is None:
        yield Finding("no_deadline", group.task, _asked_for(results, one))
        return
    best = one.found[0]
    alike = one.orders[0].those("tied")
    alike += one.models.those("tied") if one.like_these is not None else []
    values: dict[str, Any] = {
        "within": bound(group.thresholds.primary),
        "name": name_of(best, one.found),
        "metric": group.trials[0].metric,
        "mean": best.mean,
        "low": best.low,
        "high": best.high,
        "ideal": best.ideal,
        "plain": best.scale == PLAIN,
        "processes": best.processes,
        "systems": len(one.found),
        "tied": len(alike),
    }
    kind = "winner" if best.level[0] > 0 else "nothing_kept"
    yield Finding(kind, group.task, values, best.marks)


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
