import numpy as np
import pytest

from orchestrator.analysis.curves import counted, stretches
from orchestrator.stats.density import kde_on_grid, select_bandwidth
from orchestrator.stats.latency import percentile_inverted_cdf


def test_quantiles_of_counts_are_those_of_the_times() -> None:
    times = np.random.default_rng(4).lognormal(16, 0.3, (30, 50))
    times[0, :5] = np.inf
    found = counted(times)
    for share in (0.01, 0.5, 0.9, 0.99):
        exact = percentile_inverted_cdf(times, 100 * share) / 1e6
        assert found.at(np.array([share]))[0] == pytest.approx(exact, rel=3e-5)
    assert np.isnan(found.at(np.array([0.9999]))[0])
    assert (found.timed, found.size) == (1495, 1500)


def test_density_of_counts_is_that_of_the_times() -> None:
    times = np.random.default_rng(4).lognormal(16, 0.3, (30, 50))
    places = np.linspace(15.2, 16.8, 50)
    logs = np.log(times.ravel())
    found = counted(times).density(np.exp(places) / 1e6)
    assert found == pytest.approx(kde_on_grid(logs, places, select_bandwidth(logs).value), abs=0.02)


def test_stretches_keep_the_mean_of_all_and_the_worst_of_each() -> None:
    values = np.random.default_rng(6).random(1000)
    centres, means, worst = stretches(values, 50)
    assert len(centres) == 50
    assert means.mean() == pytest.approx(values.mean())
    assert worst.min() == values.min()
    assert np.array_equal(stretches(values[:20], 50)[1], values[:20])
