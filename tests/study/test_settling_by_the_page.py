"""The round at which rJSD settles, recomputed with numpy by the steps that docs/study.md gives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from built_trials import build_trial
from numpy.typing import NDArray

from orchestrator.analysis.groups import grouped
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.density import solve_bandwidth
from orchestrator.stats.times import Clock
from orchestrator.storage.records import CampaignRecord
from orchestrator.study.claims import read_criteria
from orchestrator.study.material import Material
from orchestrator.study.settling import paths_of, settled_on_both

Floats = NDArray[np.float64]
BINS, CELL = 2048, 2.0**-16


def quartiles(values: Floats, counts: NDArray[np.int64]) -> list[float]:
    cumulated = counts.cumsum()
    return [float(values[np.flatnonzero(cumulated >= share * counts.sum())[0]]) for share in (0.25, 0.5, 0.75)]


def fitted(times: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], float, float]:
    """Return numbers of cells, their counts, the cells' width and the bandwidth: steps 2 and 3."""
    numbers, counts = np.unique(np.floor(np.log(times) / CELL).astype(np.int64), return_counts=True)
    low, median, high = quartiles((numbers + 0.5) * CELL, counts)
    merged = 1
    while 2 * merged * CELL <= 25 * (high - low) / BINS / 4:
        merged *= 2
    step = merged * CELL
    cells = np.floor(np.log(times) / CELL).astype(np.int64) // merged
    numbers, counts = np.unique(cells, return_counts=True)
    middles = (numbers + 0.5) * step
    low, _, high = quartiles(middles, counts)
    finest = max(step, float(np.exp(-median)))
    width = max(25 * (high - low) / BINS, finest)
    position = (middles - ((low + high) / 2 - width * BINS / 2)) / width - 0.5
    masses = np.zeros(BINS)
    for place, count in zip(position, counts, strict=True):
        if 0 <= place < BINS - 1:
            left = int(place)
            masses[left] += count * (left + 1 - place)
            masses[left + 1] += count * (place - left)
    found = solve_bandwidth(masses, width, finest)
    assert found is not None
    return numbers, counts, step, found


def rjsd_by_the_page(rounds: Floats) -> Floats:
    """Return rJSD from the sixth fit on, of fits after every round: step 4."""
    fits = [fitted(rounds[:until].ravel()) for until in range(1, len(rounds) + 1)]
    found = []
    for last in range(5, len(fits)):
        some = fits[last - 5 : last + 1]
        step, reach = min(of[2] for of in some), 8 * max(of[3] for of in some)
        first = np.floor((min(of[0][0] * of[2] for of in some) - reach) / step)
        end = np.ceil((max((of[0][-1] + 1) * of[2] for of in some) + reach) / step)
        edges = np.arange(first, end + 1) * step
        masses = []
        for numbers, counts, wide, bandwidth in some:
            parts = round(wide / step)
            middles = ((numbers[:, None] * parts + np.arange(parts) + 0.5) * step).ravel()
            below = scipy.special.ndtr((edges[:, None] - middles) / bandwidth) @ np.repeat(counts / parts, parts)
            masses.append(np.diff(below) / (below[-1] - below[0]))
        *earlier, current = masses
        found.append(np.sqrt(np.mean([divergence(current, one) for one in earlier])))
    return np.array(found)


def divergence(p: Floats, q: Floats) -> float:
    middle = (p + q) / 2
    return float((scipy.special.rel_entr(p, middle) + scipy.special.rel_entr(q, middle)).sum() / 2)


def test_rjsd_and_the_round_at_which_it_settles_follow_from_the_page() -> None:
    random = np.random.default_rng(5)
    times_ms = random.lognormal(2, 0.2, (16, 10)) * np.exp(0.1 * random.normal(size=(16, 1)))
    analysis, data = AnalysisConfig(), build_trial("one", times_ms)
    campaign = CampaignRecord(code_version="1", name="c")
    material = Material(campaign, (data.record,), grouped([data], analysis), analysis, read_criteria())
    paths = paths_of(material)[data.trial_id]
    ours = {clock: rjsd_by_the_page(data.times[clock]) for clock in (Clock.INFERENCE, Clock.TOTAL)}
    for clock, found in ours.items():
        assert paths[clock].rounds.tolist() == list(range(6, 17))
        assert paths[clock].rjsd == pytest.approx(found, abs=1e-9)
    larger = np.maximum(*ours.values())
    bound = float(np.sort(larger)[3])
    assert settled_on_both(paths, bound + 1e-9) == 6 + int(np.flatnonzero(larger <= bound + 1e-9)[0])
