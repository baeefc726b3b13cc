import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def quick() -> NDArray[np.float64]:
    """Total times in ms of 60 rounds of 20 samples, around 10 ms."""
    return 10 * np.random.default_rng(7).lognormal(0, 0.1, (60, 20))
