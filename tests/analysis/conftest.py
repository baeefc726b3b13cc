from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def noise() -> Callable[[int, int, float], NDArray[np.float64]]:
    """Makes total times in ms, [R, S]: log-normal with 10 % spread around a median."""
    random = np.random.default_rng(5)

    def times(rounds: int, samples: int, median_ms: float) -> NDArray[np.float64]:
        return median_ms * random.lognormal(0, 0.1, (rounds, samples))

    return times
