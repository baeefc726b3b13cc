"""The report of one campaign as the files that stand beside its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.reading import Reading, readings
from orchestrator.report.html.page import render
from orchestrator.report.markdown import PICTURE, to_report
from orchestrator.report.quality_picture import quality_picture


def report_texts(results: CampaignAnalysis, evidence: Mapping[str, Evidence]) -> dict[str, str]:
    """Return ``report.md``, ``report.html`` and the picture of the former, by name; no picture where there is nothing to draw."""
    found = readings(results, evidence)
    return {"report.md": to_report(results), "report.html": render(results, evidence, found=found), **picture_text(results, found)}


def picture_text(results: CampaignAnalysis, found: Sequence[Reading]) -> dict[str, str]:
    """Return the picture that ``report.md`` shows, by its file's name, or nothing where there is none."""
    picture = quality_picture(results, found)
    return {} if picture is None else {PICTURE: picture}
