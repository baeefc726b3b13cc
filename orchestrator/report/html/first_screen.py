"""What stands beside the first figure of a task: what was found at the primary threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.reading import Reading
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.report.findings import Finding
from orchestrator.report.findings.say import label, said
from orchestrator.report.html.glossary import Word
from orchestrator.stats.times import Clock


@dataclass(frozen=True)
class Asker:
    """What the section of one task needs: what is drawn, and the entry of every flag."""

    reading: Reading
    flags: Mapping[str, Word]

    @property
    def results(self) -> CampaignAnalysis:
        """The campaign."""
        return self.reading.results


def in_html(found: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return the label of each finding and what it says, as HTML."""
    return [(Markup(label(one, "html")), Markup(said(one, "html"))) for one in found]  # noqa: S704 - escaped by `say`


def kept_by_system(reading: Reading, clock: Clock) -> dict[str, Deadlines]:
    """Return from which deadline on each system keeps its quality, by its key: that which all its processes keep."""
    known = kept_from(reading.results.rows("deadline"), clock)
    return {entry.key: longest(known.get(one.key, NEVER) for one in entry.members) for entry in reading.systems}
