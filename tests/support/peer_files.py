"""Where result files of other programs are, and the oracle of a percentile."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[2].parent / "shared" / "data" / "peers"
needs_peers = pytest.mark.skipif(
    not PEERS.is_dir(), reason=f"{PEERS} is not there: put files that the other programs have written beside the repository"
)


def percentile(times: Sequence[int], percent: float) -> int:
    """The smallest time that at least so many percent of all are not above."""
    return sorted(times)[max(0, math.ceil(len(times) * percent / 100) - 1)]
