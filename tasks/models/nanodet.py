"""Any detector of the NanoDet family as an ONNX file: NanoDet, NanoDet-Plus, on COCO's classes or your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel, first_line
from tasks.boxes import Array, Size, best_of_overlapping, prediction
from tasks.coco_categories import CATEGORY_IDS
from tasks.models.detection import Detector
from tasks.models.nanodet_outputs import Grids, make_grids
from tasks.packages import USER, VISION, Need, require_modules
from tasks.runtimes.onnx_file import OnnxFileSession, onnx_files

if TYPE_CHECKING:
    from PIL.Image import Image

NEEDS = (
    Need("nanodet", "your file: model.path", "graph and weights", USER),
    Need("nanodet", "onnxruntime", "execution", VISION),
)


class NanoDet:
    """``path`` is the ONNX file. ``mean`` and ``std`` are of blue, green and red, in pixel values 0 to 255.

    Pictures are resized to the graph's input without keeping their shape. ``category_ids`` are the task's ids of the classes 0, 1,
    …; None stands for COCO's. ``input_size`` is for graphs that leave it open.
    """

    def __init__(
        self,
        path: str | None,
        class_count: int = len(CATEGORY_IDS),
        category_ids: Sequence[int] | None = None,
        input_size: int = 416,
        mean: Sequence[float] = (103.53, 116.28, 123.675),
        std: Sequence[float] = (57.375, 57.12, 58.395),
        strides: Sequence[int] = (8, 16, 32),
        offset: float = 0.5,
        least_score: float = 0.05,
        most_overlap: float = 0.6,
    ) -> None:
        self._path = Path(path).expanduser() if path else None
        self._class_count = class_count
        self._category_ids = tuple(CATEGORY_IDS if category_ids is None else category_ids)
        self._input_size = input_size
        self._mean, self._std = tuple(mean), tuple(std)
        self._strides = tuple(strides)
        self._offset = offset
        self._least_score = least_score
        self._most_overlap = most_overlap

    def check(self) -> None:
        """Raise InputError for a missing package or file and options that contradict each other."""
        require_modules(("onnx", "onnxruntime"), "model nanodet")
        if not self._file().is_file():
            raise InputError(
                f"model.path={self._path} is not a file; set it to the ONNX file of the detector", "not_found", "model.path", self._path
            )
        if len(self._category_ids) != self._class_count:
            raise InputError(
                f"model.category_ids names {len(self._category_ids)} ids for model.classes={self._class_count}; give one id per class",
                "conflict",
                "model.category_ids",
            )
        if len(self._mean) != 3 or len(self._std) != 3 or min(self._std) <= 0:
            raise InputError("model.mean and model.std must have three numbers each, those of std above 0; correct them", key="model.mean")
        for name, value in (("least_score", self._least_score), ("most_overlap", self._most_overlap)):
            if not 0 <= value <= 1:
                raise InputError(f"model.{name}={value} must lie between 0 and 1; correct it", key=f"model.{name}", value=value)
        if not self._strides or min(self._strides) < 1 or self._input_size < 1:
            raise InputError(
                f"model.strides={list(self._strides)} and model.input_size={self._input_size} must be above 0; correct them",
                key="model.strides",
                value=list(self._strides),
            )

    def files(self) -> Sequence[Path]:
        """Return the ONNX file and those beside it that hold its weights."""
        return onnx_files(self._file())

    def load(self, context: LoadContext) -> LoadedModel:
        """Open a session for the file and make sure that its answers are a NanoDet's."""
        session = OnnxFileSession(context, self._file())
        width, height = self._size(session.input_shape, context.batch)
        grids = make_grids(width, height, self._strides, self._offset, self._class_count)

        def prepare(pictures: Sequence[Image]) -> Array:
            return blue_green_red(pictures, (width, height), self._mean, self._std)

        def read(outputs: Any, sizes: Sequence[Size]) -> list[dict[str, Any]]:
            scores, distances = grids.split(outputs)
            return [
                self._answer(grids, *answer, (size[0] / width, size[1] / height), size)
                for answer, size in zip(zip(scores, distances, strict=True), sizes, strict=True)
            ]

        self._try(session, grids, np.zeros((context.batch, 3, height, width), dtype=np.float32))
        return Detector(session, prepare, read, {"input_shape": [3, height, width], "classes": self._class_count})

    def _file(self) -> Path:
        if self._path is None:
            raise InputError(
                "model.path is not set and must name the ONNX file of the detector; add model.path=FILE", "missing", "model.path"
            )
        return self._path

    def _size(self, shape: Sequence[int | None], batch: int) -> Size:
        """Return width and height of the input."""
        if len(shape) != 4 or shape[1] not in (3, None):
            raise InputError(
                f"model.path={self._path} takes inputs of shape {list(shape)}, not [pictures, 3, height, width]",
                "unsupported",
                "model.path",
                self._path,
            )
        if shape[0] not in (None, 1) or (shape[0] == 1 and batch != 1):
            remedy = "set measurement.batch=1" if shape[0] == 1 else "choose another file"
            raise InputError(
                f"measurement.batch={batch}: model.path={self._path} takes exactly {shape[0]} at a time; {remedy} or export it with an "
                "open batch size",
                "conflict",
                "measurement.batch",
                batch,
            )
        return shape[3] or self._input_size, shape[2] or self._input_size

    def _try(self, session: OnnxFileSession, grids: Grids, example: Array) -> None:
        try:
            scores, _ = grids.split(session.download(session.infer(session.upload(example))))
        except InputError as error:
            raise InputError(f"model.path={self._path}: {error}", "conflict", "model.path", self._path) from error
        except Exception as error:  # onnxruntime's own classes, where the graph contradicts its declared shape
            raise InputError(
                f"model.path={self._path} fails on a black picture ({first_line(error)}); export it again",
                "damaged",
                "model.path",
                self._path,
            ) from error
        if scores.min() < 0 or scores.max() > 1:
            raise InputError(
                f"model.path={self._path} answers with scores from {scores.min():.3g} to {scores.max():.3g}, not between 0 and 1; "
                "export it with its sigmoid",
                "unsupported",
                "model.path",
                self._path,
            )

    def _answer(self, grids: Grids, scores: Array, distances: Array, scale: tuple[float, float], size: Size) -> dict[str, Any]:
        """Return what was found in one picture. Only places with a score worth it are decoded."""
        places, classes = np.nonzero(scores > self._least_score)
        corners = grids.corners(distances[places], places) * (*scale, *scale)
        found = scores[places, classes]
        kept = best_of_overlapping(corners, found, classes, self._most_overlap)
        return prediction(corners[kept], found[kept], np.array(self._category_ids)[classes[kept]], size)


def blue_green_red(pictures: Sequence[Image], size: Size, mean: Sequence[float], std: Sequence[float]) -> Array:
    """Return RGB pictures as float32 [pictures, 3, height, width], resized and normalised, blue first."""
    from PIL import Image

    batch = np.empty((len(pictures), 3, size[1], size[0]), dtype=np.float32)
    for row, picture in zip(batch, pictures, strict=True):
        pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
        np.subtract(pixels.transpose(2, 0, 1)[::-1], np.array(mean, dtype=np.float32)[:, None, None], out=row)
    batch /= np.array(std, dtype=np.float32)[:, None, None]
    return batch
