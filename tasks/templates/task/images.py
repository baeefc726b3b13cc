"""Your task: labelled pictures. Replace `made` by what reads your own; keys of `conf/task/my_task.yaml` are arguments of the class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.contracts import Sample
from tasks.pictures import decode
from tasks.png import encode_grey

CLASSES = ("bright left", "bright right")
SIDE = 16


class MyTask:
    """Noisy pictures, brighter in one half."""

    metrics: Sequence[str] = ("top1",)  # the primary one first

    def __init__(self, count: int) -> None:
        self.count = count

    def check(self) -> None:
        """Raise orchestrator.contracts.InputError for a mistake in the keys or the data, before anything is measured."""

    def samples(self) -> Sequence[Sample]:
        """Return all samples in a fixed order. Pictures in files have `path=` in place of `payload=`."""
        return [
            Sample(f"picture-{number:04d}", reference=int(one), stratum=CLASSES[one], payload=encode_grey(picture))
            for number, (picture, one) in enumerate(zip(*made(self.count, seed=0), strict=True))
        ]

    def decode(self, encoded: bytes) -> Any:
        """Return an RGB picture of Pillow; no clock runs."""
        return decode(encoded)


def made(count: int, seed: int) -> tuple[Any, Any]:
    """Return grey pictures, [count, SIDE, SIDE], and their classes, [count]."""
    random = np.random.default_rng(seed)
    classes = random.integers(len(CLASSES), size=count)
    left = np.arange(SIDE) < SIDE // 2
    pictures = random.integers(180, size=(count, SIDE, SIDE)) + 20 * (left == (classes == 0)[:, None])[:, None, :]
    return pictures.astype(np.uint8), classes


def inputs(samples: Sequence[Any]) -> Any:
    """Return decoded samples as a model takes them: float32, [samples, numbers]."""
    return np.stack([np.asarray(picture.convert("L"), dtype=np.float32).ravel() / 255 for picture in samples])


def answers(scores: Any) -> list[Any]:
    """Return one answer for each row of scores, [samples, classes]: up to five classes, the likeliest first."""
    ranked: list[Any] = np.argsort(-scores, axis=1)[:, :5].tolist()
    return ranked


def training() -> tuple[Any, Any]:
    """Return inputs and classes from which the tiny model learns. Remove this once your model has weights."""
    pictures, classes = made(400, seed=1)
    return pictures.reshape(len(pictures), -1).astype(np.float32) / 255, classes
