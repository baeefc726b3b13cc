"""The samples that a trial stores, as a table."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

NewRound = Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]


def samples_of(count: int, **more: Any) -> pa.Table:
    """Return what a trial stores of its samples, each a number that is answered with itself; ``more`` replaces or adds columns."""
    columns: dict[str, Any] = {
        "sample": pa.array(range(count), pa.int32()),
        "name": [f"number-{number}" for number in range(count)],
        "reference": list(range(count)),
        "prediction": [[number] for number in range(count)],
        "input_size": [1] * count,
    }
    return pa.table({**columns, **more})
