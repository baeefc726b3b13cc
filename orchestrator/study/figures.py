"""The figures of a study, as the paper has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.study.material import Material, repeats_first, short, sizes_of
from orchestrator.study.plots import Figure, Line, Plot
from orchestrator.study.settling import Paths
from orchestrator.study.sizes import NS_PER_MS, Densities, Heat, moments
from orchestrator.study.tables import plain

STEPS, FEWER = 60, 12
"""Thresholds of a quality curve; fewer of a metric that is no mean, whose values take long."""


def figures_of(
    material: Material, paths: Paths, maps: Sequence[Heat], densities: Sequence[Densities]
) -> list[Figure]:
    """Return every figure, in the order of the tables."""
    groups = material.groups
    return [
        *(_curves(material, group) for group in groups),
        *(_tails(material, group) for group in groups),
        *(_settling(material, group, paths) for group in groups),
        *(figure for figure in map(_sizes, groups) if figure.plots),
        *([_heat(maps)] if maps else []),
        *([_densities(densities)] if densities else []),
    ]


def _curves(material: Material, group: Group) -> Figure:
    """Return quality against threshold of every system's first repeat and first rounds."""
    count = material.criteria.first_rounds
    plots = [_curve(material, group, data, count) for data in repeats_first(group.trials)]
    caption = (
        f"Quality within a threshold on total time over the first {count} rounds of each system: "
        "mean, one standard deviation (band), worst and best round, quality without a threshold "
        "(dashes). Dotted: the trial's own percentiles."
    )
    name, title = f"quality-{plain(group.task)}", f"Quality curves, {group.task}"
    return Figure(name, title, plots, caption)


def _curve(material: Material, group: Group, data: TrialData, count: int) -> Plot:
    times, judged = data.times[PRIMARY_CLOCK][:count], data.judged(data.metric)
    finite = times[np.isfinite(times)]
    if not finite.size:
        return Plot(short(group, data), "threshold (ms)", data.metric)
    low, high = np.quantile(finite, [0.001, 0.999]).tolist()
    steps = STEPS if isinstance(judged, JudgedMean | JudgedSignedMean) else FEWER
    grid = np.geomspace(low * 0.95, max(high, low * 1.01) * 1.05, steps)
    quality = scale_of(judged).shown(judged.curve(times, grid))
    mean, sd = quality.mean(axis=1), quality.std(axis=1)
    ms, percentiles = (grid / NS_PER_MS).tolist(), material.criteria.percentiles
    bounds = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK][:count], percentiles)
    marks = [
        (bound / NS_PER_MS, f"p{percentile:g}")
        for percentile, bound in zip(percentiles, bounds, strict=True)
    ]
    lines = [
        Line("mean", ms, mean.tolist(), low=(mean - sd).tolist(), high=(mean + sd).tolist()),
        Line("worst round", ms, quality.min(axis=1).tolist()),
        Line("best round", ms, quality.max(axis=1).tolist()),
    ]
    return Plot(
        *(short(group, data), "threshold (ms)", data.metric, lines),
        log_x=True,
        x_marks=marks,
        y_marks=[scale_of(judged).shown(judged.ideal())],
    )


def _tails(material: Material, group: Group) -> Figure:
    """Return tail latency, and tail quality at the reference's percentiles, from p90 to p99.9."""
    firsts, percentiles = repeats_first(group.trials), material.criteria.tail_percentiles
    common = {one.percentile: one.ns for one in group.thresholds.percentiles[PRIMARY_CLOCK]}
    places = [float(number) for number in range(len(percentiles))]
    known = [place for place, one in zip(places, percentiles, strict=True) if one in common]
    bounds = [common[one] for one in percentiles if one in common]
    latency, quality = [], []
    for data in firsts:
        name = short(group, data)
        own = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK], percentiles)
        latency.append(Line(name, places, [bound / NS_PER_MS for bound in own]))
        if known:
            judged = data.judged(data.metric)
            gained = judged.curve(data.times[PRIMARY_CLOCK], bounds).mean(axis=1)
            quality.append(Line(name, known, scale_of(judged).shown(gained).tolist()))
    words = [(place, f"p{one:g}") for place, one in zip(places, percentiles, strict=True)]
    metric, at_reference = group.trials[0].metric, "Tail quality at the reference's percentiles"
    plots = [
        Plot("Tail latency", "percentile", "ms", latency, x_ticks=words),
        Plot(at_reference, "percentile", metric, quality, x_ticks=words),
    ]
    name, title = f"tail-{plain(group.task)}", f"Tail latency and tail quality, {group.task}"
    return Figure(name, title, plots, "First repeats, total time.")


def _settling(material: Material, group: Group, paths: Paths) -> Figure:
    """Return rJSD over rounds of every system's first repeat, both clocks."""
    bound = material.criteria.claims.enough.rjsd
    plots = []
    for data in repeats_first(group.trials):
        lines = [
            Line(clock.value, path.rounds.tolist(), path.rjsd.tolist())
            for clock in (Clock.INFERENCE, Clock.TOTAL)
            for path in [paths[data.trial_id][clock]]
        ]
        name = short(group, data)
        plots.append(Plot(name, "rounds", "rJSD", lines, y_marks=[bound], from_zero=True))
    caption = (
        f"Distance of the density of all times so far from its earlier fits; dashes: {bound:g}."
    )
    name, title = f"rjsd-{plain(group.task)}", f"rJSD over fits, {group.task}"
    return Figure(name, title, plots, caption)


def _sizes(group: Group) -> Figure:
    """Return mean time against input size; no plots where inputs do not differ."""
    plots = []
    for data in repeats_first(group.trials):
        sizes = sizes_of(data)
        if sizes is not None:
            means, _ = moments(data.own_times(Clock.INFERENCE))
            known = np.isfinite(means)
            line = Line("", sizes[known].tolist(), means[known].tolist(), points=True)
            plots.append(Plot(short(group, data), "input size", "ms", [line], from_zero=True))
    caption = "Mean inference time of each sample over rounds against its input size."
    name, title = f"size-{plain(group.task)}", f"Time and input size, {group.task}"
    return Figure(name, title, plots, caption)


def _heat(maps: Sequence[Heat]) -> Figure:
    """Return the distances between samples, one map a task."""
    most = max(float(one.distances.max()) for one in maps) or 1.0
    plots = [
        Plot(
            *(f"{one.group.task}: {short(one.group, one.data)}", "", "samples by input size"),
            cells=one.distances.tolist(),
            most=most,
        )
        for one in maps
    ]
    caption = (
        "Jensen-Shannon distance between the densities of two samples' total times, samples in "
        "order of input size from top and left."
    )
    return Figure("heat", "Distances between samples", plots, caption)


def _densities(found: Sequence[Densities]) -> Figure:
    """Return the density of one sample on every system, one plot a task."""
    plots = []
    for one in found:
        lines = [
            Line(name, one.ms.tolist(), density.tolist()) for name, density in one.lines.items()
        ]
        title = f"{one.group.task}: {one.sample}"[:44]
        axes = ("total time (ms)", "density of log time")
        plots.append(Plot(title, *axes, lines, log_x=True, from_zero=True))
    caption = "Kernel density of log total time over the rounds of each system."
    return Figure("density", "One sample on every system", plots, caption)
