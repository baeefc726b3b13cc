import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon

from benchmarks.paper_program import course
from orchestrator.stats import convergence
from orchestrator.stats.convergence import (
    Check,
    DensityConvergence,
    fit_density,
    jensen_shannon_distance,
    jensen_shannon_divergence,
    masses_on_common_grid,
    rounds_each_sample_needs,
)
from orchestrator.stats.density import LogHistogram, kde_on_grid, select_bandwidth


def lognormal(rounds: int, samples: int, seed: int = 0, sigma: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(16, sigma, (rounds, samples))


def bimodal_with_stalls(rounds: int, samples: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    times = lognormal(rounds, samples, sigma=0.03) * rng.choice([1.0, 1.4], (rounds, samples))
    return times * np.where(rng.random((rounds, samples)) < 0.01, 8.0, 1.0)


def checks(times: np.ndarray, **parameters: float) -> list[Check]:
    convergence = DensityConvergence(**parameters)
    return [convergence.update(round_ns) for round_ns in times]


def rjsd_by_brute_force(times: np.ndarray) -> float:
    """Return rJSD of the last round by its definition, from the times themselves."""
    pooled = [np.log(times[:rounds].ravel()) for rounds in range(len(times) - 5, len(times) + 1)]
    bandwidths = [select_bandwidth(x).value for x in pooled]
    grid = np.linspace(pooled[-1].min() - 0.5, pooled[-1].max() + 0.5, 3000)
    densities = [kde_on_grid(x, grid, h) for x, h in zip(pooled, bandwidths, strict=True)]
    for density in densities:
        density[density < 1e-100] = 0  # SciPy divides by zero where the mean of two masses underflows
    return float(np.sqrt(np.mean([jensenshannon(densities[-1], earlier) ** 2 for earlier in densities[:-1]])))


@pytest.mark.parametrize("times", [lognormal(8, 500), bimodal_with_stalls(8, 500), lognormal(12, 20)])
def test_check_equals_the_definition_applied_to_the_times_themselves(times: np.ndarray) -> None:
    last = checks(times)[-1]
    assert last.bandwidth.value == pytest.approx(select_bandwidth(np.log(times)).value, rel=0.01)
    assert last.rjsd == pytest.approx(rjsd_by_brute_force(times), rel=0.02)


def test_the_definition_is_met_long_before_the_figure_of_the_papers_program() -> None:
    many = lognormal(30, 1000)
    assert next(check.rounds for check in checks(many) if check.converged) == 6
    few = lognormal(60, 20)
    assert 12 <= next(check.rounds for check in checks(few, fit_every=2) if check.converged) <= 20
    for times, fit_every in ((many, 1), (few, 2)):
        compared = course(times / 1e9, warm=1, fit_every=fit_every).comparisons
        assert len(compared) >= 5
        assert min(comparison.rjsd for comparison in compared) > 0.05


def test_converged_is_within_the_threshold() -> None:
    times = lognormal(8, 200)
    rjsd = checks(times)[-1].rjsd
    assert rjsd is not None
    assert checks(times, threshold=rjsd)[-1].converged
    assert not checks(times, threshold=rjsd * 0.999)[-1].converged


def test_late_samples_are_left_out() -> None:
    times = lognormal(8, 100)
    with_late = np.concatenate([times, np.full((8, 7), np.inf)], axis=1)
    assert checks(with_late) == checks(times)


@pytest.mark.slow
def test_an_outlier_neither_hides_nor_slows_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    times = lognormal(8, 500, sigma=0.002)
    plain = checks(times)[-1].rjsd
    times[0, 0] *= 1e3
    with_outlier = checks(times)[-1].rjsd
    assert with_outlier == pytest.approx(plain, rel=0.1)
    monkeypatch.setattr(convergence, "MOST_CELLS", 2**19)
    assert checks(times)[-1].rjsd == pytest.approx(with_outlier, rel=0.1)


def test_masses_are_integrals_of_the_density() -> None:
    history = LogHistogram()
    history.add(lognormal(1, 400)[0])
    early = fit_density(history)
    history.add(lognormal(5, 400, seed=1, sigma=0.3).ravel())
    both = masses_on_common_grid([early, fit_density(history)])
    np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-12)
    assert (both >= 0).all()
    step = min(early.cells.step, fit_density(history).cells.step)
    spread = np.sqrt(np.cov(np.arange(both.shape[1]), aweights=both[0], ddof=0)) * step
    centres, counts = early.cells.occupied()
    expected = np.sqrt(np.cov(centres, fweights=counts.astype(int), ddof=0) + early.bandwidth.value**2)
    assert spread == pytest.approx(float(expected), rel=1e-3)


weights = hnp.arrays(np.float64, 8, elements=st.just(0.0) | st.floats(1e-9, 1e3)).filter(lambda w: w.sum() > 0)


@given(weights, weights)
def test_distance_equals_scipy_and_divergence_is_its_square(p: np.ndarray, q: np.ndarray) -> None:
    # SciPy's own value is lost in rounding where p and q are nearly equal.
    distance = float(jensen_shannon_distance(p, q))
    assert distance == pytest.approx(np.nan_to_num(jensenshannon(p, q)), rel=1e-9, abs=1e-7)
    assert jensen_shannon_divergence(p, q) == pytest.approx(distance**2, rel=1e-12)
    assert jensen_shannon_distance(p, p) == 0 <= distance <= np.sqrt(np.log(2))


def test_digits_are_kept_where_the_masses_are_nearly_equal() -> None:
    p, shift = np.full(4, 0.25), 1e-9 * np.array([1, -1, 1, -1])
    second_order = (shift**2 / (8 * p)).sum()
    assert jensen_shannon_divergence(p, p + shift) == pytest.approx(second_order, rel=1e-5)


def test_steady_samples_need_the_fewest_rounds_and_drifting_ones_more() -> None:
    rng = np.random.default_rng(0)
    steady = rng.lognormal(16, 0.1, (80, 3))
    jumps = rng.lognormal(16, 0.02, (80, 1)) * np.where(np.arange(80) < 40, 1.0, 3.0)[:, np.newaxis]
    needed = rounds_each_sample_needs(np.concatenate([steady, jumps], axis=1))
    assert needed[:3].tolist() == [60, 60, 60]
    assert needed[3] > 60


def test_a_sample_that_starts_late_counts_from_its_first_time() -> None:
    times = np.random.default_rng(0).lognormal(16, 0.1, (80, 1))
    times[:40] = np.inf
    assert rounds_each_sample_needs(times, largest=1.0).tolist() == [70]
    assert rounds_each_sample_needs(np.full((80, 1), np.inf)).tolist() == [np.inf]
