"""The picture beside the answer in ``report.md``: mean tail quality of every system against the threshold, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking, Standing, differing, rankings, shared
from orchestrator.analysis.reading import Reading, readings
from orchestrator.metrics.interface import Scale
from orchestrator.report.colours import strokes, styles
from orchestrator.report.svg import INK, QUIET, RULE, Drawing, Point, spread, width_of
from orchestrator.report.table import bound
from orchestrator.report.text import quality
from orchestrator.stats.thresholds import Threshold

PLOT_WIDTH, PLOT_HEIGHT = 520.0, 300.0
LEFT, TOP, BOTTOM, LINE = 54.0, 72.0, 54.0, 17.0
MOST_LABELS = 16
"""Most lines with a name; of more, the best and the last have one."""
NS_PER_MS = 1e6
EMPTY = (QUIET, ())

Floats = NDArray[np.float64]


def quality_picture(
    results: CampaignAnalysis, read: Sequence[Reading] | None = None, ranked: Sequence[Ranking] | None = None
) -> str | None:
    """Return the picture, one panel a task, or None where no task has a primary threshold.

    ``read`` are the curves of the page, from `readings`, and ``ranked`` is what `rankings` returns, if these are known already.
    """
    ranked = rankings(results) if ranked is None else ranked
    if not any(one.found for one in ranked):
        return None
    read = readings(results, {}) if read is None else read
    found = [(reading, one.found) for reading, one in zip(read, ranked, strict=True) if one.found]
    label_width = max(width_of(label_of(one, some)) for _, some in found for one in some) + 44
    height = TOP + PLOT_HEIGHT + BOTTOM
    drawing = Drawing(LEFT + PLOT_WIDTH + label_width, height * len(found), "Mean tail quality against the threshold, one line a system")
    for number, (reading, some) in enumerate(found):
        _panel(drawing, number * height, reading, some)
    return drawing.to_svg()


def label_of(one: Standing, others: Sequence[Standing]) -> str:
    """Return what a system keeps at the primary threshold, and the names that tell it from the others."""
    return " ".join([quality(one.mean), *(one.names[name] for name in differing(others) if one.names[name])])


def _panel(drawing: Drawing, above: float, reading: Reading, found: Sequence[Standing]) -> None:
    group = reading.group
    primary = group.thresholds.primary
    assert primary is not None
    ns = _thresholds(reading, primary)
    curves = _curves(reading, found, ns)
    scale = found[0].scale
    best = max(scale.gained(one.ideal) for one in found)
    top = max(best, max((float(curve.max()) for curve in curves), default=0.0), 1e-12)
    floor = min(0.0, min((float(curve.min()) for curve in curves), default=0.0))

    def x_of(threshold_ns: float) -> float:
        return LEFT + PLOT_WIDTH * math.log(threshold_ns / ns[0]) / math.log(ns[-1] / ns[0])

    def y_of(gained: float) -> float:
        return above + TOP + PLOT_HEIGHT * (1 - (gained - floor) / (1.04 * top - floor))

    bottom = above + TOP + PLOT_HEIGHT
    drawing.text(8, above + 22, ", ".join([group.task, *shared(found)]), bold=True, size=15)
    drawing.text(8, above + 40, f"mean {group.trials[0].metric} against the threshold on {group.clock} time", QUIET)
    for value in even_ticks(floor, top):
        drawing.path([(LEFT, y_of(value)), (LEFT + PLOT_WIDTH, y_of(value))], RULE)
        drawing.text(LEFT - 6, y_of(value) + 4, f"{scale.shown(value):.3g}", QUIET, 12, "end")
    for ms in ticks(ns[0] / NS_PER_MS, ns[-1] / NS_PER_MS):
        drawing.path([(x_of(ms * NS_PER_MS), bottom), (x_of(ms * NS_PER_MS), bottom + 5)], QUIET)
        drawing.text(x_of(ms * NS_PER_MS), bottom + 19, f"{ms:g}", QUIET, 12, "middle")
    drawing.text(LEFT + PLOT_WIDTH / 2, bottom + 38, "threshold (ms)", QUIET, 12, "middle")
    drawing.path([(LEFT, y_of(best)), (LEFT + PLOT_WIDTH, y_of(best))], INK, 1, "2 3")
    drawing.text(LEFT + 4, y_of(best) - 5, "ideal", INK, 12)
    at = x_of(primary.ns)
    drawing.path([(at, above + TOP - 4), (at, bottom)], INK, 1.5, "5 3")
    drawing.text(at, above + TOP - 8, f"within {bound(primary)}", INK, 12, _anchor(at))
    drawing.text(LEFT + PLOT_WIDTH + 38, above + TOP - 8, f"at {bound(primary)}:", QUIET, 12)
    _lines(drawing, found, curves, x_of_all=[x_of(one) for one in ns], y_of=y_of, limits=(above + TOP, bottom))


def _anchor(at: float) -> str:
    """Return which part of a text stands at a place of the plot, so that it stays in it."""
    share = (at - LEFT) / PLOT_WIDTH
    return "start" if share < 0.25 else "end" if share > 0.75 else "middle"


def _lines(
    drawing: Drawing,
    found: Sequence[Standing],
    curves: Sequence[Floats],
    x_of_all: Sequence[float],
    y_of: Callable[[float], float],
    limits: tuple[float, float],
) -> None:
    """Draw the last first, so that the best lies on top, and write names at the ends, the best on top."""
    places = {name: number for number, name in enumerate(dict.fromkeys((one.names["model"], one.names["system"]) for one in found))}
    runtimes = {name: number for number, name in enumerate(dict.fromkeys(one.names["runtime"] for one in found))}
    dashes = [runtimes[one.names["runtime"]] for one in found]
    colours = [places[one.names["model"], one.names["system"]] for one in found] if len(places) > 1 else dashes
    look = styles(zip(range(len(found)), colours, dashes, strict=True))
    ends = [y_of(float(curve[-1])) for curve in curves]
    half = MOST_LABELS // 2
    labelled = [number for number in range(len(found)) if len(found) <= MOST_LABELS or number < half or number >= len(found) - half]
    for number in reversed(range(len(found))):
        colour, dash = look.get(number, EMPTY)
        if number not in labelled:
            colour = "#b9bfc6"
        points = _steps([(x, y_of(float(value))) for x, value in zip(x_of_all, curves[number], strict=True)])
        drawing.path(points, colour, 2, strokes(dash))
    spots = spread([ends[number] for number in labelled], LINE, limits[0], limits[1])
    for number, spot in zip(labelled, spots, strict=True):
        colour, dash = look.get(number, EMPTY)
        edge = LEFT + PLOT_WIDTH
        drawing.path([(edge, ends[number]), (edge + 12, spot), (edge + 34, spot)], colour, 2, strokes(dash))
        drawing.text(edge + 38, spot + 4, label_of(found[number], found))
    if len(labelled) < len(found):
        between = len(found) - len(labelled)
        drawing.text(LEFT + PLOT_WIDTH + 38, spots[-1] + LINE + 4, f"grey: the {between} systems between these", QUIET)


def _steps(points: Sequence[Point]) -> list[Point]:
    """Return the corners of a line that keeps each value until the next threshold."""
    found = [points[0]]
    for x, y in points[1:]:
        if y != found[-1][1]:
            found += [(x, found[-1][1]), (x, y)]
    return [*found, (points[-1][0], points[-1][1])]


def _thresholds(reading: Reading, primary: Threshold) -> Floats:
    """Return rising thresholds in ns from below the fastest common one to above the slowest that matters, and the page's between."""
    group = reading.group
    common = [threshold.ns for threshold in group.thresholds.common(reading.clock)] or [primary.ns]
    timed = [ns for data in group.trials if math.isfinite(ns := float(np.min(data.times[data.clock])))]
    low = max(1.0, min([*common, *timed, primary.ns]) * 0.9)
    high = max(*common, primary.ns) * 1.25
    grid = reading.grids[reading.clock].ns.astype(np.float64)
    return np.unique([low, *grid[(grid > low) & (grid < high)], high])


def _curves(reading: Reading, found: Sequence[Standing], ns: Floats) -> list[Floats]:
    """Return for each system mean tail quality as a gain, [G], over the rounds of each repeat and then over repeats.

    Each is a step: at a threshold that the page did not compute, the last before it; before all of them every answer is late.
    """
    grid = reading.grids[reading.clock].ns
    places = np.searchsorted(grid, ns, side="right") - 1

    def gain(trial: str, scale: Scale) -> Floats:
        gains = np.asarray(scale.gained(reading.curves[reading.clock, trial].mean))
        return np.where(places < 0, 0.0, gains[np.maximum(places, 0)])

    return [np.mean([gain(trial, one.scale) for trial in one.trials], axis=0) for one in found]


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two times, at most about ten of them.

    Examples
    --------
    >>> ticks(8, 120)
    [10.0, 20.0, 50.0, 100.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: tuple[float, ...] = (1, 2, 5) if high / low > 3 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    steps = (1,) if high / low > 1e4 else steps
    return [step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high]


def even_ticks(low: float, high: float) -> list[float]:
    """Return round numbers at equal distances between two numbers, three to eight of them.

    Examples
    --------
    >>> [round(tick, 9) for tick in even_ticks(0, 0.9)]
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(step for step in (0.1 * power, 0.2 * power, 0.5 * power, power, 2 * power) if (high - low) / step < 8)
    return [step * number for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
