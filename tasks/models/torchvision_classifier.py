"""Any classifier of torchvision, with its published weights or a checkpoint of your own."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.classifier import load_classifier
from tasks.models.image_input import ImageInput
from tasks.packages import USER, VISION, Need, require_modules

CHECKPOINTS = (".pth", ".pt", ".safetensors")
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
        if weights is not None and path is None and weights.endswith(CHECKPOINTS):
            weights, path = None, weights
        self._architecture = architecture
        self._class_count = class_count
        self._weights = weights
        self._path = Path(path).expanduser() if path else None
        self._own_input = (input_size, resize_size, interpolation, tuple(mean), tuple(std))

    def check(self) -> None:
        """Raise InputError for missing packages or files. Names inside torchvision are checked when it is loaded."""
        require_modules(("torch", "torchvision"), f"model.architecture={self._architecture}")
        if self._path is not None:
            check_checkpoint(self._path)
        elif self._weights is None:
            raise InputError("model.weights and model.path are both empty; name published weights or a file, such as model.path=FILE")
        if self._weights is None:
            ImageInput.of_fractions(*self._own_input)

    def files(self) -> Sequence[Path]:
        """Return the local file. Published weights have none before the first load; their name stands for their content."""
        return () if self._path is None else (self._path,)

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return None if self._path else f"weights {self._weights} of {self._architecture} from torchvision"

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        import torchvision

        self.check()
        known = torchvision.models.list_models(module=torchvision.models)
        if self._architecture not in known:
            near = difflib.get_close_matches(self._architecture, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise InputError(f"model.architecture={self._architecture} is no classifier of torchvision {torchvision.__version__}; {hint}")
        published = None if self._weights is None else published_weights(self._architecture, self._weights, self._class_count)
        image_input = ImageInput.of_fractions(*self._own_input) if published is None else published_input(published)
        arguments = builder_arguments(self._architecture, image_input.crop_size, published is not None)
        network = torchvision.models.get_model(self._architecture, weights=None, num_classes=self._class_count, **arguments)
        state, source, facts = self._state(published)
        load_strictly(network, state, self._architecture, source)
        return load_classifier(network, image_input, self._class_count, context, facts)

    def _state(self, published: Any) -> tuple[Mapping[str, Any], str, dict[str, Any]]:
        if self._path is not None:
            return read_checkpoint(self._path), f"model.path={self._path}", {}
        file = download(published)
        facts = {"weights_url": published.url, "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        return read_checkpoint(file), f"model.weights={self._weights}", facts


def published_weights(architecture: str, name: str, class_count: int) -> Any:
    """Return torchvision's entry for published weights. Raises InputError for an unknown name or other classes."""
    import torchvision

    entries = {entry.name: entry for entry in torchvision.models.get_model_weights(architecture)}
    if name not in entries:
        raise InputError(
            f"model.weights={name} is unknown for {architecture}; choose one of {', '.join(entries)} or a file ({', '.join(CHECKPOINTS)})"
        )
    classes = len(entries[name].meta["categories"])
    if classes != class_count:
        raise InputError(f"model.weights={name} knows {classes} classes, not model.classes={class_count}; set model.classes={classes}")
    return entries[name]


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


def download(published: Any) -> Path:
    """Return the file of published weights in PyTorch's cache; a missing one is fetched and checked against its hash."""
    import torch

    folder = Path(torch.hub.get_dir(), "checkpoints")
    file = folder / Path(urlsplit(published.url).path).name
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        prefix = file.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(published.url, str(file), hash_prefix=prefix, progress=False)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{published.url} could not be fetched ({error}); put the file into {folder} or set model.path=FILE"
            ) from error
    return file
