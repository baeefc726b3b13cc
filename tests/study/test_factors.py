"""Shares of variance against textbooks and least squares, agreement and lines against SciPy."""

import math

import numpy as np
import pytest
import scipy
from effort import EFFORT
from numpy.typing import NDArray

from orchestrator.study.factors import concordance, spearman_of_pairs
from orchestrator.study.sizes import least_squares, moments
from orchestrator.study.variance import balanced, divide_variance

SIZES = {"model": 2, "runtime": 2, "system": 3}
SD = {"sample": 0.3, "system x sample": 0.1, "process": 0.08, "visit": 0.05, "round": 0.06, "sample x process": 0.04, "rest": 0.1}
MODEL = np.array([-0.5, 0.5])
SYSTEM = np.array([-0.4, 0.0, 0.4])
TRUE = {
    "model": 0.25,
    "runtime": 0.0,
    "system": float((SYSTEM**2).mean()),
    **{name: sd**2 for name, sd in SD.items() if name != "system x sample"},
    "system x sample": SD["system x sample"] ** 2 * 2 / 3,  # of three draws about their mean
}


def drawn(random: np.random.Generator, processes: int = 3, visits: int = 5, per_visit: int = 2, samples: int = 20) -> NDArray[np.float64]:
    cells, rounds = (2, 2, 3), visits * per_visit
    own = random.normal(0, SD["system x sample"], (1, 1, 3, 1, 1, samples))
    shapes = {"sample": (1, 1, 1, 1, 1, samples), "process": (*cells, processes, 1, 1), "round": (*cells, processes, rounds, 1)}
    shapes |= {"sample x process": (*cells, processes, 1, samples), "rest": (*cells, processes, rounds, samples)}
    table = MODEL.reshape(2, 1, 1, 1, 1, 1) + SYSTEM.reshape(1, 1, 3, 1, 1, 1) + own - own.mean(axis=2, keepdims=True)
    for name, shape in shapes.items():
        table = table + random.normal(0, SD[name], shape)
    return np.asarray(table + np.repeat(random.normal(0, SD["visit"], (*cells, processes, visits, 1)), per_visit, axis=4))


def test_squares_of_effects_are_those_of_least_squares() -> None:
    """Without samples, processes and rounds of their own, effects are what least squares on dummy variables explains one after another."""
    random = np.random.default_rng(2)
    cells = random.normal(0, 1, (2, 2, 3))
    table = np.broadcast_to(cells[..., None, None, None], (2, 2, 3, 2, 2, 2))
    found = divide_variance(table, SIZES, random, resamples=2)
    place = np.indices(cells.shape).reshape(3, -1)
    columns = {name: np.eye(size)[place[axis]][:, 1:] for axis, (name, size) in enumerate(SIZES.items())}
    design, explained = np.ones((12, 1)), 0.0
    for name in ("model", "runtime", "system", "model x runtime", "model x system", "runtime x system", "model x runtime x system"):
        block = np.ones((12, 1))
        for factor in name.split(" x "):
            block = np.einsum("ni,nj->nij", block, columns[factor]).reshape(12, -1)
        design = np.hstack([design, block])
        fit = design @ np.linalg.lstsq(design, cells.ravel(), rcond=None)[0]
        total = float(((fit - cells.mean()) ** 2).sum())
        assert found[name].variance == pytest.approx((total - explained) / 12, abs=1e-12)
        explained = total
    assert sum(share.omega_squared for share in found.values()) == pytest.approx(1)


def mean_squares(table: NDArray[np.float64], visits: int) -> dict[str, float]:
    """Return variances by the textbook's mean squares of a table [runtime, system, P, R, I], as docs/study.md lists them."""
    first, second, p, rounds, i = table.shape
    k, m = first * second, rounds // visits
    y = table.reshape(k, p, visits, m, i)
    of = [y.mean(axis=axes, keepdims=True) for axes in ((3,), (2, 3), (1, 2, 3))]  # means of a visit, process and cell, by sample
    visit, process, cell = (one.mean(axis=4, keepdims=True) for one in of)
    by_round = y.mean(axis=4, keepdims=True)

    def square(values: NDArray[np.float64], times: int, degrees: int) -> float:
        return times * float((values**2).sum()) / degrees

    ms_e = square(y - of[0] - by_round + visit, 1, k * p * visits * (m - 1) * (i - 1))
    ms_r = square(by_round - visit, i, k * p * visits * (m - 1))
    ms_pi = square(of[1] - of[2] - process + cell, rounds, k * (p - 1) * (i - 1))
    ms_p = square(process - cell, rounds * i, k * (p - 1))
    ms_vi, ms_v = ms_e, ms_r
    found = {"rest": ms_e, "round": (ms_r - ms_e) / i}
    if visits > 1:
        ms_vi = square(of[0] - of[1] - visit + process, m, k * p * (visits - 1) * (i - 1))
        ms_v = square(visit - process, m * i, k * p * (visits - 1))
        found |= {"sample x visit": (ms_vi - ms_e) / m, "visit": (ms_v - ms_vi - ms_r + ms_e) / (m * i)}
    found |= {"sample x process": (ms_pi - ms_vi) / rounds, "process": (ms_p - ms_pi - ms_v + ms_vi) / (rounds * i)}
    cells = table.mean(axis=(2, 3))
    mean, rows, columns = cells.mean(axis=(0, 1), keepdims=True), cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True)
    ms_i = square(mean - mean.mean(), p * rounds * k, i - 1)
    found["sample"] = (ms_i - ms_pi) / (p * rounds * k)
    effects = {"runtime": rows - mean, "system": columns - mean, "runtime x system": cells - rows - columns + mean}
    degrees = {"runtime": first - 1, "system": second - 1, "runtime x system": (first - 1) * (second - 1)}
    for name, df in degrees.items():
        e = np.broadcast_to(effects[name], cells.shape)
        shared = np.broadcast_to(e.mean(axis=2, keepdims=True), cells.shape)
        ms_ai, ms_a = square(e - shared, p * rounds, df * (i - 1)), square(shared, p * rounds, df)
        found[f"{name} x sample"] = (ms_ai - ms_pi) * df / (p * rounds * k)
        found[name] = (ms_a - ms_ai - ms_p + ms_pi) * df / (p * rounds * i * k)
    return found


def one_stall_a_round(random: np.random.Generator) -> NDArray[np.float64]:
    """In every round one sample, another one each time, waits: samples of one round are less alike than those of different rounds."""
    table = random.normal(0, 0.05, (2, 3, 3, 20, 8)) + MODEL.reshape(2, 1, 1, 1, 1) + SYSTEM.reshape(1, 3, 1, 1, 1)
    table[..., np.arange(20), np.arange(20) % 8] += 1.5
    return table


@pytest.mark.parametrize("visits", [1, 5])
def test_shares_are_those_of_the_mean_squares_each_with_its_sign(visits: int) -> None:
    table = one_stall_a_round(np.random.default_rng(8))
    found = divide_variance(table, {"runtime": 2, "system": 3}, np.random.default_rng(0), visits=visits, resamples=2)
    expected = mean_squares(table, visits)
    total = sum(expected.values())
    assert expected["round"] < -0.01
    assert {name: share.variance for name, share in found.items()} == pytest.approx(expected, abs=1e-12)
    assert {name: share.omega_squared for name, share in found.items()} == pytest.approx(
        {name: variance / total for name, variance in expected.items()}, abs=1e-12
    )


def test_a_factors_share_does_not_depend_on_whether_visits_are_terms() -> None:
    table = one_stall_a_round(np.random.default_rng(9))
    sizes = {"runtime": 2, "system": 3}
    stretch, apart = (divide_variance(table, sizes, np.random.default_rng(0), visits=visits, resamples=2) for visits in (None, 5))
    for name in ("runtime", "system", "sample"):
        assert stretch[name].omega_squared == pytest.approx(apart[name].omega_squared)
    assert sum(share.variance for share in stretch.values()) == pytest.approx(table.var(), rel=0.02)


@pytest.mark.slow
def test_intervals_contain_what_is_true() -> None:
    """Of 3 processes a cell and 20 samples; percentiles of a plain bootstrap cover 83 to 91 % here."""
    random = np.random.default_rng(3)
    total = sum(TRUE.values())
    inside = []
    for _ in range(30 * EFFORT):
        found = divide_variance(drawn(random), SIZES, random, visits=5, resamples=40)
        inside.append([found[name].low <= TRUE[name] / total <= found[name].high for name in ("sample", "system", "model", "process")])
    assert (np.mean(inside, axis=0) >= 0.9).all()


def test_the_largest_complete_part_is_kept() -> None:
    whole = [(model, system) for model in "ab" for system in "xyz"]
    assert balanced(whole) == [("a", "b"), ("x", "y", "z")]
    assert balanced(whole[:-1]) in ([("a", "b"), ("x", "y")], [("a",), ("x", "y", "z")])
    assert balanced([]) == []


RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("ties", [False, True])
def test_w_is_friedman_s_chi_square_over_its_largest(ties: bool) -> None:
    values = RANDOM.integers(0, 4, (5, 12)) if ties else RANDOM.random((5, 12))
    chi_square = scipy.stats.friedmanchisquare(*values.T).statistic
    assert concordance(values, RANDOM, 1)[0] == pytest.approx(chi_square / (5 * 11))


def test_spearman_is_scipy_s_for_every_pair() -> None:
    values = RANDOM.integers(0, 9, (4, 30)).astype(float)
    found = spearman_of_pairs(values)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    assert found == pytest.approx([scipy.stats.spearmanr(values[a], values[b]).statistic for a, b in pairs])
    values[0] = 1
    assert np.isnan(spearman_of_pairs(values)[:3]).all()


def test_the_permutation_test_agrees_with_the_exact_law_of_three_items() -> None:
    """Of 2 judges and 3 items the second has 6 orders, all alike under no agreement; one of them agrees fully."""
    found = concordance([[1, 2, 3], [1, 2, 3]], np.random.default_rng(0), 5999)
    assert found[1] == pytest.approx(1 / 6, abs=0.02)


def test_a_line_is_scipy_s() -> None:
    x, y = RANDOM.random(20), RANDOM.random(20)
    expected = scipy.stats.linregress(x, y)
    assert least_squares(x, y)[:3] == pytest.approx((expected.slope, expected.intercept, expected.rvalue**2))


def test_moments_leave_out_what_has_no_time() -> None:
    times = RANDOM.lognormal(16, 0.2, (9, 4))
    times[3, 1] = math.inf
    times[1:, 2] = math.inf
    means, variances = moments(times)
    assert means[[0, 3]] == pytest.approx(times[:, [0, 3]].mean(axis=0) / 1e6)
    assert variances[1] == pytest.approx(np.delete(times[:, 1], 3).var(ddof=1) / 1e12)
    assert np.isnan([means[2], variances[2]]).all()
