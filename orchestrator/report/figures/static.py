"""Figures as files for slides and papers: SVG, PDF or PNG, drawn with matplotlib from the same data as the page."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.reading import Evidence, Reading
from orchestrator.contracts import InputError
from orchestrator.report.colours import COLOURS, Style, styles
from orchestrator.report.figures.axis_words import axis_words
from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.report.figures.charts import figures
from orchestrator.report.figures.look import PLAIN_LOOK, POINTS_PER_INCH, Look
from orchestrator.storage.files import replacing

FORMATS = ("svg", "pdf", "png")
MARKERS: tuple[dict[str, Any], ...] = (
    {"marker": "o"},
    {"marker": "o", "facecolors": "none"},
    {"marker": "D"},
    {"marker": "^"},
    {"marker": "x"},
)
OF_BARS = (COLOURS[0], COLOURS[5], "#9a9a9a")
HATCHES = ("", "////", "....")
GREY: Style = ("#777777", (5, 2))
HEIGHT = 0.58
"""Of the plot without its legend, as a share of the width."""
MOST_IN_LEGEND = 16
LETTERS_OF_LINE = 8
"""How many letters the line before each label of a legend takes the room of."""
STEPS = ((3000, (1,)), (16, (1, 2, 5)), (3, (1, 1.5, 2, 3, 4, 5, 7)), (0, (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)))
"""Ticks within a decade of a logarithmic axis, by the largest value over the smallest."""
NARROW_STEPS = ((300, (1,)), (8, (1, 2, 5)), (2, (1, 1.5, 2, 3, 5, 7)), (0, (1, 1.2, 1.4, 1.6, 1.8, 2, 3)))
"""The same where there is room for fewer."""
BROAD = 6.0
"""From this width in inches on, there is room for many ticks."""
SETTINGS = {
    # A name is shown as it is, a dollar sign is no formula, and equal data give equal bytes.
    "svg.hashsalt": "tail-quality",
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    # TrueType, which publishers take and programs can edit; Type 3, the default, many refuse.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}


def write_figures(
    directory: Path,
    formats: Sequence[str],
    only: Collection[str],
    results: CampaignAnalysis,
    evidence: Mapping[str, Evidence] | None = None,
    look: Look = PLAIN_LOOK,
) -> list[Path]:
    """Write figures into a folder and return the paths of their files.

    Parameters
    ----------
    formats
        some of ``FORMATS``.
    only
        names of figures; none writes all.
    look
        their width, and the sizes of text and lines.

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
                write_figure(path, chart, reading, look)
                written.append(path)
    return written


def write_figure(path: Path, chart: Chart, reading: Reading, look: Look = PLAIN_LOOK) -> None:
    """Write one figure in the format that the name ends with, at the primary threshold and the first choice of each kind."""
    kind = path.suffix.removeprefix(".")
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(f"--figures {kind}: matplotlib is missing; pip install 'tail-quality[figures]'") from error
    settings: Any = SETTINGS | _sizes(look)
    with matplotlib.rc_context(settings):
        drawn = drawn_figure(chart, reading, look)
        with replacing(path) as file:  # what lies there may be a link to somewhere else
            drawn.savefig(file, format=kind, dpi=300, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind))


def drawn_figure(chart: Chart, reading: Reading, look: Look) -> Any:
    """Return a figure of matplotlib, as high as its plot, names and legend take."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = SETTINGS | _sizes(look)
    with matplotlib.rc_context(settings):
        shown = [series for series in chart.series if all(series.tags.get(tag, first) == first for tag, first in _first(chart).items())]
        drawn = Figure(figsize=(look.width, HEIGHT * look.width), layout="constrained")
        axes = drawn.add_subplot()
        _draw(axes, chart, reading, shown, look)
        below = _legend(axes, look)
        title = textwrap.wrap(f"{chart.title}: {reading.title}", look.letters(0.66 * look.small / look.text)) if look.title else []
        axes.set_title("\n".join(title), loc="left")
        lines = 1.3 * (len(title) + 4 * chart.stacked) * look.text / POINTS_PER_INCH
        names = _lines_of_names(shown, look) * 1.35 * look.small / POINTS_PER_INCH if chart.stacked else 0.0
        drawn.set_size_inches(look.width, max(HEIGHT * look.width, names) + below + lines)
    return drawn


def _sizes(look: Look) -> dict[str, Any]:
    line = look.line / PLAIN_LOOK.line
    return {
        "font.size": look.text, "axes.labelsize": look.text, "axes.titlesize": look.text,
        "xtick.labelsize": look.small, "ytick.labelsize": look.small, "legend.fontsize": look.small,
        "axes.linewidth": 0.8 * line, "grid.linewidth": 0.6 * line, "hatch.linewidth": 0.6 * line,
        "xtick.major.width": 0.8 * line, "ytick.major.width": 0.8 * line, "xtick.minor.width": 0.5 * line, "ytick.minor.width": 0.5 * line,
    }  # fmt: skip


def _first(chart: Chart) -> dict[str, str]:
    return {tag: values[0] for tag, values in chart.choices.items() if values}


def _draw(axes: Any, chart: Chart, reading: Reading, shown: Sequence[Series], look: Look) -> None:
    systems = {entry.data.record.match_key: entry for entry in reversed(reading.entries)}
    of_system = styles((key, entry.colour, entry.dash) for key, entry in reversed(systems.items()))
    found = {entry.key: of_system[entry.data.record.match_key] for entry in (*reading.entries, *reading.systems)}
    grid = reading.grids[reading.clock]
    left: Any = 0.0
    for number, series in enumerate(shown):
        style = found.get(series.entry, GREY)
        label = "_" if series.faint and series.entry else series.label
        y = series.y[grid.start] if series.y.ndim == 2 else series.y
        x: Any = [datetime.fromtimestamp(ms / 1000, UTC) for ms in series.x] if chart.x.date else series.x  # type: ignore[operator]
        if series.kind == "bars":
            names = _names(series, look)
            fill = {"color": OF_BARS[number % len(OF_BARS)], "hatch": HATCHES[number % len(HATCHES)], "edgecolor": "white"}
            axes.barh(range(len(names)), y, left=left, label=label, linewidth=0, **fill)
            axes.set_yticks(range(len(names)), names)
            left = left + np.nan_to_num(y)
        elif series.kind == "points":
            axes.scatter(
                x, y, s=5 * look.line**2 + 3, linewidths=0.6 * look.line, alpha=0.8, label=label, **_marker(reading, series, style)
            )
        else:
            _line(axes, x, y, series, label, style, look)
        if series.low is not None and series.high is not None:
            axes.fill_between(x, series.low, series.high, step="post", color=style[0], alpha=0.15, linewidth=0)
    words = axis_words(chart, reading)
    across, up = (chart.y, chart.x) if chart.stacked else (chart.x, chart.y)
    _scale(axes, "x", across, look)
    _scale(axes, "y", up, look)
    axes.set_xlabel(_label(words[chart.stacked], look, 0.68))
    axes.set_ylabel(_label(words[not chart.stacked], look, 0.9 * HEIGHT))
    if chart.x.date:
        _clock_times(axes, look)
    if chart.stacked:
        axes.invert_yaxis()
    if chart.threshold:
        mark = axes.axvline if chart.threshold == "x" else axes.axhline
        mark(grid.ms[grid.start], color="#222222", linestyle="dotted", linewidth=0.6 * look.line)
    axes.grid(visible=True, color="#e3e3e3")
    axes.set_axisbelow(True)


def _label(words: str, look: Look, share: float) -> str:
    """Return an axis label, its unit on a line of its own where a share of the width has no room for both."""
    fits = len(words) <= look.letters(share * look.small / look.text)
    return words if fits else words.replace(" (", "\n(")


def _names(series: Series, look: Look) -> list[str]:
    """Return the names beside bars, on several lines where they are long."""
    return ["\n".join(textwrap.wrap(str(name), look.letters(0.42))) for name in series.x]


def _lines_of_names(shown: Sequence[Series], look: Look) -> float:
    """Return how many lines names take up, each with half a line around it."""
    return max((sum(name.count("\n") + 1.5 for name in _names(series, look)) for series in shown), default=0.0)


def _line(axes: Any, x: Any, y: Any, series: Series, label: str, style: Style, look: Look) -> None:
    """Draw a line; one of a single point, which would show nothing, as a dot."""
    colour, dash = style
    how: dict[str, Any] = {"drawstyle": "steps-post"} if series.kind == "step" else {}
    how |= {"marker": "o"} if len(x) == 1 else {}
    width, strength = (0.6 * look.line, 0.6) if series.faint else (look.line, 1.0)
    axes.plot(x, y, color=colour, linestyle=(0, dash) if dash else "solid", linewidth=width, alpha=strength, label=label, **how)


def _legend(axes: Any, look: Look) -> float:
    """Put a legend below the plot, in as many columns as fit, and return its height in inches."""
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if not 0 < len(unique) <= MOST_IN_LEGEND:
        return 0.0
    wrapped = ["\n".join(textwrap.wrap(label, max(8, look.letters() - LETTERS_OF_LINE))) for label in unique]
    longest = max(len(line) for label in wrapped for line in label.splitlines())
    columns = max(1, min(len(unique), look.letters() // (longest + LETTERS_OF_LINE)))
    axes.figure.legend(
        unique.values(), wrapped, frameon=False, loc="outside lower center", ncols=columns, handlelength=3.2, labelspacing=0.35
    )
    rows = sum(label.count("\n") + 1 for label in wrapped) / columns
    return (math.ceil(rows) * 1.4 + 0.8) * look.small / POINTS_PER_INCH


def _marker(reading: Reading, series: Series, style: Style) -> dict[str, Any]:
    dash = next((entry.dash for entry in (*reading.entries, *reading.systems) if entry.key == series.entry), 0)
    marker = {"edgecolors": style[0], "facecolors": style[0]} | MARKERS[dash % len(MARKERS)]
    return marker if marker["marker"] != "x" else {"color": style[0], "marker": "x"}


def _clock_times(axes: Any, look: Look) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    places = AutoDateLocator(minticks=3, maxticks=7 if look.width >= BROAD else 4)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(places, show_offset=False))  # type: ignore[no-untyped-call]


def _scale(axes: Any, which: str, axis: Axis, look: Look) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    side = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        side.set_minor_formatter(NullFormatter())
        if not axis.ticks:
            low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
            choices = STEPS if look.width >= BROAD and look.small < 12 else NARROW_STEPS
            steps = next(steps for span, steps in choices if high / low > span)
            side.set_major_locator(
                FixedLocator([step * 10.0**power for power in range(-9, 10) for step in steps if low <= step * 10.0**power <= high])
            )
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if axis.ticks:
        side.set_ticks([place for place, _ in axis.ticks], [label for _, label in axis.ticks])
    if axis.falling:
        axes.invert_yaxis()
        side.set_major_locator(MaxNLocator(integer=True))
