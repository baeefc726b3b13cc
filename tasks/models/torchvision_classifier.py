"""Any classifier of torchvision, with its published weights or a checkpoint of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import LoadContext, LoadedModel
from tasks.models.checkpoint import load_strictly
from tasks.models.classifier import load_classifier
from tasks.models.image_input import ImageInput
from tasks.models.torchvision_weights import TorchvisionWeights
from tasks.packages import USER, VISION, Need

NEEDS = (
    Need("torchvision models", "torchvision", "networks", VISION),
    Need("torchvision models", "fetched, or model.path", "weights", USER),
)


class TorchvisionClassifier:
    """``weights`` names published weights, which also say how pictures are prepared, or is a local file itself.

    With ``path`` the tensors come from that file instead of a download. Where ``weights`` names none, the other keys say how
    pictures are prepared; ``mean`` and ``std`` are those of pixel values between 0 and 1.
    """

    def __init__(
        self,
        architecture: str,
        class_count: int,
        weights: str | None = None,
        path: str | None = None,
        input_size: int = 224,
        resize_size: int = 256,
        interpolation: str = "bilinear",
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        self._architecture = architecture
        self._class_count = class_count
        self._weights = TorchvisionWeights.of(architecture, class_count, weights, path)
        self._own_input = (input_size, resize_size, interpolation, tuple(mean), tuple(std))

    def check(self) -> None:
        """Raise InputError for missing packages or files. Names inside torchvision are checked when it is loaded."""
        self._weights.check()
        if self._weights.name is None:
            ImageInput.of_fractions(*self._own_input)

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
        self._weights.check_architecture(torchvision.models, "classifier")
        published = self._weights.published()
        image_input = ImageInput.of_fractions(*self._own_input) if published is None else published_input(published)
        arguments = builder_arguments(self._architecture, image_input.crop_size, published is not None)
        network = torchvision.models.get_model(self._architecture, weights=None, num_classes=self._class_count, **arguments)
        state, source, facts = self._weights.state(published)
        load_strictly(network, state, self._architecture, source)
        return load_classifier(network, image_input, self._class_count, context, facts)


def published_input(published: Any) -> ImageInput:
    """Return how pictures are prepared for published weights."""
    preset = published.transforms()
    return ImageInput.of_fractions(preset.crop_size[0], preset.resize_size[0], preset.interpolation.value, preset.mean, preset.std)


def builder_arguments(architecture: str, crop_size: int, published: bool) -> dict[str, Any]:
    """Return what torchvision's builders set beside the weights: where it is left out, the network is another one."""
    if architecture.startswith("vit_"):
        return {"image_size": crop_size}
    if architecture == "maxvit_t":
        return {"input_size": (crop_size, crop_size)}
    if architecture in ("googlenet", "inception_v3"):
        return {"transform_input": published, "aux_logits": True, "init_weights": False}
    return {}
