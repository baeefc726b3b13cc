"""Up to which rate of arrivals a search has certified a system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import WHO, Ranking
from orchestrator.report.capacity import certified_row, estimate_text, searches
from orchestrator.report.findings import Finding

PLACE = 25


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    for rows in searches(results):
        row, certified = rows[0], certified_row(rows)
        yield Finding(
            "capacity",
            "",
            {
                "task": row["task"],
                "name": " · ".join(row[name] for name in WHO),
                "load": row["load"],
                "keep": row["keep"],
                "metric": row["metric"],
                "within": row["threshold"],
                "certified": dict(certified) if certified else None,
                "why": row["ending"] or "the search has not come so far",
                "minutes_needed": row["minutes_needed"],
                "estimate": estimate_text(row) if row["estimate_per_s"] is not None else None,
            },
            tuple(certified["flags"]) if certified else (),
        )
