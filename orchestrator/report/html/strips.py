"""Stability: what stands beside the strip of each system's rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.reading import Entry, Reading
from orchestrator.report.explained import first_cause


@dataclass(frozen=True)
class Strip:
    """One system: its quality by round is drawn from the data of the slider, one process after another.

    rounds
        how many there are in all.
    cause
        the first named evidence of slow rounds, of several processes that of the first that has one.
    """

    entry: Entry
    rounds: int
    cause: str

    @property
    def counted(self) -> str:
        """How many rounds there are, and of how many processes."""
        several = f" of {len(self.entry.processes)} processes" if self.entry.processes else ""
        return f"{self.rounds} rounds{several}"


def strips(reading: Reading, results: CampaignAnalysis) -> Sequence[Strip]:
    """Return the strips in the order of the systems."""
    firsts = {row["trial"]: row for row in reversed(rows_of(results, "explain", reading.group))}
    found = []
    for system in reading.systems:
        known = [firsts[one.key] for one in system.members if one.key in firsts]
        rounds = sum(len(one.data.incomplete) for one in system.members)
        named = [row for row in known if row["place"] is not None] or known
        found.append(Strip(system, rounds, first_cause(named[0]) if named else ""))
    return found
