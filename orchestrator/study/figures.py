"""The figures of a study, as the paper has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.study.input_size import moments
from orchestrator.study.material import Material, repeats_first, short, sizes_of
from orchestrator.study.plots import Figure, Line, Plot
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
        f"Quality within a threshold on total time over the first {count} rounds of each system: mean, one standard deviation (band), "
        "worst and best round, quality without a threshold (dashes). Dotted: the trial's own percentiles."
    )
    return Figure(f"quality-{plain(group.task)}", f"Quality curves, {group.task}", plots, caption)


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
        Line("mean", ms, mean.tolist(), low=(mean - sd).tolist(), high=(mean + sd).tolist()),
        Line("worst round", ms, quality.min(axis=1).tolist()),
        Line("best round", ms, quality.max(axis=1).tolist()),
    ]
    return Plot(short(group, data), "threshold (ms)", data.metric, lines, log_x=True, x_marks=marks, y_marks=[ideal])


def _tails(material: Material, group: Group) -> Figure:
    """Return tail latency, and tail quality at the reference's percentiles, from p90 to p99.9."""
    firsts = repeats_first(group.trials)
    percentiles = material.criteria.tail_percentiles
    places = [float(number) for number in range(len(percentiles))]
    latency, quality = [], []
    common = {threshold.percentile: threshold.ns for threshold in group.thresholds.percentiles[PRIMARY_CLOCK]}
    for data in firsts:
        own = percentiles_inverted_cdf(data.inferences[PRIMARY_CLOCK], percentiles)
        latency.append(Line(short(group, data), places, [bound / NS_PER_MS for bound in own]))
        judged = data.judged(data.metric)
        known = [(place, common[one]) for place, one in zip(places, percentiles, strict=True) if one in common]
        if known:
            gained = judged.curve(data.times[PRIMARY_CLOCK], [ns for _, ns in known]).mean(axis=1)
            quality.append(Line(short(group, data), [place for place, _ in known], scale_of(judged).shown(gained).tolist()))
    words = [(place, f"p{one:g}") for place, one in zip(places, percentiles, strict=True)]
    metric = group.trials[0].metric
    plots = [
        Plot("Tail latency", "percentile", "ms", latency, x_ticks=words),
        Plot("Tail quality at the reference's percentiles", "percentile", metric, quality, x_ticks=words),
    ]
    return Figure(f"tail-{plain(group.task)}", f"Tail latency and tail quality, {group.task}", plots, "First repeats, total time.")


def _settling(material: Material, group: Group, paths: Paths) -> Figure:
    """Return rJSD over rounds of every system's first repeat, both clocks."""
    bound = material.criteria.claims.enough.rjsd
    plots = []
    for data in repeats_first(group.trials):
        of_trial = paths[data.trial_id]
        lines = [
            Line(clock.value, of_trial[clock].rounds.tolist(), of_trial[clock].rjsd.tolist()) for clock in (Clock.INFERENCE, Clock.TOTAL)
        ]
        plots.append(Plot(short(group, data), "rounds", "rJSD", lines, y_marks=[bound], from_zero=True))
    caption = f"Distance of the density of all times so far from its earlier fits; dashes: {bound:g}."
    return Figure(f"rjsd-{plain(group.task)}", f"rJSD over fits, {group.task}", plots, caption)


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
            yield Figure(f"size-{plain(group.task)}", f"Time and input size, {group.task}", plots, caption)


def _size(group: Group, data: TrialData, sizes: NDArray[np.float64]) -> Plot:
    means, _ = moments(data.own_times(Clock.INFERENCE))
    known = np.isfinite(means)
    line = Line("", sizes[known].tolist(), means[known].tolist(), points=True)
    return Plot(short(group, data), "input size", "ms", [line], from_zero=True)


def _heat(maps: Sequence[Heat]) -> Figure:
    """Return the distances between samples, one map a task."""
    most = max(float(one.distances.max()) for one in maps) or 1.0
    plots = [
        Plot(f"{one.group.task}: {short(one.group, one.data)}", "", "samples by input size", cells=one.distances.tolist(), most=most)
        for one in maps
    ]
    caption = "Jensen-Shannon distance between the densities of two samples' total times, samples in order of input size from top and left."
    return Figure("heat", "Distances between samples", plots, caption)


def _densities(found: Sequence[Densities]) -> Figure:
    """Return the density of one sample on every system, one plot a task."""
    plots = [
        Plot(
            f"{one.group.task}: {one.sample}"[:44],
            "total time (ms)",
            "density of log time",
            [Line(name, one.ms.tolist(), density.tolist()) for name, density in one.lines],
            log_x=True,
            from_zero=True,
        )
        for one in found
    ]
    return Figure("density", "One sample on every system", plots, "Kernel density of log total time over the rounds of each system.")
