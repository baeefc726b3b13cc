"""Up to which rate of arrivals a search has certified a system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.ranking import WHO, Ranking
from orchestrator.report.findings import Finding

PLACE = 25


def of_campaign(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> Iterator[Finding]:
    found: dict[int, list[Row]] = {}
    for row in (row for group in results.groups for row in rows_of(results, "capacity", group)):
        found.setdefault(row["search"], []).append(row)
    for rows in found.values():
        row, best = rows[0], ("kept", rows[0]["certified_per_s"])
        kept = [dict(one) for one in rows if (one["verdict"], one["rate_per_s"]) == best]
        names = ("estimate_per_s", "estimate_low_per_s", "estimate_high_per_s")
        rate, low, high = ("-" if row[name] is None else f"{row[name]:.3g}" for name in names)
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
                "certified": kept[0] if kept else None,
                "why": row["ending"] or "the search has not come so far",
                "minutes_needed": row["minutes_needed"],
                "estimate": f"{rate}/s [{low}, {high}]" if rate != "-" else None,
            },
            tuple(kept[0]["flags"]) if kept else (),
        )
