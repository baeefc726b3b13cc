"""A small detector of digits, trained by ``python -m tasks.training.scene_detector``; its weights come with the program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.boxes import Size, dense_predictions
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.detection import load_detector
from tasks.models.scene_network import SIDE, STRIDE, build_network
from tasks.packages import VISION, Need, require_modules

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = Path(__file__).parents[1] / "weights" / "scene_detector.safetensors"
DIGITS = range(10)
NEEDS = (
    Need("scene_detector", "torch", "network", VISION),
    Need("scene_detector", "safetensors", "weights", VISION),
)


class SceneDetector:
    """``path`` is a state dict of your own training instead of the weights that come with the program.

    Pictures are resized to ``input_size`` pixels a side: more are slower, and find smaller digits.
    """

    def __init__(
        self, path: str | None = None, input_size: int | None = None, least_score: float = 0.05, most_overlap: float = 0.5
    ) -> None:
        self._path = Path(path).expanduser() if path else WEIGHTS
        self._side = input_size or SIDE
        self._least_score = least_score
        self._most_overlap = most_overlap

    def check(self) -> None:
        """Raise InputError for missing packages or files, and shares that are none."""
        require_modules(("torch", "safetensors"), "model scene_detector")
        for name, value in (("least_score", self._least_score), ("most_overlap", self._most_overlap)):
            if not 0 <= value <= 1:
                raise InputError(f"model.{name}={value} must lie between 0 and 1; correct it", key=f"model.{name}", value=value)
        if self._side < STRIDE or self._side % STRIDE:
            raise InputError(
                f"model.input_size={self._side} must be a multiple of {STRIDE}; correct it", key="model.input_size", value=self._side
            )
        check_checkpoint(self._path)

    def files(self) -> Sequence[Path]:
        """Return the file with the weights."""
        return (self._path,)

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        network = build_network(self._side)
        load_strictly(network, read_checkpoint(self._path), "scene_detector", f"model.path={self._path}")
        prepare = partial(grey_pixels, side=self._side)
        read = partial(read_scenes, side=self._side, least_score=self._least_score, most_overlap=self._most_overlap)
        example = np.random.default_rng(0).random((context.batch, 1, self._side, self._side), dtype=np.float32)
        return load_detector(network, prepare, read, example, context)


def grey_pixels(pictures: Sequence[Image], side: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return pictures as float32 [pictures, 1, side, side], grey between 0 and 1; those of another size are resized."""
    batch = np.empty((len(pictures), 1, side, side), dtype=np.float32)
    for row, picture in zip(batch, pictures, strict=True):
        grey = picture.convert("L")
        row[0] = np.asarray(grey if grey.size == (side, side) else grey.resize((side, side)))
    batch /= 255
    return batch


def read_scenes(outputs: Any, sizes: Sequence[Size], side: int, least_score: float, most_overlap: float) -> list[dict[str, Any]]:
    """Return what was found in each picture from scores [pictures, places, 10] and corners [pictures, places, 4] in input pixels."""
    return [
        dense_predictions(corners * (np.array([*size, *size]) / side), scores, DIGITS, least_score, most_overlap, size)
        for scores, corners, size in zip(*outputs, sizes, strict=True)
    ]
