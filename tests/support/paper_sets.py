"""What the paper's program was recorded to compute, and the timings it was given."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

PAPER_SETS = Path(__file__).parents[2].parent / "shared" / "data" / "paper"

needs_paper_sets = pytest.mark.skipif(
    not PAPER_SETS.is_dir(), reason=f"{PAPER_SETS} is not there: put the recorded outputs of the paper's program beside the repository"
)


def expected(name: str) -> dict[str, Any]:
    """Return a file of recorded outputs, such as ``a_x10``."""
    return json.loads((PAPER_SETS / f"expected_{name}.json").read_text())


def columns(file: str) -> NDArray[np.int64]:
    """Return the rows of a compressed table of whole numbers, its header left out."""
    with gzip.open(PAPER_SETS / file, "rt") as text:
        return np.loadtxt(text, delimiter=",", skiprows=1, dtype=np.int64)


def inference_times(name: str, samples: int) -> NDArray[np.int64]:
    """Return inference times of a set, [R, S] in ns."""
    return columns(f"timings_{name}.csv.gz")[:, 4].reshape(-1, samples)
