"""Any detector of torchvision, with its published weights or a checkpoint of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.boxes import Array, Size, prediction
from tasks.models.checkpoint import load_strictly
from tasks.models.detection import load_detector
from tasks.models.torchvision_weights import TorchvisionWeights

if TYPE_CHECKING:
    from PIL.Image import Image


class TorchvisionDetector:
    """``weights`` names published weights, or is a local file itself; with ``path`` the tensors come from that file instead.

    Labels are the network's own class numbers, of which 0 is the background: those of published weights are COCO's category ids.
    Pictures are resized by the network itself, so this counts as inference.
    """

    def __init__(self, architecture: str, class_count: int, weights: str | None = None, path: str | None = None) -> None:
        self._architecture = architecture
        self._class_count = class_count
        self._weights = TorchvisionWeights.of(architecture, class_count, weights, path)

    def check(self) -> None:
        """Raise InputError for missing packages or files. Names inside torchvision are checked when it is loaded."""
        self._weights.check()

    def files(self) -> Sequence[Path]:
        """Return the local file, if there is one."""
        return self._weights.files()

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return self._weights.fetches()

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        import torchvision

        self.check()
        if context.dtype != "fp32":
            raise InputError(
                f"runtime.dtype={context.dtype}: torchvision's detectors compute in fp32 only; set runtime.dtype=fp32",
                "unsupported",
                "runtime.dtype",
                context.dtype,
            )
        self._weights.check_architecture(torchvision.models.detection, "detector")
        state, source, facts = self._weights.state(self._weights.published())
        # Without weights_backbone=None torchvision would fetch those of the backbone, which the checkpoint replaces.
        network = torchvision.models.get_model(self._architecture, weights=None, weights_backbone=None, num_classes=self._class_count)
        load_strictly(network, state, self._architecture, source)
        example = tuple(np.random.default_rng(0).random((context.batch, 3, 480, 640), dtype=np.float32))
        facts["classes"] = self._class_count
        return load_detector(_with_plain_outputs(network), unit_pixels, read_triples, example, context, facts)


def _with_plain_outputs(network: Any) -> Any:
    from torch import nn

    class PlainOutputs(nn.Module):
        """Takes pictures as arguments and returns boxes, scores and labels of the first, of the second, and so on."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *pictures: Any) -> tuple[Any, ...]:
            """Call the network."""
            return tuple(found[key] for found in self.network(list(pictures)) for key in ("boxes", "scores", "labels"))

    return PlainOutputs()


def unit_pixels(pictures: Sequence[Image]) -> tuple[Array, ...]:
    """Return each RGB picture as float32 [3, height, width] between 0 and 1."""
    return tuple(np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / np.float32(255) for picture in pictures)


def read_triples(outputs: Sequence[Array], sizes: Sequence[Size]) -> list[dict[str, Any]]:
    """Return what was found in each picture from boxes [n, 4], scores [n] and labels [n] of each."""
    triples = zip(outputs[::3], outputs[1::3], outputs[2::3], sizes, strict=True)
    return [prediction(corners, scores, labels, size) for corners, scores, labels, size in triples]
