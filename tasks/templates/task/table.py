"""Your task: rows of a table. Replace `made` by what reads your own; keys of `conf/task/my_task.yaml` are arguments of the class."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.contracts import Sample

CLASSES = ("small", "large")
COLUMNS = ("length", "width", "weight")


class MyTask:
    """Made-up parts of two sizes. A CSV or Parquet file needs no class: `task=table task.path=FILE`."""

    metrics: Sequence[str] = ("accuracy",)  # the primary one first

    def __init__(self, count: int) -> None:
        self.count = count

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys or the data, before anything is measured."""

    def samples(self) -> Sequence[Sample]:
        """Return all samples in a fixed order."""
        return [
            Sample(f"row-{number:04d}", CLASSES[one], CLASSES[one], payload=json.dumps(dict(zip(COLUMNS, row, strict=True))).encode())
            for number, (row, one) in enumerate(zip(*made(self.count, seed=0), strict=True))
        ]

    def decode(self, encoded: bytes) -> Mapping[str, float]:
        """Return the features of a row by the names of their columns; no clock runs."""
        found: Mapping[str, float] = json.loads(encoded)
        return found


def made(count: int, seed: int) -> tuple[list[list[float]], Any]:
    """Return the features of rows and their classes, [count]."""
    random = np.random.default_rng(seed)
    classes = random.integers(len(CLASSES), size=count)
    return (random.normal(size=(count, len(COLUMNS))) + 2 * classes[:, None]).tolist(), classes


def inputs(samples: Sequence[Mapping[str, float]]) -> Any:
    """Return decoded samples as a model takes them: float32, [samples, numbers]."""
    return np.array([[row[name] for name in COLUMNS] for row in samples], dtype=np.float32)


def answers(scores: Any) -> list[Any]:
    """Return one answer for each row of scores, [samples, classes]: its class as references name it."""
    return [CLASSES[one] for one in np.argmax(scores, axis=1)]


def training() -> tuple[Any, Any]:
    """Return inputs and classes from which the tiny model learns. Remove this once your model has weights."""
    rows, classes = made(400, seed=1)
    return np.array(rows, dtype=np.float32), classes
