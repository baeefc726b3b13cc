"""Any classifier of timm, with its weights from the Hugging Face hub or a checkpoint of your own."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from orchestrator.contracts import InputError, LoadContext, LoadedModel, first_line, nearest
from tasks.models.checkpoint import check_checkpoint, load_strictly, read_checkpoint
from tasks.models.classifier import load_classifier
from tasks.models.image_input import ImageInput
from tasks.models.keras_twin import load_in_keras
from tasks.models.keras_vit import vit_in_keras
from tasks.packages import TIMM, USER, Need, require_modules

WEIGHTS_FILE = "model.safetensors"
NEEDS = (
    Need("timm models", "timm", "networks", TIMM),
    Need("timm models", "fetched, or model.path", "weights", USER),
)


class TimmClassifier:
    """``architecture`` is a name of timm's, with the tag of its weights: ``vit_base_patch16_224.augreg2_in21k_ft_in1k``.

    The tag says how pictures are prepared, and which weights are fetched; with ``path`` the tensors come from that file instead.
    ``arguments`` are those of timm's class that differ from the architecture's, for weights of your own: ``{depth: 12}``. The runtime
    ``tensorflow`` runs plain vision transformers, as Keras models.
    """

    def __init__(self, architecture: str, class_count: int, path: str | None = None, arguments: Mapping[str, Any] | None = None) -> None:
        self._architecture = architecture
        self._arguments = dict(arguments or {})
        self._class_count = class_count
        self._path = Path(path).expanduser() if path else None

    def check(self) -> None:
        """Raise InputError for missing packages or files. Names inside timm are checked when it is loaded."""
        require_modules(("timm",), f"model.architecture={self._architecture}", TIMM)
        if self._path is not None:
            check_checkpoint(self._path)

    def files(self) -> Sequence[Path]:
        """Return the local file. Weights of the hub have none before the first load; their name stands for their content."""
        return () if self._path is None else (self._path,)

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return None if self._path else f"weights of {self._architecture} from the Hugging Face hub"

    def load(self, context: LoadContext) -> LoadedModel:
        """Build the network, fill in every weight and open a session."""
        self.check()
        network = build(self._architecture, self._class_count, self._arguments)
        image_input = published_input(network, self._architecture)
        state, source, facts = self._state(network.pretrained_cfg)
        load_strictly(network, state, self._architecture, source)
        if context.runtime == "tensorflow":
            return load_in_keras(vit_in_keras, network, image_input, self._class_count, context)
        return load_classifier(network, image_input, self._class_count, context, facts)

    def _state(self, published: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, dict[str, Any]]:
        if self._path is not None:
            return read_checkpoint(self._path), f"model.path={self._path}", {}
        file = download(self._architecture, published)
        facts = {"weights_hub": published["hf_hub_id"], "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        return read_checkpoint(file), f"model.architecture={self._architecture}", facts


def build(architecture: str, class_count: int, arguments: Mapping[str, Any]) -> Any:
    """Return the network with random weights. Raises InputError for an unknown architecture or tag, and for an unknown argument."""
    # Read when timm imports the hub's client.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import timm

    if not timm.is_model(architecture):
        raise InputError(
            f"model.architecture={architecture} is no model of timm {timm.__version__}; {nearest(architecture, timm.list_models())}",
            "unknown",
            "model.architecture",
            architecture,
        )
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=class_count, **arguments)
    except TypeError as error:
        raise InputError(
            f"model.arguments={dict(arguments)}: {error}; correct them", key="model.arguments", value=dict(arguments)
        ) from error
    except RuntimeError as error:
        base, _, tag = architecture.partition(".")
        tags = ", ".join(name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*") if name.startswith(f"{base}.")) or "none"
        raise InputError(
            f"model.architecture={architecture}: timm has no weights {tag} of {base}; there are: {tags}",
            "unknown",
            "model.architecture",
            architecture,
        ) from error


def published_input(network: Any, architecture: str) -> ImageInput:
    """Return how pictures are prepared for the architecture's published weights."""
    config = resolve_name("timm.data:resolve_data_config")(model=network)
    _, height, width = config["input_size"]
    if config["crop_mode"] != "center" or height != width:
        raise InputError(
            f"model.architecture={architecture} takes pictures of {height} x {width} pixels in the mode {config['crop_mode']}; only "
            "square ones from the centre are supported: choose another one",
            "unsupported",
            "model.architecture",
            architecture,
        )
    resize_size = math.floor(height / config["crop_pct"])
    return ImageInput.of_fractions(height, resize_size, config["interpolation"], config["mean"], config["std"])


def download(architecture: str, published: Mapping[str, Any]) -> Path:
    """Return the file of published weights in the hub's cache; a missing one is fetched."""
    from huggingface_hub import hf_hub_download

    if not published.get("hf_hub_id"):
        raise InputError(
            f"model.architecture={architecture} names no weights on the hub; add a tag to it, or set model.path=FILE",
            "missing",
            "model.path",
        )
    repository = published["hf_hub_id"]
    try:
        return Path(hf_hub_download(repository, WEIGHTS_FILE))
    except Exception as error:  # the hub's client has a class of its own for each way a network can fail
        raise InputError(
            f"{WEIGHTS_FILE} of {repository} could not be fetched ({first_line(error)}); set model.path=FILE",
            "unreadable",
            value=repository,
        ) from error
