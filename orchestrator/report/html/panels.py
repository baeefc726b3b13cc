"""A figure of the page: of many trials one small panel for each model, all with the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.report.figures.chart import Chart
from orchestrator.report.figures.reading import Reading

MOST_TOGETHER = 10
"""Trials of several models that one panel holds."""


@dataclass(frozen=True)
class Panel:
    """What is drawn in one frame; ``title`` is empty where a figure has only one."""

    name: str
    title: str
    chart: Chart


@dataclass(frozen=True)
class Figure:
    """A figure with its panels, which share choices, note and axes."""

    name: str
    title: str
    note: str
    choices: Mapping[str, Sequence[str]]
    stacked: bool
    panels: Sequence[Panel]


def figure_of(chart: Chart, reading: Reading, number: int) -> Figure:
    """Return a figure of the task of this number."""
    name = f"{chart.name}-{number}"
    models = {entry.key: entry.data.record.trial.model.name for entry in reading.entries}
    apart = list(dict.fromkeys(models.values())) if len(models) > MOST_TOGETHER and not chart.stacked else []
    if len(apart) < 2:
        panels = [Panel(name, "", chart)]
    else:
        panels = [
            Panel(
                f"{name}-{place}",
                model,
                replace(chart, series=[series for series in chart.series if not series.entry or models[series.entry] == model]),
            )
            for place, model in enumerate(apart)
        ]
    return Figure(name, chart.title, chart.note, chart.choices, chart.stacked, panels)
