"""They are SciPy's own numbers, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from effort import EFFORT

from orchestrator.stats.units import ranks, t_quantile, t_sf

DRAWS = 20_000 * EFFORT
rng = np.random.default_rng(14)
degrees = np.concatenate([10 ** rng.uniform(-2, 7, DRAWS), rng.integers(1, 400, DRAWS), [np.inf, 0.0, -1.0, np.nan] * 3])
probabilities = np.concatenate(
    [rng.uniform(0, 1, DRAWS), rng.choice([0.0, 1e-9, 0.025, 0.5, 0.975, 1 - 1e-9, 1.0], DRAWS), [0.0, 0.975, 1.0] * 4]
)
values = np.concatenate([rng.standard_t(2, 2 * DRAWS), [np.inf, -np.inf, np.nan] * 4])


def test_students_t() -> None:
    np.testing.assert_array_equal(t_quantile(probabilities, degrees), scipy.stats.t.ppf(probabilities, degrees))
    np.testing.assert_array_equal(t_sf(values, degrees), scipy.stats.t.sf(values, degrees))


@pytest.mark.parametrize("shape", [(30,), (5, 40), (0, 3), (3, 0), (1,)])
def test_ranks(shape: tuple[int, ...]) -> None:
    table = rng.choice([-np.inf, -1.5, 0.0, 2.0, 7.0, np.inf], shape)
    for ties, its_name in (("average", "average"), ("least", "min"), ("dense", "dense")):
        np.testing.assert_array_equal(ranks(table, ties), scipy.stats.rankdata(table, its_name, axis=-1))  # type: ignore[arg-type]
    table[..., :1] = np.nan
    np.testing.assert_array_equal(ranks(table), scipy.stats.rankdata(table, axis=-1, nan_policy="omit"))
