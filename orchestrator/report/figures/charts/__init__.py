"""Every figure of a report, in the order a reader asks.

A figure is one function of a file here whose name ends with ``_chart``: it takes a `Reading` and returns a `Chart`, which says in which
part of the page it stands. One without series is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.reading import Evidence, Reading, readings
from orchestrator.contracts import InputError
from orchestrator.report.figures.chart import SECTIONS, Chart

Maker = Callable[[Reading], Chart]


def _makers() -> Iterator[Maker]:
    for found in iter_modules(__path__, f"{__name__}."):
        module = import_module(found.name)
        yield from (make for name, make in vars(module).items() if name.endswith("_chart") and make.__module__ == found.name)


MAKERS: tuple[Maker, ...] = tuple(_makers())


def charts_of(reading: Reading) -> list[Chart]:
    """Return the figures of one task; those that nothing was recorded for are left out."""
    charts = [make(reading) for make in MAKERS]
    names = [chart.name for chart in charts]
    if len(set(names)) < len(names):
        raise InputError(f"figure {max(names, key=names.count)}: two figures have this name; give one of them another")
    drawn = [chart for chart in charts if chart.series]
    return sorted(drawn, key=lambda chart: (SECTIONS.index(chart.section), chart.place, chart.name))


def figures(results: CampaignAnalysis, evidence: Mapping[str, Evidence] | None = None) -> dict[str, tuple[Reading, Chart]]:
    """Return all figures by name: that of their kind, with the task's name if a campaign has several tasks."""
    found = readings(results, evidence or {})
    named: dict[str, tuple[Reading, Chart]] = {}
    for reading in found:
        suffix = "" if len(found) == 1 else "-" + re.sub(r"[^A-Za-z0-9_.-]+", "_", reading.group.task)
        for chart in charts_of(reading):
            name = chart.name + suffix
            while name in named:
                name += "-2"
            named[name] = reading, chart
    return named
