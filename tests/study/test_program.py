"""The re-implementation of the paper's program against its recorded outputs, and against its definitions."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from paper_sets import PAPER_SETS, expected, needs_paper_sets
from scipy.spatial.distance import jensenshannon

from benchmarks.paper_program import (
    DETECTION,
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
from orchestrator.study.program import directory_order

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


SETS = [
    ("a", 1, [*SECTIONS]),
    ("b", 1, [*SECTIONS]),
    ("c", 1, [*SECTIONS]),
    ("a", 10, ["statistics"]),
    pytest.param("a", 1000, ["convergence"], marks=pytest.mark.slow),
    pytest.param("stop", 1, ["convergence"], marks=pytest.mark.slow),
]


@needs_paper_sets
@pytest.mark.parametrize(("name", "scale", "names"), SETS)
def test_every_recorded_number_is_ours(name: str, scale: int, names: list[str]) -> None:
    recorded = expected(name if scale == 1 else f"{name}_x{scale}")
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


@needs_paper_sets
@pytest.mark.slow
def test_the_benchmark_prints_the_recorded_form() -> None:
    files = [str(PAPER_SETS / name) for name in ("timings_b.csv.gz", "predictions_b.csv.gz")]
    script = Path(__file__).parents[2] / "benchmarks" / "paper_program.py"
    found = subprocess.run([sys.executable, script, *files], capture_output=True, text=True, check=True, cwd=script.parents[1], timeout=600)
    recorded = expected("b")
    assert list(differing({name: recorded[name] for name in SECTIONS}, json.loads(found.stdout))) == []


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


def test_the_error_that_ends_the_program_ends_the_course() -> None:
    found = course(np.full((5, 3), 0.01))
    assert (found.fits, found.error) == ([], "ValueError: Root finding did not converge. Need more data.")


def test_nothing_is_fitted_while_no_sample_has_a_time() -> None:
    timed = np.random.default_rng(0).lognormal(-4, 0.3, (6, 20))
    found = course(np.concatenate([np.full((3, 20), np.inf), timed]))
    assert [fit.rounds for fit in found.fits] == [5, 7, 9]
    assert [fit.records for fit in found.fits] == [40, 80, 120]


def test_samples_without_a_time_are_in_no_pool() -> None:
    rounds = np.random.default_rng(0).lognormal(-4, 0.3, (15, 20))
    late = np.concatenate([rounds, np.full((15, 2), np.inf)], axis=1)
    assert course(late).comparisons[0].rjsd == course(rounds).comparisons[0].rjsd


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


def test_the_narrowest_bandwidth_wins_where_times_are_near_each_other() -> None:
    assert program.best_bandwidth(np.random.default_rng(0).lognormal(-4, 0.3, 70)) == 0.005
    assert program.best_bandwidth([1.0, 1.2, 1.4, 1.6]) == 0.005
    assert program.best_bandwidth(np.linspace(0, 0.4, 4000)) in (0.005, 0.01)


def test_thirty_rounds_are_the_test_and_fewer_of_few() -> None:
    assert program.division(100) == (70, program.Settings())
    assert program.division(30) == (21, program.Settings(initial=9, step=1))
    assert program.division(20) == (14, program.Settings(initial=6, step=1))


def test_the_order_of_files_is_a_permutation_that_fewer_files_keep() -> None:
    assert sorted(directory_order(100).tolist()) == list(range(100))
    assert directory_order(30).tolist() == [number for number in directory_order(100).tolist() if number < 30]
    assert sorted(directory_order(150).tolist()) == list(range(150))
    assert sorted(directory_order(20, DETECTION).tolist()) == list(range(20))


@needs_paper_sets
def test_of_40_rounds_the_script_trains_on_ten_and_settles_nothing() -> None:
    timings, judged, _ = read("a")
    few = Timings(timings.stages[:, :40], timings.batch_of)
    [run, *_] = sections(few, judged, read_order(None, few, judged), ["statistics"])["statistics"]["runs"]
    assert (run["unmodified"]["train_rounds"], run["by_function"]["train_rounds"]) == (10, 28)
    assert run["unmodified"]["least_rounds_after_adding_init"] == [10] * 20
    assert math.isnan(run["unmodified"]["mean_train_jsd"])
    assert run["by_function"]["compared_at_rounds"] == [24, 26, 28]
