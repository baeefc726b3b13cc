"""The figures of a study, as the paper has them: small plots side by side, drawn as SVG."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, product

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.chart_files import Look, svg_of
from orchestrator.report.charts.draw import (
    COLOURS,
    DASHES,
    MOST_IN_LEGEND,
    QUIET,
    Spec,
    by_name,
    channel,
    level,
    rounded,
    whole,
)
from orchestrator.report.text import printable
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.study.material import Material, repeats_first, short, sizes_of
from orchestrator.study.settling import paths_of
from orchestrator.study.sizes import NS_PER_MS, densities_of_one_sample, heat_maps, moments
from orchestrator.study.tables import plain

# Thresholds of a quality curve; fewer of a metric that is no mean, whose values take long.
STEPS, FEWER = 60, 12
LOOK = Look(width=16, text=12, small=10, line=1.5)
WIDTH, HEIGHT, COLUMNS = 230, 160, 4
LONG = 40  # letters of a line of a title


@dataclass(frozen=True)
class Line:
    """A line of a name in the legend; ``low`` and ``high`` are a band, ``points`` draws dots."""

    name: str
    x: Iterable[float]
    y: Iterable[float]
    low: Iterable[float] | None = None
    high: Iterable[float] | None = None
    points: bool = False


@dataclass(frozen=True)
class Plot:
    """One plot; ``cells`` are places and values of a heat map, values from 0 to ``most``."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    log_x: bool = False
    x_marks: Sequence[tuple[float, str]] = ()
    x_ticks: Sequence[str] = ()
    y_marks: Sequence[float] = ()
    from_zero: bool = False
    cells: Sequence[tuple[tuple[int, ...], float]] = ()
    most: float = 1.0


@dataclass(frozen=True)
class Figure:
    """Plots in rows, under one name."""

    name: str
    title: str
    plots: Sequence[Plot]
    caption: str


def draw(figure: Figure) -> str:
    """Return the figure as SVG: equal plots give equal text."""
    shared = _look(line for plot in figure.plots for line in plot.lines)
    apart, made = len(shared["color"]["scale"]["domain"]) > MOST_IN_LEGEND, whole([], [])
    scales = "independent" if apart else "shared"
    spec = {name: made[name] for name in ("$schema", "config", "params")} | {
        "concat": [
            _cells(plot)
            if plot.cells
            else _lines(plot, _look(plot.lines, True) if apart else shared)
            for plot in figure.plots
        ],
        "columns": COLUMNS,
        "resolve": {"scale": {"color": scales, "strokeDash": scales}},
    }
    return svg_of(spec, figure.title, LOOK)


def _look(lines: Iterable[Line], own_legend: bool = False) -> Spec:
    names = dict.fromkeys(printable(line.name) for line in lines)
    styles = ((colour, dash) for dash, colour in cycle(product(DASHES, range(len(COLOURS)))))
    look = by_name(dict(zip(names, styles, strict=False)))
    if own_legend:
        legend = {"title": None, "columns": 1, "symbolType": "stroke"}
        look["color"]["legend"] = look["strokeDash"]["legend"] = legend
    return look


def _lines(plot: Plot, look: Spec) -> Spec:
    rows = [
        {"s": printable(line.name)}
        | {"x": rounded(line.x), "y": rounded(line.y)}
        | {"low": rounded(line.y if line.low is None else line.low)}
        | {"high": rounded(line.y if line.high is None else line.high)}
        for line in plot.lines
    ]
    labels = {str(place): name for place, name in enumerate(plot.x_ticks)}
    ticks: Spec = {"values": list(map(int, labels)), "labelExpr": f"({labels})[datum.value]"}
    x = channel("x", plot.x_label, plot.log_x, **(ticks if labels else {}))
    y = channel("y", printable(plot.y_label), zero=plot.from_zero)
    dots = any(line.points for line in plot.lines)
    mark = {"type": "circle", "size": 12, "opacity": 1} if dots else {"type": "line"}
    band = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": look["color"]}
    layers = [
        *([{"mark": {"type": "area", "opacity": 0.15}, "encoding": band}] if not dots else []),
        {"mark": mark, "encoding": {"x": x, "y": y, **look}},
        *level({" " * number: place for number, place in enumerate(plot.y_marks, start=1)}),
    ]
    if plot.x_marks:
        marks = [{"x": at, "words": name, "n": n} for n, (at, name) in enumerate(plot.x_marks)]
        text = {"type": "text", "align": "left", "color": QUIET, "dx": 2, "fontSize": 9}
        text["dy"] = {"expr": "-10 * datum.n"}
        place = {"x": x, "y": {"value": HEIGHT - 6}, "text": {"field": "words"}}
        kinds = (({"type": "rule", "strokeDash": [2, 3]}, {"x": x}), (text, place))
        layers += [{"data": {"values": marks}, "mark": of, "encoding": at} for of, at in kinds]
    return _frame(plot, WIDTH) | {
        "data": {"values": rows or [{}]},
        "transform": [{"flatten": ["x", "y", "low", "high"]}] if rows else [],
        "layer": layers if rows else [{"mark": {"type": "text", "text": "nothing to show"}}],
    }


def _cells(plot: Plot) -> Spec:
    rows = [{"row": row, "column": column, "d": d} for (row, column), d in plot.cells]
    scale = {"domain": [0, plot.most], "range": ["#ffffff", "#1f3f77"]}
    legend = {"title": None, "orient": "right"}
    places = {"x": "column", "y": "row"}
    return _frame(plot, HEIGHT) | {
        "data": {"values": rows},
        "mark": "rect",
        "encoding": {
            "color": {"field": "d", "type": "quantitative", "scale": scale, "legend": legend},
            **{side: {"field": of, "type": "ordinal", "axis": None} for side, of in places.items()},
        },
    }


def _frame(plot: Plot, width: int) -> Spec:
    lines = textwrap.wrap(printable(plot.title), LONG)
    return {"title": {"text": lines, "fontSize": 11}, "width": width, "height": HEIGHT}


def figures_of(material: Material) -> list[Figure]:
    """Return every figure that has a plot, in the order of the tables."""
    groups = material.groups
    found = [
        *(_curves(material, group) for group in groups),
        *(_tails(material, group) for group in groups),
        *(_settling(material, group) for group in groups),
        *map(_sizes, groups),
        _heat(material),
        _densities(material),
    ]
    return [figure for figure in found if figure.plots]


def _curves(material: Material, group: Group) -> Figure:
    count = material.criteria.first_rounds
    return Figure(
        f"quality-{plain(group.task)}",
        f"Quality curves, {group.task}",
        [_curve(material, group, data, count) for data in repeats_first(group)],
        f"Quality within a threshold on total time over the first {count} rounds of each system: "
        "mean, one standard deviation (band), worst and best round, quality without a threshold "
        "(dashes). Dotted: the trial's own percentiles.",
    )


def _curve(material: Material, group: Group, data: TrialData, count: int) -> Plot:
    times, judged = data.times[PRIMARY_CLOCK][:count], data.judged(data.metric)
    words, finite = (short(group, data), "threshold (ms)", data.metric), times[np.isfinite(times)]
    if not finite.size:
        return Plot(*words)
    low, high = np.quantile(finite, [0.001, 0.999]).tolist()
    steps = STEPS if judged.is_mean else FEWER
    grid = np.geomspace(low * 0.95, max(high, low * 1.01) * 1.05, steps)
    quality = judged.shown(judged.curve(times, grid))
    mean, sd, ms = quality.mean(axis=1), quality.std(axis=1), grid / NS_PER_MS
    percentiles = material.criteria.percentiles
    bounds = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:count], percentiles)
    marks = [(bound / NS_PER_MS, f"p{of:g}") for of, bound in zip(percentiles, bounds, strict=True)]
    lines = [
        Line("mean", ms, mean, mean - sd, mean + sd),
        Line("worst round", ms, quality.min(axis=1)),
        Line("best round", ms, quality.max(axis=1)),
    ]
    return Plot(*words, lines, log_x=True, x_marks=marks, y_marks=[judged.shown(judged.ideal())])


def _tails(material: Material, group: Group) -> Figure:
    percentiles, metric = material.criteria.tail_percentiles, group.trials[0].metric
    common = {one.percentile: one.ns for one in group.thresholds.percentiles[PRIMARY_CLOCK]}
    places, bounds = np.arange(len(percentiles)), [common.get(one, np.nan) for one in percentiles]
    known, latency, quality = np.isfinite(bounds), list[Line](), list[Line]()
    for data in repeats_first(group):
        name, judged = short(group, data), data.judged(data.metric)
        own = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK], percentiles)
        latency.append(Line(name, places, np.array(own) / NS_PER_MS))
        if known.any():
            at = np.array(bounds)[known]
            gained = judged.curve(data.times[PRIMARY_CLOCK], at).mean(axis=1)
            quality.append(Line(name, places[known], judged.shown(gained)))
    ticks, at_reference = [f"p{one:g}" for one in percentiles], "Tail quality at the reference's"
    return Figure(
        f"tail-{plain(group.task)}",
        f"Tail latency and tail quality, {group.task}",
        [
            Plot("Tail latency", "percentile", "ms", latency, x_ticks=ticks),
            Plot(f"{at_reference} percentiles", "percentile", metric, quality, x_ticks=ticks),
        ],
        "First repeats, total time.",
    )


def _settling(material: Material, group: Group) -> Figure:
    bound, plots = material.criteria.claims.enough.rjsd, list[Plot]()
    for data in repeats_first(group):
        of = paths_of(material)[data.trial_id]
        lines = [
            Line(str(clock), of[clock].rounds, of[clock].rjsd)
            for clock in (Clock.INFERENCE, Clock.TOTAL)
        ]
        words = (short(group, data), "rounds", "rJSD")
        plots.append(Plot(*words, lines, y_marks=[bound], from_zero=True))
    caption = (
        f"Distance of the density of all times so far from its earlier fits; dashes: {bound:g}."
    )
    return Figure(f"rjsd-{plain(group.task)}", f"rJSD over fits, {group.task}", plots, caption)


def _sizes(group: Group) -> Figure:
    plots = []
    for data in repeats_first(group):
        if (sizes := sizes_of(data)) is not None:
            means, _ = moments(data.own_times(Clock.INFERENCE))
            known = np.isfinite(means)
            line = Line("", sizes[known], means[known], points=True)
            plots.append(Plot(short(group, data), "input size", "ms", [line], from_zero=True))
    caption = "Mean inference time of each sample over rounds against its input size."
    return Figure(f"size-{plain(group.task)}", f"Time and input size, {group.task}", plots, caption)


def _heat(material: Material) -> Figure:
    maps = heat_maps(material)
    most = max((float(distances.max()) for _, _, distances, _ in maps), default=0.0) or 1.0
    plots = []
    for group, data, distances, _ in maps:
        title, cells = f"{group.task}: {short(group, data)}", list(np.ndenumerate(distances))
        plots.append(Plot(title, "", "samples by input size", cells=cells, most=most))
    caption = (
        "Jensen-Shannon distance between the densities of two samples' total times, samples in "
        "order of input size from top and left."
    )
    return Figure("heat", "Distances between samples", plots, caption)


def _densities(material: Material) -> Figure:
    axes = ("total time (ms)", "density of log time")
    plots = []
    for title, ms, of_systems in densities_of_one_sample(material):
        lines = [Line(name, ms, density) for name, density in of_systems.items()]
        plots.append(Plot(title[:44], *axes, lines, log_x=True, from_zero=True))
    caption = "Kernel density of log total time over the rounds of each system."
    return Figure("density", "One sample on every system", plots, caption)
