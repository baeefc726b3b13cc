from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from benchmarks.paper_program import course
from orchestrator.contracts import InputError
from orchestrator.stats import convergence
from orchestrator.stats.convergence import Check, DensityConvergence, fit_density, masses_on_common_grid
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
    assert last.bandwidth is not None
    assert last.bandwidth.value == pytest.approx(select_bandwidth(np.log(times)).value, rel=0.01)
    assert last.rjsd == pytest.approx(rjsd_by_brute_force(times), rel=0.02)


def test_the_window_must_be_full_before_there_is_a_figure() -> None:
    seen = checks(lognormal(8, 100), window=3)
    assert [check.rjsd is None for check in seen] == [True] * 3 + [False] * 5
    assert [check.rounds for check in seen] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(check.bandwidth is not None for check in seen)


def test_fits_come_every_so_many_rounds() -> None:
    seen = checks(lognormal(6, 100), fit_every=3)
    assert [check.bandwidth is not None for check in seen] == [False, False, True, False, False, True]
    assert seen[0] == Check(1)


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


def test_the_same_times_again_do_not_change_the_density_but_for_its_bandwidth() -> None:
    once = lognormal(1, 300)
    seen = checks(np.repeat(once, 40, axis=0))
    assert seen[-1].rjsd is not None
    assert seen[-1].rjsd < 0.01


def test_a_density_that_moves_does_not_converge() -> None:
    times = lognormal(20, 500) * np.exp(np.arange(20) * 0.1)[:, np.newaxis]
    assert not any(check.converged for check in checks(times))


def test_late_samples_are_left_out() -> None:
    times = lognormal(8, 100)
    with_late = np.concatenate([times, np.full((8, 7), np.inf)], axis=1)
    assert checks(with_late) == checks(times)


def test_rounds_without_any_time_bring_no_fit() -> None:
    times = np.full((3, 4), np.inf)
    assert checks(times) == [Check(1), Check(2), Check(3)]
    later = checks(np.concatenate([times, lognormal(7, 4)]))
    assert later[-1].rjsd is not None


@pytest.mark.parametrize("times", [np.full((7, 5), 1000.0), np.full((7, 1), 7, dtype=np.int64)])
def test_times_that_never_differ_have_converged(times: np.ndarray) -> None:
    last = checks(times)[-1]
    assert last.rjsd == pytest.approx(0, abs=1e-8)
    assert last.converged
    assert last.bandwidth is not None
    assert last.bandwidth.method == "silverman"


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


def test_history_does_not_enlarge_a_fit() -> None:
    history = LogHistogram()
    history.add(lognormal(1, 10_000, seed=1))
    small = fit_density(history)
    history.add(lognormal(1, 300_000, seed=2))
    large = fit_density(history)
    assert large.cells.counts.size < 1.5 * small.cells.counts.size
    assert large.cells.counts.sum() == 310_000


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0])
def test_what_is_no_time_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="positive"):
        DensityConvergence().update([1.0, bad])
