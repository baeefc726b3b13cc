"""The report of a campaign as the files that stand beside its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking
from orchestrator.analysis.reading import readings
from orchestrator.analysis.threads import map_in_threads
from orchestrator.report.chart_files import quality_picture
from orchestrator.report.html.page import render
from orchestrator.report.markdown import PICTURE, to_report


def report_texts(results: CampaignAnalysis, ranked: Sequence[Ranking]) -> dict[str, str]:
    """Return ``report.md``, ``report.html`` and the picture of the former, by name; no picture where there is nothing to draw.

    ``ranked`` is what `rankings` returns.
    """
    found = readings(results)
    return made_together(
        {
            "report.md": lambda: to_report(results, ranked),
            "report.html": lambda: render(results, found=found, ranked=ranked),
            PICTURE: lambda: quality_picture(results, found, ranked),
        }
    )


def made_together(makers: Mapping[str, Callable[[], str | None]]) -> dict[str, str]:
    """Return what each maker makes, by the file's name; all at once, for what one compresses another can compute. None is left out."""
    made = map_in_threads(lambda make: make(), makers.values())
    return {name: text for name, text in zip(makers, made, strict=True) if text is not None}
