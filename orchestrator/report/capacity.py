"""What searches have found: up to which rate of arrivals each system keeps its quality."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.capacity import is_probe
from orchestrator.analysis.ranking import Ranking


def searches(results: CampaignAnalysis) -> list[list[Row]]:
    """Return the rows of ``capacity.parquet`` by search, those that were tested first."""
    found: dict[int, list[Row]] = {}
    for group in results.groups:
        for row in rows_of(results, "capacity", group):
            found.setdefault(row["search"], []).append(row)
    return [sorted(rows, key=lambda row: (row["verdict"] == "pilot", row["rate_per_s"] or 0.0)) for rows in found.values()]


def unsearched(ranked: Sequence[Ranking]) -> list[Ranking]:
    """Return the rankings of trials that are no part of a search, whose rates rank nothing."""
    return [one for one in ranked if not any(is_probe(data.record.trial) for data in one.group.trials)]


def estimate_text(row: Row) -> str:
    """Write the estimate with its interval, samples a second; beyond the pilot nothing is known."""
    names = ("estimate_per_s", "estimate_low_per_s", "estimate_high_per_s")
    rate, low, high = ("-" if row[name] is None else f"{row[name]:.3g}" for name in names)
    return "-" if rate == "-" else f"{rate}/s [{low}, {high}]"


def certified_row(rows: Sequence[Row]) -> Row | None:
    """Return the row of the certified rate of a search; None without one."""
    certified = ("kept", rows[0]["certified_per_s"])
    return next((row for row in rows if (row["verdict"], row["rate_per_s"]) == certified), None)
