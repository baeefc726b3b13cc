"""Whether enough was measured: rJSD over fits, the rounds that each sample needs, and how far the last rounds lie from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.divergence import Fit, divergences, fit_density
from orchestrator.stats.histogram import LogHistogram
from orchestrator.stats.per_sample import SHARES, rounds_each_sample_needs, rounds_needed_by_share
from orchestrator.stats.times import PRIMARY_CLOCK, SHOWN_SERVICE_CLOCKS, Clock
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.tables import StudyTable, Value, known, numbers, three, whole

Floats = NDArray[np.float64]
MOST_FITS = 50
"""A trial's density is fitted at most so often."""
MOST_SAMPLES_IN_ALL, FEWEST_SAMPLES = 720, 10
LEAST_ROUNDS, MOST_ROUNDS = 55, 200
TEST_ROUNDS, FEWEST_TO_TEST = 30, 60
FEWEST_TIMES = 5
"""Of a sample in a part of the rounds, for a density."""


@dataclass(frozen=True)
class Path:
    """rJSD of one trial and clock: after how many rounds, and its values."""

    rounds: NDArray[np.int64]
    rjsd: Floats

    def settled(self, bound: float) -> int | None:
        """Return after how many rounds it was first at most ``bound``, or None."""
        within = np.flatnonzero(self.rjsd <= bound)
        return int(self.rounds[within[0]]) if within.size else None


Paths = Mapping[str, Mapping[Clock, Path]]


def paths_of(material: Material) -> Paths:
    """Return rJSD over fits of every trial, by its id."""
    window = material.criteria.claims.enough.window

    def path(data: TrialData) -> dict[Clock, Path]:
        return {clock: _path(data.inferences[clock], window) for clock in SHOWN_SERVICE_CLOCKS}

    trials = [data for _, data in material.trials()]
    return dict(zip((data.trial_id for data in trials), map_in_threads(path, trials), strict=True))


def _path(times: Floats, window: int) -> Path:
    """Return rJSD over fits of times [R, B], at most `MOST_FITS` of them."""
    convergence = DensityConvergence(window, fit_every=-(-len(times) // MOST_FITS))
    checks = [convergence.update(of_round) for of_round in times]
    found = [(check.rounds, check.rjsd) for check in checks if check.rjsd is not None]
    return Path(np.array([rounds for rounds, _ in found], dtype=np.int64), np.array([rjsd for _, rjsd in found]))


def settled_on_both(paths: Mapping[Clock, Path], bound: float) -> int | None:
    """Return after how many rounds both clocks were at most ``bound`` at once, or None."""
    both = np.maximum(*(paths[clock].rjsd for clock in SHOWN_SERVICE_CLOCKS))
    return Path(paths[PRIMARY_CLOCK].rounds, both).settled(bound)


def rjsd_table(material: Material, paths: Paths) -> StudyTable:
    """Return when rJSD settled, and where it ended."""
    bound = material.criteria.claims.enough.rjsd
    rows: list[list[Value]] = []
    for group, data in material.trials():
        of_trial = paths[data.trial_id]
        last = [known(float(of_trial[clock].rjsd[-1])) if of_trial[clock].rjsd.size else None for clock in SHOWN_SERVICE_CLOCKS]
        settled = [of_trial[clock].settled(bound) for clock in SHOWN_SERVICE_CLOCKS]
        rows.append([*who(group, data), *settled, settled_on_both(of_trial, bound), *last, len(data.times[PRIMARY_CLOCK])])
    names = [f"settled {clock}" for clock in SHOWN_SERVICE_CLOCKS]
    return StudyTable(
        "rjsd",
        f"rJSD over fits, and the first round at which it was at most {bound:g}",
        [
            *who_columns(), *numbers(whole, *names, "settled both"), *numbers(three, *(f"last {clock}" for clock in SHOWN_SERVICE_CLOCKS)),
            *numbers(whole, "rounds"),
        ],
        rows,
        "rJSD: root of the mean Jensen-Shannon divergence (natural logarithm) between the density of all log times so far and its "
        "earlier fits, as the paper's equation (5) defines it; its program takes another root. A dash: not reached.",
    )  # fmt: skip


def per_trial(material: Material) -> int:
    """Return how many samples of a trial have densities of their own fitted."""
    trials = sum(1 for _ in material.trials())
    return max(FEWEST_SAMPLES, min(material.criteria.most_samples, MOST_SAMPLES_IN_ALL // max(trials, 1)))


def _rows(material: Material, cells: Callable[[TrialData], list[Value] | None]) -> list[list[Value]]:
    """Return a row of every trial that has cells."""
    pairs = list(material.trials())
    found = map_in_threads(cells, [data for _, data in pairs])
    return [[*who(group, data), *of] for (group, data), of in zip(pairs, found, strict=True) if of is not None]


def least_rounds_table(material: Material) -> StudyTable:
    """Return the rounds after which 80, 85, 90 and 95 % of samples have settled, by the paper's rule."""
    most = per_trial(material)

    def needed(data: TrialData) -> list[Value] | None:
        times = data.own_times(PRIMARY_CLOCK)
        if len(times) < LEAST_ROUNDS:
            return None
        some = evenly_chosen(times.shape[1], most)
        found = rounds_needed_by_share(rounds_each_sample_needs(times[:MOST_ROUNDS, some]))
        return [some.size, *(known(found[share]) for share in SHARES)]

    rows = _rows(material, needed)
    return StudyTable(
        "least_rounds",
        "Least rounds, total time",
        [*who_columns(), *numbers(whole, "samples", *(f"{share:g} %" for share in SHARES))],
        rows,
        f"After so many rounds the density of so many samples' own times moved by a distance of at most 0.2 over five fits; of trials of "
        f"{LEAST_ROUNDS} rounds or more. A dash: more rounds than there are, or than {MOST_ROUNDS}.",
    )


def distance_of_last(times: Floats, tests: int) -> Floats:
    """Return per column of times [R, B] the Jensen-Shannon distance between the densities of the last rounds and of the others, [B].

    NaN where one of them has fewer than 5 times.
    """
    found = np.full(times.shape[1], np.nan)
    for place, own in enumerate(times.T):
        parts = own[:-tests], own[-tests:]
        if min(int(np.isfinite(part).sum()) for part in parts) >= FEWEST_TIMES:
            first, last = map(fit_of, parts)
            found[place] = float(np.sqrt(divergences(first, [last])[0]))
    return found


def fit_of(times: Floats) -> Fit:
    """Return the density of the log of times that are finite."""
    history = LogHistogram()
    history.add(times)
    return fit_density(history)


def distance_table(material: Material) -> StudyTable:
    """Return how far the densities of samples in the last rounds lie from those in the others."""
    most = per_trial(material)

    def distances(data: TrialData) -> list[Value] | None:
        times = data.own_times(PRIMARY_CLOCK)
        if len(times) < FEWEST_TO_TEST:
            return None
        found = distance_of_last(times[:, evenly_chosen(times.shape[1], most)], TEST_ROUNDS)
        found = found[np.isfinite(found)]
        if not found.size:
            return None
        return [len(times) - TEST_ROUNDS, TEST_ROUNDS, found.size, *map(float, (found.mean(), np.median(found), found.max()))]

    rows = _rows(material, distances)
    return StudyTable(
        "train_test",
        "Distance between the densities of each sample's first and last rounds, total time",
        [*who_columns(), *numbers(whole, "first rounds", "last rounds", "samples"), *numbers(three, "mean", "median", "largest")],
        rows,
        "Jensen-Shannon distance, in the true order of rounds. Densities of few times differ by chance alone: of 70 and 30 times drawn "
        "from one law the distance is about 0.1 to 0.2.",
    )
