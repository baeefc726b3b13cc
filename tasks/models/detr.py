"""DETR (Carion et al., "End-to-End Object Detection with Transformers", arXiv 2005.12872) by transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.boxes import Array, Size, prediction
from tasks.models.detection import load_detector
from tasks.models.pretrained import Pretrained
from tasks.packages import LANGUAGE, TIMM, USER, Need, require_modules

if TYPE_CHECKING:
    from PIL.Image import Image

ARCHITECTURE = "DetrForObjectDetection"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue; pixel values between 0 and 1."""
NEEDS = (
    Need("detr_*", "transformers", "networks", LANGUAGE),
    Need("detr_*", "timm", "backbones", TIMM),
    Need("detr_*", "fetched, or model.path", "weights", USER),
)


class Detr:
    """``hub`` is a name on the Hugging Face hub (at ``revision``), ``path`` a local folder instead.

    ``shortest`` and ``longest`` bound the sides of pictures in pixels after resizing, which keeps their shape. Labels are the
    network's own class numbers: those of published checkpoints are COCO's category ids.
    """

    def __init__(
        self,
        hub: str | None = None,
        revision: str | None = None,
        path: str | None = None,
        shortest: int = 800,
        longest: int = 1333,
        least_score: float = 0.0,
    ) -> None:
        self._hub = hub
        self._revision = revision
        self._path = Path(path).expanduser() if path else None
        self._shortest, self._longest = shortest, longest
        self._least_score = least_score

    def check(self) -> None:
        """Raise InputError for missing packages or files, another architecture's checkpoint, and impossible sizes."""
        if not 0 < self._shortest <= self._longest:
            raise InputError(
                f"model.shortest={self._shortest} must lie between 1 and model.longest={self._longest}; correct it",
                key="model.shortest",
                value=self._shortest,
            )
        if not 0 <= self._least_score <= 1:
            raise InputError(
                f"model.least_score={self._least_score} must lie between 0 and 1; correct it",
                key="model.least_score",
                value=self._least_score,
            )
        place = self._place()
        place.check(ARCHITECTURE)
        if self._path is None or _by_timm(self._path):
            require_modules(("timm",), f"the backbone of model {self._path or self._hub}", TIMM)

    def files(self) -> Sequence[Path]:
        """Return the local files. A checkpoint of the hub has none before the first load; its name stands for its content."""
        return self._place().files()

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return self._place().fetches()

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        # Weights are read in float32; a session converts them.
        network, facts = self._place().network("AutoModelForObjectDetection", ARCHITECTURE, "float32")
        prepare = partial(padded_pictures, shortest=self._shortest, longest=self._longest)
        read = partial(read_queries, least_score=self._least_score)
        height, width = self._shortest, min(self._longest, self._shortest * 4 // 3)
        example: dict[str, Array] = {
            "pixel_values": np.random.default_rng(0).standard_normal((context.batch, 3, height, width), dtype=np.float32),
            "pixel_mask": np.ones((context.batch, height, width), dtype=np.int64),
        }
        return load_detector(_with_plain_outputs(network), prepare, read, example, context, {**facts, "classes": network.config.num_labels})

    def _place(self) -> Pretrained:
        if self._path is None and self._hub is None:
            raise InputError(
                "model.hub and model.path are both empty; set model.path=DIR to a checkpoint's folder", "missing", "model.path"
            )
        if self._path is not None and not self._path.is_dir():
            raise InputError(
                f"model.path={self._path} is not a folder; set it to one that transformers' save_pretrained wrote",
                "not_found",
                "model.path",
                self._path,
            )
        return Pretrained(self._path or str(self._hub), self._revision)


def _by_timm(folder: Path) -> bool:
    """Return whether a checkpoint's backbone is built by timm: the form before transformers 5, and its own."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    backbone = config.get("backbone_config") or {}
    return bool(config.get("use_timm_backbone")) or backbone.get("model_type") == "timm_backbone"


def _with_plain_outputs(network: Any) -> Any:
    from torch import nn

    class PlainOutputs(nn.Module):
        """Returns logits [n, queries, classes + 1] and boxes [n, queries, 4] instead of transformers' record."""

        # Pictures keep their shapes, so that height and width differ from batch to batch.
        varying_axes: Mapping[str, Sequence[int]] = {"pixel_values": (2, 3), "pixel_mask": (1, 2)}

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixel_values: Any, pixel_mask: Any) -> tuple[Any, Any]:
            """Call the network."""
            answer = self.network(pixel_values=pixel_values, pixel_mask=pixel_mask)
            return answer.logits, answer.pred_boxes

    return PlainOutputs()


def padded_pictures(pictures: Sequence[Image], shortest: int, longest: int) -> dict[str, Array]:
    """Return RGB pictures resized, normalised and padded with zeros to the largest, and a mask that is 1 on the pictures."""
    from PIL import Image

    sizes = [resized(picture.size, shortest, longest) for picture in pictures]
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    values = np.zeros((len(pictures), 3, height, width), dtype=np.float32)
    mask = np.zeros((len(pictures), height, width), dtype=np.int64)
    mean, std = (np.array(numbers, dtype=np.float32)[:, None, None] for numbers in (MEAN, STD))
    for index, (picture, size) in enumerate(zip(pictures, sizes, strict=True)):
        pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), dtype=np.float32).transpose(2, 0, 1)
        values[index, :, : size[1], : size[0]] = (pixels / 255 - mean) / std
        mask[index, : size[1], : size[0]] = 1
    return {"pixel_values": values, "pixel_mask": mask}


def resized(size: Size, shortest: int, longest: int) -> Size:
    """Return width and height when the shorter side becomes ``shortest``, or less so that the longer one is within ``longest``."""
    short, long = min(size), max(size)
    side = min(shortest, round(longest * short / long))
    other = int(side * long / short)
    return (side, other) if size[0] <= size[1] else (other, side)


def read_queries(outputs: Any, sizes: Sequence[Size], least_score: float) -> list[dict[str, Any]]:
    """Return what was found in each picture: one box per query, with its likeliest class but "no object", the best box first.

    ``outputs`` are logits [pictures, queries, classes + 1], the last for "no object", and boxes [pictures, queries, 4]: centre x
    and y, width and height as shares of the picture.
    """
    answers = []
    for logits, boxes, size in zip(*outputs, sizes, strict=True):
        likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
        classes = likelihood[:, :-1] / likelihood.sum(axis=1, keepdims=True)
        labels, scores = classes.argmax(axis=1), classes.max(axis=1)
        order = np.argsort(-scores, kind="stable")
        kept = order[scores[order] >= least_score]
        centres, halves = boxes[kept, :2], boxes[kept, 2:] / 2
        corners = np.hstack([centres - halves, centres + halves]) * (*size, *size)
        answers.append(prediction(corners, scores[kept], labels[kept], size))
    return answers
