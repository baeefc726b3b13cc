"""Time and input: regression on input size, distances by size, one sample on every system."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.convergence import fit_times, jensen_shannon_distance, masses_on_common_grid
from orchestrator.stats.density import Floats, kde_on_grid, log_times, select_bandwidth
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.material import WHO_COLUMNS, Material, repeats_first, short, sizes_of, who
from orchestrator.study.tables import Row, table

NS_PER_MS = 1e6
MOST_CELLS, FEWEST_TIMES, GRID = 2**12, 10, 161


def least_squares(x: ArrayLike, y: Floats) -> tuple[float, float, float, float]:
    """Return slope and intercept of the line of least squares through points, [n] each.

    It is level where x does not vary. Then come the share of the variance of y that it explains,
    NaN where y does not vary, and its mean squared error over all points.

    Examples
    --------
    >>> least_squares([1, 2, 3], np.array([3.0, 5.0, 7.0]))
    (2.0, 1.0, 1.0, 0.0)
    """
    size = np.asarray(x, dtype=np.float64)
    centred, deviations = size - size.mean(), y - y.mean()
    slope = float(centred @ deviations / (centred @ centred)) if centred.any() else 0.0
    squares = float(((deviations - slope * centred) ** 2).sum())
    total = float((deviations**2).sum())
    r_squared = 1 - squares / total if total > 0 else math.nan
    return slope, float(y.mean() - slope * size.mean()), r_squared, squares / size.size


def moments(times_ns: ArrayLike) -> tuple[Floats, Floats]:
    """Return each sample's mean time in ms and variance (ddof 1), [S], of times [R, S] in ns.

    NaN with fewer than 2.
    """
    times = np.asarray(times_ns, dtype=np.float64) / NS_PER_MS
    has = np.isfinite(times)
    count = has.sum(axis=0)
    mean = np.where(has, times, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(has, times - mean, 0.0) ** 2).sum(axis=0)
    variance = squares / np.maximum(count - 1, 1)
    return np.where(count < 2, np.nan, mean), np.where(count < 2, np.nan, variance)


@table(
    "input_size",
    "Mean and variance of time on input size, by least squares",
    [
        *(WHO_COLUMNS, ("name", "clock"), ("whole", "samples")),
        ("significant", "ms per unit of size", "intercept ms"),
        *(("three", "R2 of mean"), ("significant", "ms2 per unit of size")),
        ("three", "R2 of variance"),
    ],
    "One point per sample, over its rounds. The size is the one that the model reports: pixels "
    "after preprocessing, or tokens.",
    without_rows="In no task do inputs differ in size, or trials are too short.",
)
def _input_size(material: Material) -> Iterator[Row]:
    for group, data in material.firsts():
        sizes = sizes_of(data)
        if sizes is None or len(data.times[PRIMARY_CLOCK]) < FEWEST_TIMES:
            continue
        for clock in SHOWN_SERVICE_CLOCKS:
            figures = np.array(moments(data.own_times(clock)))
            has = np.isfinite(figures[0])
            mean, variance = (least_squares(sizes[has], of[has]) for of in figures)
            yield [*who(group, data), clock, sizes.size, *mean[:3], variance[0], variance[2]]


@lru_cache(maxsize=1)
def heat_maps(material: Material) -> list[tuple[Group, TrialData, Floats, Floats]]:
    """Return per task the fastest system's first repeat, and distances between its samples.

    They are [n, n], in order of the samples' input sizes, [n], which come last.
    """

    def speed(data: TrialData) -> tuple[float, str]:
        return float(np.median(data.inferences[PRIMARY_CLOCK])), data.trial_id

    found = []
    for group in material.groups:
        fastest = min(repeats_first(group), key=speed)
        times, sizes = fastest.own_times(PRIMARY_CLOCK), sizes_of(fastest)
        of_samples = np.zeros(times.shape[1]) if sizes is None else sizes
        usable = np.flatnonzero(np.isfinite(times).sum(axis=0) >= FEWEST_TIMES)
        if usable.size > 1:
            ordered = usable[np.argsort(of_samples[usable], kind="stable")]
            ordered = ordered[evenly_chosen(ordered.size, material.criteria.most_samples)]
            masses = masses_on_common_grid([fit_times(times[:, place]) for place in ordered])
            step = -(-masses.shape[1] // MOST_CELLS)
            padded = np.pad(masses, ((0, 0), (0, -masses.shape[1] % step)))
            cells = padded.reshape(ordered.size, -1, step).sum(axis=2)
            distances = np.array([jensen_shannon_distance(row, cells) for row in cells])
            found.append((group, fastest, distances, of_samples[ordered]))
    return found


@table(
    "heat",
    "Distance between the densities of samples, total time",
    [
        *(WHO_COLUMNS, ("whole", "samples")),
        ("three", "mean", "of equal size", "of unequal size", "largest"),
    ],
    "Jensen-Shannon distance, at most 0.833.",
)
def _heat(material: Material) -> Iterator[Row]:
    for group, data, between, sizes in heat_maps(material):
        above = np.triu_indices(sizes.size, 1)
        distances, like = between[above], (sizes[:, None] == sizes)[above]
        means = [float(distances[of].mean()) if of.any() else None for of in (like, ~like)]
        figures = (float(distances.mean()), *means, float(distances.max()))
        yield [*who(group, data), sizes.size, *figures]


def densities_of_one_sample(
    material: Material,
) -> Iterator[tuple[str, Floats, dict[str, Floats]]]:
    """Yield per task a title, times in ms, [G], and the densities there of one sample's log time.

    These are [G], by name of the system. The sample, or its batch, is that whose median time is in
    the middle on the first of them.
    """
    for group in material.groups:
        firsts = {short(group, data): data for data in repeats_first(group)}
        first, *_ = firsts.values()
        times = {name: data.own_times(PRIMARY_CLOCK) for name, data in firsts.items()}
        if len({one.shape[1] for one in times.values()}) > 1:
            continue
        medians = np.median(first.own_times(PRIMARY_CLOCK), axis=0)
        place = int(np.argsort(medians, kind="stable")[medians.size // 2])
        logs = {name: log_times(one[:, place]) for name, one in times.items()}
        logs = {name: one for name, one in logs.items() if one.size >= FEWEST_TIMES}
        if logs:
            widths = {
                name: max(select_bandwidth(one, resolution=1e-6).value, 1e-4)
                for name, one in logs.items()
            }
            margin, every = 4 * max(widths.values()), np.concatenate([*logs.values()])
            grid = np.linspace(every.min() - margin, every.max() + margin, GRID)
            lines = {name: kde_on_grid(one, grid, widths[name]) for name, one in logs.items()}
            single = first.record.trial.measurement.batch == 1
            sample = f"{'sample' if single else 'batch'} {place}"
            sample = first.names[place] if single and first.names else sample
            yield f"{group.task}: {sample}", np.exp(grid) / NS_PER_MS, lines
