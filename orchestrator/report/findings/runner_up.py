"""What follows the best system: the next of its model, and the best ones of other models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, Standing, Tie
from orchestrator.analysis.tables.comparison import EXACTLY
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.findings import Finding
from orchestrator.report.findings.winner import kept_from_ns, name_of

PLACE = 20
ROUNDED = 0.0005  # the difference of common visits may miss that of printed means by more
VERDICTS = {"tied": "tie", "worse": "shown", "behind": "not shown", "not tested": "not tested"}


def of_task(results: CampaignAnalysis, one: Ranking) -> Iterator[Finding]:
    if not one.found or one.found[0].level[0] <= 0:
        return
    systems, models = one.orders[0].others, one.models.others
    if others := [_told(one, *other) for other in systems or models]:
        first = others[0]
        more = sum(other["verdict"] == "tie" for other in others[1:])
        yield Finding("runner_up", one.group.task, {**first, "more_tied": more}, first["flags"])
    if rest := [_told(one, *other) for other in (models if systems else models[1:])]:
        yield Finding("other_models", one.group.task, {"models": rest})


def _told(one: Ranking, other: Standing, kind: Tie) -> dict[str, Any]:
    """Return what is known of the difference between a system and the best."""
    best = one.found[0]
    less = other.less.get(best.trials[0]) if kind != "not tested" else None
    gained = best.scale.gained(best.mean) - best.scale.gained(other.mean)
    difference = less.difference if less and best.scale == PLAIN else round(gained, EXACTLY)
    ideal = best.scale.gained(best.ideal)
    return {
        "name": name_of(other, one.found),
        "model": other.model,
        "mean": other.mean,
        "from_ns": kept_from_ns(other),
        "plain": best.scale == PLAIN,
        "difference": difference,
        "common": less is not None and abs(difference - gained) > ROUNDED,
        "share": difference / ideal if ideal else 0.0,
        "low": less.low if less else None,
        "high": less.high if less else None,
        "p": less.p if less else None,
        "verdict": VERDICTS[kind],
        "only_here": other.model != best.model and other.model not in (one.like_these or ()),
        "samples": len(one.group.trials[0].references),
        "flags": other.marks,
    }
