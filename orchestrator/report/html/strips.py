"""Stability: what stands beside the strip of each trial's rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.explained import first_cause
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.table import rows_of


@dataclass(frozen=True)
class Strip:
    """One trial: its quality by round is drawn from the data of the slider; ``cause`` is the first named evidence of slow rounds."""

    entry: Entry
    rounds: int
    cause: str


def strips(reading: Reading, results: CampaignAnalysis) -> Sequence[Strip]:
    """Return the strips in the order of the trials."""
    firsts = {row["trial"]: row for row in reversed(rows_of(results, "explain", reading.group))}
    return [
        Strip(entry, len(entry.data.incomplete), first_cause(firsts[entry.key]) if entry.key in firsts else "") for entry in reading.entries
    ]
