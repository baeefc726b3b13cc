"""The figures of a study, as the paper has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.report.colours import COLOURS
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.study.input_size import moments
from orchestrator.study.material import Material, repeats_first, short, sizes_of
from orchestrator.study.plots import Figure, Line, Plot, line_style
from orchestrator.study.settling import Paths
from orchestrator.study.sizes import Densities, Heat
from orchestrator.study.tables import plain

NS_PER_MS = 1e6
STEPS, FEWER = 60, 12
"""Thresholds of a quality curve; fewer of a metric that is no mean, each of whose values takes long to find."""


def figures_of(material: Material, paths: Paths, maps: Sequence[Heat], densities: Sequence[Densities]) -> list[Figure]:
    """Return every figure, in the order of the tables."""
    return [
        *(_curves(material, group) for group in material.groups),
        *(_tails(material, group) for group in material.groups),
        *(_settling(material, group, paths) for group in material.groups),
        *_sizes(material),
        *([_heat(maps)] if maps else []),
        *([_densities(densities)] if densities else []),
    ]


def _curves(material: Material, group: Group) -> Figure:
    """Return quality against threshold of every system's first repeat and first rounds: mean, sd band, worst and best, ideal."""
    count = material.criteria.first_rounds
    plots = [_curve(material, group, data, count) for data in repeats_first(group.trials)]
    caption = (
        f"Quality within a threshold on total time over the first {count} rounds of each system: mean (line), one standard deviation "
        "(band), worst and best round (thin), quality without a threshold (dashes). Dotted: the trial's own percentiles."
    )
    return Figure(f"quality-{plain(group.task)}", f"Quality curves, {group.task}", plots, caption=caption)


def _curve(material: Material, group: Group, data: TrialData, count: int) -> Plot:
    times = data.times[PRIMARY_CLOCK][:count]
    judged = data.judged(data.metric)
    finite = times[np.isfinite(times)]
    if not finite.size:
        return Plot(short(group, data), "threshold (ms)", data.metric)
    low, high = (float(np.quantile(finite, share)) for share in (0.001, 0.999))
    steps = STEPS if isinstance(judged, JudgedMean | JudgedSignedMean) else FEWER
    grid = np.geomspace(low * 0.95, max(high, low * 1.01) * 1.05, steps)
    quality = scale_of(judged).shown(judged.curve(times, grid))
    mean, sd = quality.mean(axis=1), quality.std(axis=1)
    ms = (grid / NS_PER_MS).tolist()
    marks = [
        (bound / NS_PER_MS, f"p{percentile:g}")
        for percentile, bound in zip(
            material.criteria.percentiles,
            percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:count], material.criteria.percentiles),
            strict=True,
        )
    ]
    ideal = scale_of(judged).shown(judged.ideal())
    lines = [
        Line(ms, quality.min(axis=1).tolist(), COLOURS[1], width=0.8),
        Line(ms, quality.max(axis=1).tolist(), COLOURS[3], width=0.8),
        Line(ms, mean.tolist(), COLOURS[0], low=(mean - sd).tolist(), high=(mean + sd).tolist()),
    ]
    return Plot(short(group, data), "threshold (ms)", data.metric, lines, log_x=True, x_marks=marks, y_marks=[ideal])


def _tails(material: Material, group: Group) -> Figure:
    """Return tail latency, and tail quality at the reference's percentiles, from p90 to p99.9."""
    firsts = repeats_first(group.trials)
    percentiles = material.criteria.tail_percentiles
    places = [float(number) for number in range(len(percentiles))]
    latency, quality = [], []
    common = {threshold.percentile: threshold.ns for threshold in group.thresholds.percentiles[PRIMARY_CLOCK]}
    for number, data in enumerate(firsts):
        colour, dash = line_style(number)
        own = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK], percentiles)
        latency.append(Line(places, [bound / NS_PER_MS for bound in own], colour, dash=dash))
        judged = data.judged(data.metric)
        known = [(place, common[one]) for place, one in zip(places, percentiles, strict=True) if one in common]
        if known:
            gained = judged.curve(data.times[PRIMARY_CLOCK], [ns for _, ns in known]).mean(axis=1)
            quality.append(Line([place for place, _ in known], scale_of(judged).shown(gained).tolist(), colour, dash=dash))
    words = [(place, f"p{one:g}") for place, one in zip(places, percentiles, strict=True)]
    metric = group.trials[0].metric
    plots = [
        Plot("Tail latency", "percentile", "ms", latency, x_ticks=words),
        Plot("Tail quality at the reference's percentiles", "percentile", metric, quality, x_ticks=words),
    ]
    legend = [(short(group, data), *line_style(number)) for number, data in enumerate(firsts)]
    return Figure(
        f"tail-{plain(group.task)}", f"Tail latency and tail quality, {group.task}", plots, legend, caption="First repeats, total time."
    )


def _settling(material: Material, group: Group, paths: Paths) -> Figure:
    """Return rJSD over rounds of every system's first repeat, both clocks."""
    bound = material.criteria.claims.enough.rjsd
    colours = {Clock.INFERENCE: COLOURS[0], Clock.TOTAL: COLOURS[1]}
    plots = []
    for data in repeats_first(group.trials):
        of_trial = paths[data.trial_id]
        lines = [Line(of_trial[clock].rounds.tolist(), of_trial[clock].rjsd.tolist(), colour) for clock, colour in colours.items()]
        plots.append(Plot(short(group, data), "rounds", "rJSD", lines, y_marks=[bound], from_zero=True))
    legend = [(clock.value, colour, "") for clock, colour in colours.items()]
    caption = f"Distance of the density of all times so far from its earlier fits; dashes: {bound:g}."
    return Figure(f"rjsd-{plain(group.task)}", f"rJSD over fits, {group.task}", plots, legend, caption=caption)


def _sizes(material: Material) -> Iterator[Figure]:
    """Yield mean time against input size, of tasks whose inputs differ."""
    for group in material.groups:
        plots = []
        for data in repeats_first(group.trials):
            sizes = sizes_of(data)
            if sizes is not None:
                plots.append(_size(group, data, sizes))
        if plots:
            caption = "Mean inference time of each sample over rounds against its input size."
            yield Figure(f"size-{plain(group.task)}", f"Time and input size, {group.task}", plots, caption=caption)


def _size(group: Group, data: TrialData, sizes: NDArray[np.float64]) -> Plot:
    means, _ = moments(data.own_times(Clock.INFERENCE))
    known = np.isfinite(means)
    line = Line(sizes[known].tolist(), means[known].tolist(), points=True)
    return Plot(short(group, data), "input size", "ms", [line], from_zero=True)


def _heat(maps: Sequence[Heat]) -> Figure:
    """Return the distances between samples, one map a task."""
    most = max(float(one.distances.max()) for one in maps) or 1.0
    plots = [
        Plot(f"{one.group.task}: {short(one.group, one.data)}", "", "samples by input size", cells=one.distances.tolist(), most=most)
        for one in maps
    ]
    caption = "Jensen-Shannon distance between the densities of two samples' total times, samples in order of input size from top and left."
    return Figure("heat", "Distances between samples", plots, caption=caption)


def _densities(found: Sequence[Densities]) -> Figure:
    """Return the density of one sample on every system, one plot a task."""
    plots = [
        Plot(
            f"{one.group.task}: {one.sample}"[:44],
            "total time (ms)",
            "density of log time",
            [
                Line(one.ms.tolist(), density.tolist(), line_style(number)[0], dash=line_style(number)[1])
                for number, (_, density) in enumerate(one.lines)
            ],
            log_x=True,
            from_zero=True,
        )
        for one in found
    ]
    names = list(dict.fromkeys((name, *line_style(number)) for one in found for number, (name, _) in enumerate(one.lines)))
    return Figure(
        "density", "One sample on every system", plots, names, caption="Kernel density of log total time over the rounds of each system."
    )
