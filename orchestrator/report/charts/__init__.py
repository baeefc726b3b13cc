"""Every figure of a report, in the order a reader asks.

A figure is one function of a file here whose name ends with ``_chart``: it takes a `Reading` and
returns a `Chart`, which says in which part of the page it stands. One without data is left out.
"""

import re
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.reading import Reading, readings
from orchestrator.report.charts.draw import SECTIONS, Chart

MAKERS: tuple[Callable[[Reading], Chart], ...] = tuple(
    make
    for found in iter_modules(__path__, f"{__name__}.")
    for name, make in vars(import_module(found.name)).items()
    if name.endswith("_chart") and make.__module__ == found.name
)


def charts_of(reading: Reading) -> list[Chart]:
    """Return the figures of one task; those that nothing was recorded for are left out."""
    charts = (make(reading) for make in MAKERS)
    drawn = [chart for chart in charts if chart.spec["data"]["values"]]
    return sorted(drawn, key=lambda one: (SECTIONS.index(one.section), one.place, one.name))


def figures(results: CampaignAnalysis) -> dict[str, tuple[Reading, Chart]]:
    """Return all figures by name, with the task's name where a campaign has several tasks."""
    found = readings(results)
    named: dict[str, tuple[Reading, Chart]] = {}
    for reading in found:
        task = re.sub(r"[^A-Za-z0-9_.-]+", "_", reading.group.task)
        for chart in charts_of(reading):
            name = chart.name if len(found) == 1 else f"{chart.name}-{task}"
            while name in named:
                name += "-2"
            named[name] = reading, chart
    return named
