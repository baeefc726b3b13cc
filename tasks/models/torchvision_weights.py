"""Where the tensors of a network of torchvision come from: its published weights, or a checkpoint of your own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.contracts import InputError, nearest
from tasks.models.checkpoint import check_checkpoint, read_checkpoint
from tasks.packages import require_modules

CHECKPOINTS = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class TorchvisionWeights:
    """``name`` are published weights of ``architecture``; with ``path`` the tensors come from that file instead."""

    architecture: str
    class_count: int
    name: str | None
    path: Path | None

    @classmethod
    def of(cls, architecture: str, class_count: int, weights: str | None, path: str | None) -> TorchvisionWeights:
        """Return what a model's options say: ``weights`` may be a local file itself."""
        if weights is not None and path is None and weights.endswith(CHECKPOINTS):
            weights, path = None, weights
        return cls(architecture, class_count, weights, Path(path).expanduser() if path else None)

    def check(self) -> None:
        """Raise InputError for missing packages or files. Names inside torchvision are checked when it is loaded."""
        require_modules(("torch", "torchvision"), f"model.architecture={self.architecture}")
        if self.path is not None:
            check_checkpoint(self.path)
        elif self.name is None:
            raise InputError(
                "model.weights and model.path are both empty; name published weights or a file, such as model.path=FILE",
                "missing",
                "model.path",
            )

    def files(self) -> Sequence[Path]:
        """Return the local file. Published weights have none before the first load; their name stands for their content."""
        return () if self.path is None else (self.path,)

    def fetches(self) -> str | None:
        """Return what is fetched on first use, or None."""
        return None if self.path else f"weights {self.name} of {self.architecture} from torchvision"

    def check_architecture(self, module: Any, what: str) -> None:
        """Raise InputError where a module of torchvision builds no such network; ``what`` is what its networks are."""
        import torchvision

        known = torchvision.models.list_models(module=module)
        if self.architecture not in known:
            raise InputError(
                f"model.architecture={self.architecture} is no {what} of torchvision {torchvision.__version__}; "
                f"{nearest(self.architecture, known)}",
                "unknown",
                "model.architecture",
                self.architecture,
            )

    def published(self) -> Any:
        """Return torchvision's entry for the published weights, or None where none are named. Raises InputError."""
        return None if self.name is None else published_weights(self.architecture, self.name, self.class_count)

    def state(self, published: Any) -> tuple[Mapping[str, Any], str, dict[str, Any]]:
        """Return the tensors, where they come from and what is known of them. Fetches what is published and not there yet."""
        if self.path is not None:
            return read_checkpoint(self.path), f"model.path={self.path}", {}
        file = download(published)
        facts = {"weights_url": published.url, "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        return read_checkpoint(file), f"model.weights={self.name}", facts


def published_weights(architecture: str, name: str, class_count: int) -> Any:
    """Return torchvision's entry for published weights. Raises InputError for an unknown name or other classes."""
    import torchvision

    entries = {entry.name: entry for entry in torchvision.models.get_model_weights(architecture)}
    if name not in entries:
        raise InputError(
            f"model.weights={name} is unknown for {architecture}; choose one of {', '.join(entries)} or a file ({', '.join(CHECKPOINTS)})",
            "unknown",
            "model.weights",
            name,
        )
    classes = len(entries[name].meta["categories"])
    if classes != class_count:
        raise InputError(
            f"model.weights={name} knows {classes} classes, not model.classes={class_count}; set model.classes={classes}",
            "conflict",
            "model.classes",
            class_count,
        )
    return entries[name]


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
                f"{published.url} could not be fetched ({error}); put the file into {folder} or set model.path=FILE",
                "unreadable",
                value=published.url,
            ) from error
    return file
