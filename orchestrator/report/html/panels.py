"""A figure of the page: of many trials one small panel for each model, all with the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.reading import Entry, Reading
from orchestrator.report.figures.chart import Chart

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
    models = {entry.key: entry.model for entry in (*reading.entries, *reading.systems)}
    apart = [] if chart.stacked else _models_apart(reading.systems)
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


def _models_apart(entries: Sequence[Entry]) -> list[str]:
    """Return the models that have panels of their own; nothing where all are drawn together."""
    return list(dict.fromkeys(entry.model for entry in entries)) if len(entries) > MOST_TOGETHER else []


def colours_of(reading: Reading) -> dict[str, int]:
    """Return the number of each line's colour by its key: in panels of models that of its system, the same in all of them."""
    if len(_models_apart(reading.systems)) < 2:
        return {entry.key: entry.colour for entry in reading.systems}
    places = {entry.key: entry.place[1:] for entry in reading.systems}
    numbers = {place: number for number, place in enumerate(dict.fromkeys(places.values()))}
    if len(numbers) == 1:
        return {entry.key: entry.dash for entry in reading.systems}
    return {key: numbers[place] for key, place in places.items()}
