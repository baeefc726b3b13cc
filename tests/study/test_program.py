"""The re-implementation of the paper's program against its recorded outputs, and against its definitions."""

import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy
from paper_sets import PAPER_SETS, columns, expected, inference_times, needs_paper_sets
from scipy.spatial.distance import jensenshannon

from benchmarks import paper_program
from benchmarks.paper_program import (
    LOOPS,
    SECTIONS,
    Judged,
    Timings,
    course,
    read_answers,
    read_order,
    read_timings,
    sections,
    stops_after,
)
from orchestrator.stats import paper
from orchestrator.stats.density import kde_on_grid
from orchestrator.stats.prediction import compare
from orchestrator.study import program
from orchestrator.study.program import effects

pytestmark = pytest.mark.first

EQUAL = 1e-9
"""Also where a density is fitted: the same equations are solved by the same ``brentq``."""
WORDS = ("function", "command", "note", "mesh_of_the_bandwidth_solver")


def differing(recorded: Any, ours: Any, at: str = "") -> Iterator[str]:
    """Yield where ours differs from what was recorded, every number, list and key of it."""
    if isinstance(recorded, dict):
        for name in recorded.keys() - set(WORDS):
            yield from differing(recorded[name], ours[name], f"{at}/{name}") if name in ours else [f"{at}/{name}: missing"]
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for index, both in enumerate(zip(recorded, ours, strict=True)):
            yield from differing(*both, f"{at}/{index}")
    elif isinstance(recorded, float) and isinstance(ours, (int, float)):
        if not (abs(recorded - ours) <= EQUAL or (math.isnan(recorded) and math.isnan(ours))):
            yield f"{at}: {ours} instead of {recorded}"
    elif recorded != ours:
        yield f"{at}: {ours} instead of {recorded}"


def numbers_in(recorded: Any) -> int:
    if isinstance(recorded, (dict, list)):
        return sum(map(numbers_in, recorded.values() if isinstance(recorded, dict) else recorded))
    return int(isinstance(recorded, (int, float)))


def read(name: str, scale: int = 1) -> tuple[Timings, Judged, dict[str, Any]]:
    timings = read_timings(PAPER_SETS / f"timings_{name}.csv.gz", scale)
    answers = PAPER_SETS / (f"predictions_{name}.json.gz" if name == "c" else f"predictions_{name}.csv.gz")
    judged = read_answers(answers, timings)
    return timings, judged, read_order(None, timings, judged)


@needs_paper_sets
@pytest.mark.parametrize(
    ("name", "scale", "names"),
    [
        *((name, 1, [of for of in SECTIONS if of != "statistics"]) for name in "ab"),
        pytest.param("c", 1, [*SECTIONS], marks=pytest.mark.slow),
        pytest.param("a", 1000, ["convergence"], marks=pytest.mark.slow),
    ],
)
def test_every_recorded_number_is_ours(name: str, scale: int, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In another unit one of the loops, with its first rounds in the pool and without."""
    recorded = expected(name if scale == 1 else f"{name}_x{scale}")
    if scale != 1:
        recorded["convergence"]["loops"] = recorded["convergence"]["loops"][1 :: len(LOOPS)]
        monkeypatch.setattr(paper_program, "LOOPS", LOOPS[1:2])
    ours = json.loads(json.dumps(sections(*read(name, scale), names)))
    wanted = {section: recorded[section] for section in names} | {"file_order": recorded["file_order"]}
    assert numbers_in(wanted) > 1000
    assert list(differing(wanted, ours))[:5] == []


@needs_paper_sets
def test_the_loop_stops_where_the_program_stopped() -> None:
    timings = read("stop")[0]
    courses = [course(times[:27], warm=1, fit_every=1) for times in timings.rounded_once.values()]
    recorded = expected("stop")["convergence"]["loops"][0]
    assert stops_after(courses, 0.05) == recorded["stops_after_run"]["0.05"] == 27
    assert stops_after(courses, 0.02) is None
    assert stops_after([one.__class__(one.fits, one.comparisons[:-1]) for one in courses], 0.05) is None


def bandwidth_by_definition(values: np.ndarray) -> float:
    """Return KDEpy's figure from its equations, with none of the shortcuts: a cosine at a time, hat functions, powers of integers."""
    span = float(values.max() - values.min())
    beyond = max(6.0, span / 2)
    mesh = np.linspace(values.min() - beyond, values.max() + beyond, 1024)
    hats = np.maximum(0, 1 - np.abs(values[:, None] - mesh) / (mesh[1] - mesh[0]))
    masses = hats.mean(axis=0)
    k = np.arange(1, 1024)
    a2 = (2 * np.cos(np.pi * k[:, None] * (2 * np.arange(1024) + 1) / 2048) @ masses) ** 2
    n = len(set(values.tolist()))

    def excess(t: float) -> float:
        f = (
            0.5
            * np.pi**14
            * sum(float(i) ** 14 * a * math.exp(-float(i * i) * np.pi**2 * t) for i, a in zip(k.tolist(), a2.tolist(), strict=True))
        )
        for s in range(6, 1, -1):
            odd = math.prod(range(1, 2 * s, 2))
            t_s = (2 * (1 + 0.5 ** (s + 0.5)) / 3 * odd / math.sqrt(2 * math.pi) / (n * f)) ** (2 / (3 + 2 * s))
            f = 0.5 * np.pi ** (2 * s) * float(np.sum(k.astype(float) ** (2 * s) * a2 * np.exp(-(k.astype(float) ** 2) * np.pi**2 * t_s)))
        return float(t - (2 * n * math.sqrt(np.pi) * f) ** -0.4)

    tolerance = 1e-11 + 0.01 * (min(max(n, 50), 1050) - 50) / 1000
    while excess(0) * excess(tolerance) > 0:
        tolerance *= 2
    return math.sqrt(scipy.optimize.brentq(excess, 0, tolerance)) * span


@pytest.mark.parametrize("unit", [1.0, 1000.0])
@pytest.mark.parametrize("count", [40, 400])
def test_the_bandwidth_is_that_of_its_equations(unit: float, count: int) -> None:
    values = unit * np.random.default_rng(count).lognormal(-4, 0.3, count)
    assert paper.kdepy_bandwidth(values, count) == pytest.approx(bandwidth_by_definition(values), rel=1e-10)


def test_the_bandwidth_depends_on_the_unit_and_on_repeated_values_only_by_their_number() -> None:
    seconds = np.random.default_rng(0).lognormal(-4, 0.3, 2000)
    once = paper.kdepy_bandwidth(seconds, 2000)
    assert paper.kdepy_bandwidth(seconds * 1000, 2000) > 2000 * once
    assert paper.kdepy_bandwidth(np.tile(seconds, 3), 2000) == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("bandwidth", [1e-5, 2e-4, 5e-3, 0.1])
def test_a_density_is_the_mean_of_its_kernels(bandwidth: float) -> None:
    times = np.random.default_rng(1).lognormal(-4, 0.5, 3000)
    times = np.concatenate([times, times[:500]])
    grid = np.linspace(times.min(), times.max(), 1000)
    found = paper.Density(times, bandwidth).at(grid)
    exact = np.array([np.exp(-0.5 * ((point - times) / bandwidth) ** 2).mean() for point in grid]) / (bandwidth * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-13 * exact.max())
    np.testing.assert_allclose(kde_on_grid(times, grid, bandwidth), exact, rtol=1e-11, atol=1e-13 * exact.max())


def test_rjsd_is_the_root_of_the_mean_of_scipys_distances() -> None:
    pools = [np.random.default_rng(seed).lognormal(-4, 0.3, 200) for seed in range(3)]
    fits = [paper.Density(pool, 0.001) for pool in pools]
    grid = np.linspace(pools[0].min(), pools[0].max(), 1000)
    of_scipy = [jensenshannon(fits[0].at(grid) + 1e-8, other.at(grid) + 1e-8) for other in fits[1:]]
    found = paper.distances(fits[0], fits[1:], grid[0], grid[-1])
    np.testing.assert_allclose(found, of_scipy, rtol=1e-9)
    assert paper.rjsd(found) == pytest.approx(math.sqrt(np.mean(of_scipy)))


@pytest.mark.parametrize(
    ("warm", "fit_every", "fits", "compared"), [(1, 2, [3, 5, 7], [13, 23]), (5, 2, [7, 9, 11], [17, 27]), (0, 1, [1, 2, 3], [6, 11])]
)
def test_fits_and_comparisons_come_when_the_program_makes_them(warm: int, fit_every: int, fits: list[int], compared: list[int]) -> None:
    rounds = np.random.default_rng(0).lognormal(-4, 0.3, (30, 20))
    found = course(rounds, warm, fit_every)
    assert [fit.rounds for fit in found.fits[:3]] == fits
    assert [comparison.rounds for comparison in found.comparisons[:2]] == compared
    assert found.comparisons[0].earlier == tuple(fit.rounds for fit in found.fits[:5])
    assert found.fits[0].records == 20 * fits[0]  # warm rounds are in the pool


def test_late_means_above_in_2024_and_at_or_above_in_2023() -> None:
    times = np.array([[1.0, 2.0, 3.0]])

    def share(on_time: np.ndarray) -> np.ndarray:
        return np.asarray(on_time.mean(axis=1))

    assert program.quality_at(share, times, [2.0])[0] == pytest.approx([2 / 3])
    sides = compare([partial(program.quality_at, share)] * 2, (times, times), [50], as_in_program=True)
    assert sides.bounds == [2]
    assert sides.fit[0] == pytest.approx([1 / 3])


def test_least_rounds_begin_at_60_and_get_30_added() -> None:
    steady = np.random.default_rng(0).lognormal(-4, 0.1, 70)
    found = program.settling(steady)
    assert (found.rounds, found.tries, found.compared_at) == (60, 6, (60, 65, 70))
    assert program.mean_train_distance([found]) == pytest.approx(found.of_window[0].mean() / 6)
    moving = steady + np.arange(70) ** 2 / 50
    assert program.settling(moving).rounds == 70


def test_thirty_rounds_are_the_test_and_fewer_of_few() -> None:
    assert program.division(100) == (70, program.Settings())
    assert program.division(30) == (21, program.Settings(initial=9, step=1))
    assert program.division(20) == (14, program.Settings(initial=6, step=1))


MS = 1e-3


def effects_of(times_ms: np.ndarray, scores: np.ndarray | None = None) -> dict[str, tuple[float, float]]:
    return {name: both for name, *both in effects(times_ms * MS, times_ms * MS, scores)}


@needs_paper_sets
def test_every_difference_is_as_recorded() -> None:
    predictions = columns("predictions_a.csv.gz")
    found = effects_of(inference_times("a", 20) / 1e6, (predictions[:, 1] == predictions[:, 2]).astype(float))
    runs = {run["order"]: run["by_function"] for run in expected("a")["statistics"]["runs"] if run["combine_type"] == "i"}
    recorded = runs["numeric"]
    distance = recorded["mean_jsd_train_test"]
    assert found["run order"] == pytest.approx([runs["iterdir"]["mean_jsd_train_test"], distance], abs=1e-12)
    assert np.round(found["run order"], 3).tolist() == [0.060, 0.265]
    assert found["bandwidth floor"][0] == pytest.approx(distance, abs=1e-12)
    assert found["bandwidth floor"][1] > 1.5 * distance
    assert found["divisor of train JSD"][0] == pytest.approx(recorded["mean_train_jsd"], abs=1e-12)
    assert found["divisor of train JSD"][1] == pytest.approx(6 * found["divisor of train JSD"][0])
    largest = max(one["difference"]["mean"] for one in recorded["quality"].values())
    assert found["recomputed percentile"][0] == pytest.approx(largest, abs=1e-12)
    assert np.round(found["recomputed percentile"], 3).tolist() == [0.011, 0.436]


@needs_paper_sets
def test_least_rounds_are_70_whatever_was_found_as_recorded() -> None:
    recorded = expected("a_x10")["statistics"]["runs"][0]["by_function"]
    theirs, mended = effects_of(inference_times("a", 20) / 1e5)["least rounds"]
    assert theirs == np.mean(recorded["least_rounds_after_adding_init"]) == 70
    assert mended == np.mean(recorded["least_rounds"])


def test_the_floor_hides_a_shift_below_it() -> None:
    times = np.random.default_rng(1).lognormal(0, 0.05, (100, 3))
    times[70:] *= 2
    floor, suited = effects_of(times)["bandwidth floor"]
    assert floor < 0.1
    assert suited > 0.8  # sqrt(ln 2) = 0.833 where densities share nothing
