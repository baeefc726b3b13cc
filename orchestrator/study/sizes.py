"""Time and input: regression on input size, distances between samples by size, and one sample on every system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.density import kde_on_grid, log_times, select_bandwidth
from orchestrator.stats.divergence import Fit, jensen_shannon_distance, masses_on_common_grid
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.input_size import time_on_size
from orchestrator.study.material import Material, repeats_first, short, sizes_of, who, who_columns
from orchestrator.study.settling import fit_of
from orchestrator.study.tables import StudyTable, Value, known, named, numbers, significant, three, whole

Floats = NDArray[np.float64]
MOST_CELLS = 2**12
FEWEST_TIMES = 10
GRID = 161


def size_table(material: Material) -> StudyTable:
    """Return the regression of mean and variance of time on input size; nothing of tasks whose inputs are all of one size."""
    rows: list[list[Value]] = []
    for group in material.groups:
        for data in repeats_first(group.trials):
            sizes = sizes_of(data)
            if sizes is None or len(data.times[PRIMARY_CLOCK]) < FEWEST_TIMES:
                continue
            for clock in SHOWN_SERVICE_CLOCKS:
                mean, variance = time_on_size(data.own_times(clock), sizes)
                of_mean: list[Value] = [mean.slope, mean.intercept, known(mean.r_squared)]
                rows.append([*who(group, data), clock, sizes.size, *of_mean, variance.slope, known(variance.r_squared)])
    return StudyTable(
        "input_size",
        "Mean and variance of time on input size, by least squares",
        [
            *who_columns(),
            *named("clock"),
            *numbers(whole, "samples"),
            *numbers(significant, "ms per unit of size", "intercept ms"),
            *numbers(three, "R2 of mean"),
            *numbers(significant, "ms2 per unit of size"),
            *numbers(three, "R2 of variance"),
        ],
        rows,
        "One point per sample, over its rounds. The size is that which the model reports: pixels after preprocessing, or tokens."
        if rows
        else "Of no task do inputs differ in size, or trials are too short.",
    )


@dataclass(frozen=True)
class Heat:
    """Distances between samples of one trial, [n, n], the samples in order of input size, and these sizes."""

    group: Group
    data: TrialData
    distances: Floats
    sizes: Floats


def heat_maps(material: Material) -> list[Heat]:
    """Return per task the distances between samples of the fastest system's first repeat, by input size; samples without times left out."""
    found = []
    for group in material.groups:
        fastest = min(repeats_first(group.trials), key=lambda data: (float(np.median(data.inferences[PRIMARY_CLOCK])), data.trial_id))
        times = fastest.own_times(PRIMARY_CLOCK)
        sizes = sizes_of(fastest)
        of_samples = np.zeros(times.shape[1]) if sizes is None else sizes
        usable = np.flatnonzero(np.isfinite(times).sum(axis=0) >= FEWEST_TIMES)
        if usable.size < 2:
            continue
        ordered = usable[np.argsort(of_samples[usable], kind="stable")]
        ordered = ordered[evenly_chosen(ordered.size, material.criteria.most_samples)]
        found.append(Heat(group, fastest, _distances([fit_of(times[:, place]) for place in ordered]), of_samples[ordered]))
    return found


def heat_table(maps: list[Heat]) -> StudyTable:
    """Return the mean distance between samples, of like and of unlike size."""
    rows: list[list[Value]] = []
    for one in maps:
        above = np.triu_indices(one.sizes.size, 1)
        distances, like = one.distances[above], (one.sizes[:, None] == one.sizes)[above]
        means = [float(distances[which].mean()) if which.any() else None for which in (like, ~like)]
        rows.append([*who(one.group, one.data), one.sizes.size, float(distances.mean()), *means, float(distances.max())])
    columns = [*who_columns(), *numbers(whole, "samples"), *numbers(three, "mean", "of equal size", "of unequal size", "largest")]
    return StudyTable(
        "heat", "Distance between the densities of samples, total time", columns, rows, "Jensen-Shannon distance, at most 0.833."
    )


def _distances(fits: list[Fit]) -> Floats:
    masses = masses_on_common_grid(fits)
    step = -(-masses.shape[1] // MOST_CELLS)
    padded = np.pad(masses, ((0, 0), (0, -masses.shape[1] % step)))
    cells = padded.reshape(len(fits), -1, step).sum(axis=2)
    return np.array([jensen_shannon_distance(row, cells) for row in cells])


@dataclass(frozen=True)
class Densities:
    """The density of the log time of one sample on several systems: time in ms, [G], and per system its name and density, [G]."""

    group: Group
    sample: str
    ms: Floats
    lines: list[tuple[str, Floats]]


def densities_of_one_sample(material: Material) -> list[Densities]:
    """Return per task the densities of one sample on every system: that whose median time is in the middle on the first of them.

    Its batch stands for it where there are batches.
    """
    found = []
    for group in material.groups:
        firsts = repeats_first(group.trials)
        columns = {data.own_times(PRIMARY_CLOCK).shape[1] for data in firsts}
        if len(columns) > 1:
            continue
        medians = np.median(firsts[0].own_times(PRIMARY_CLOCK), axis=0)
        place = int(np.argsort(medians, kind="stable")[medians.size // 2])
        logs = {short(group, data): log_times(data.own_times(PRIMARY_CLOCK)[:, place]) for data in firsts}
        logs = {name: one for name, one in logs.items() if one.size >= FEWEST_TIMES}
        if not logs:
            continue
        bandwidths = {name: max(select_bandwidth(one, resolution=1e-6).value, 1e-4) for name, one in logs.items()}
        margin = 4 * max(bandwidths.values())
        grid = np.linspace(min(one.min() for one in logs.values()) - margin, max(one.max() for one in logs.values()) + margin, GRID)
        lines = [(name, kde_on_grid(one, grid, bandwidths[name])) for name, one in logs.items()]
        single = firsts[0].record.trial.measurement.batch == 1
        name = firsts[0].names[place] if single and firsts[0].names else f"{'sample' if single else 'batch'} {place}"
        found.append(Densities(group, name, np.exp(grid) / 1e6, lines))
    return found
