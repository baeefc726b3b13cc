"""Figures as files for slides and papers: SVG, PDF or PNG, drawn with matplotlib from the same data as the page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.contracts import InputError
from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.report.figures.charts import figures
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.reading import Reading
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.files import replacing

FORMATS = ("svg", "pdf", "png")
COLOURS = ("#0072b2", "#c24e00", "#00795a", "#a6458a", "#7a5c00", "#2f6f9f", "#6b4fb3", "#b0304a", "#4d6b1f", "#5a5a5a")
DASHES: tuple[Any, ...] = ("solid", "dashed", "dotted", "dashdot", (0, (8, 2)))
MARKERS: tuple[dict[str, Any], ...] = (
    {"marker": "o"},
    {"marker": "o", "facecolors": "none"},
    {"marker": "D"},
    {"marker": "^"},
    {"marker": "x"},
)
MOST_IN_LEGEND = 16
LETTERS_OF_LEGEND, LETTERS_OF_LINE = 130, 11
"""How many letters stand side by side below a figure, and how many the line before each label takes the room of."""
STEPS = ((3000, (1,)), (16, (1, 2, 5)), (3, (1, 1.5, 2, 3, 4, 5, 7)), (0, (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)))
"""Ticks within a decade of a logarithmic axis, by the largest value over the smallest."""


def write_figures(
    directory: Path,
    formats: Sequence[str],
    only: Collection[str],
    results: CampaignAnalysis,
    evidence: Mapping[str, Evidence] | None = None,
) -> list[Path]:
    """Write figures into a folder and return the paths of their files.

    Parameters
    ----------
    formats
        some of ``FORMATS``.
    only
        names of figures; none writes all.

    Raises
    ------
    InputError
        for an unknown format or name, and where matplotlib is not installed.
    """
    for form in formats:
        if form not in FORMATS:
            raise InputError(f"--figures {form}: no such format; choose some of {','.join(FORMATS)}")
    found = figures(results, evidence)
    for name in only:
        if name not in found:
            raise InputError(f"--only {name}: no such figure; choose one of {', '.join(found)}")
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (reading, chart) in found.items():
        if not only or name in only:
            for form in formats:
                path = directory / f"{name}.{form}"
                write_figure(path, chart, reading)
                written.append(path)
    return written


def write_figure(path: Path, chart: Chart, reading: Reading) -> None:
    """Write one figure in the format that the name ends with, at the primary threshold and the first choice of each kind."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            f"--figures {path.suffix.removeprefix('.')}: matplotlib is missing; pip install 'tail-quality[figures]'"
        ) from error
    # A name is shown as it is, a dollar sign is no formula, and equal data give equal bytes.
    with matplotlib.rc_context({"svg.hashsalt": "tail-quality", "text.parse_math": False, "text.usetex": False, "svg.fonttype": "none"}):
        drawn = Figure(figsize=(8, 4.8), layout="constrained")
        axes = drawn.add_subplot()
        shown = [series for series in chart.series if all(series.tags.get(tag, first) == first for tag, first in _first(chart).items())]
        _draw(axes, chart, reading, shown)
        axes.set_title(f"{chart.title}: {reading.title}", loc="left", fontsize=11)
        kind = path.suffix.removeprefix(".")
        with replacing(path) as file:  # what lies there may be a link to somewhere else
            drawn.savefig(file, format=kind, dpi=200, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind))


def _first(chart: Chart) -> dict[str, str]:
    return {tag: values[0] for tag, values in chart.choices.items() if values}


def _draw(axes: Any, chart: Chart, reading: Reading, shown: Sequence[Series]) -> None:
    styles = {entry.key: (COLOURS[entry.colour % len(COLOURS)], DASHES[entry.dash % len(DASHES)]) for entry in reading.entries}
    grid = reading.grids[PRIMARY_CLOCK]
    left: Any = 0.0
    for series in shown:
        colour, dash = styles.get(series.entry, ("#777777", "dashed"))
        label = "_" if series.faint and series.entry else series.label
        y = series.y[grid.start] if series.y.ndim == 2 else series.y
        x: Any = [datetime.fromtimestamp(ms / 1000, UTC) for ms in series.x] if chart.x.date else series.x  # type: ignore[operator]
        if series.kind == "bars":
            axes.barh(x, y, left=left, label=label)
            left = left + np.nan_to_num(y)
        elif series.kind == "points":
            axes.scatter(x, y, s=16, **_marker(reading, series.entry, colour), alpha=0.8, label=label)
        else:
            style: dict[str, Any] = {"drawstyle": "steps-post"} if series.kind == "step" else {}
            style |= {"marker": "o"} if len(x) == 1 else {}  # a line of one point shows nothing
            width = 0.9 if series.faint else 1.6
            axes.plot(x, y, color=colour, linestyle=dash, linewidth=width, alpha=0.6 if series.faint else 1.0, label=label, **style)
        if series.low is not None and series.high is not None:
            axes.fill_between(x, series.low, series.high, step="post", color=colour, alpha=0.15, linewidth=0)
    across, up = (chart.y, chart.x) if chart.stacked else (chart.x, chart.y)
    _scale(axes, "x", across)
    _scale(axes, "y", up)
    if chart.stacked:
        axes.invert_yaxis()
    if chart.choices.get("measure"):
        axes.set_ylabel(chart.choices["measure"][0])
    if chart.threshold:
        mark = axes.axvline if chart.threshold == "x" else axes.axhline
        mark(grid.ms[grid.start], color="#222222", linestyle="dotted", linewidth=1)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if 0 < len(unique) <= MOST_IN_LEGEND:
        columns = max(1, min(len(unique), LETTERS_OF_LEGEND // (max(map(len, unique)) + LETTERS_OF_LINE)))
        axes.figure.legend(unique.values(), unique.keys(), fontsize=7.5, frameon=False, loc="outside lower center", ncols=columns)
    axes.grid(visible=True, color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)


def _marker(reading: Reading, key: str, colour: str) -> dict[str, Any]:
    dash = next((entry.dash for entry in reading.entries if entry.key == key), 0)
    return {"edgecolors": colour, "facecolors": colour} | MARKERS[dash % len(MARKERS)]


def _scale(axes: Any, which: str, axis: Axis) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    side = axes.xaxis if which == "x" else axes.yaxis
    side.set_label_text(axis.title)
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        side.set_minor_formatter(NullFormatter())
        if not axis.ticks:
            low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
            steps = next(steps for span, steps in STEPS if high / low > span)
            side.set_major_locator(
                FixedLocator([step * 10.0**power for power in range(-9, 10) for step in steps if low <= step * 10.0**power <= high])
            )
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if axis.ticks:
        side.set_ticks([place for place, _ in axis.ticks], [label for _, label in axis.ticks])
    if axis.falling:
        axes.invert_yaxis()
        side.set_major_locator(MaxNLocator(integer=True))
