"""Weights from files, without running code that a file might carry."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from orchestrator.contracts import InputError, first_line

SAFETENSORS = ".safetensors"


def check_checkpoint(path: Path) -> None:
    """Raise InputError where the file is missing or its format needs a package that is."""
    if not path.is_file():
        raise InputError(
            f"model.path={path} is not a file; set it to a state dict (.pth or {SAFETENSORS})", "not_found", "model.path", path
        )
    if path.suffix == SAFETENSORS and find_spec("safetensors") is None:
        raise InputError(
            f"model.path={path} needs the package safetensors, which is not installed: run `pip install safetensors`",
            "not_installed",
            "model.path",
            path,
        )


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Return tensors by name. Raises InputError for anything but a plain state dict."""
    import torch

    check_checkpoint(path)
    try:
        if path.suffix == SAFETENSORS:
            state = resolve_name("safetensors.torch:load_file")(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file makes its readers raise almost anything
        raise InputError(
            f"model.path={path} cannot be read as weights ({first_line(error)}); save it with torch.save(model.state_dict(), FILE)",
            "damaged",
            "model.path",
            path,
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(
            f"model.path={path} is no plain state dict of tensors; save it with torch.save(model.state_dict(), FILE)",
            "unsupported",
            "model.path",
            path,
        )
    return state


def load_strictly(network: Any, state: Mapping[str, Any], architecture: str, source: str) -> None:
    """Put every tensor of ``state`` into the network.

    Raises
    ------
    InputError
        where names or shapes are not exactly the network's, with one example.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differences = [
        *(f"{name} is missing" for name in wanted if name not in given),
        *(f"{name} is unknown" for name in given if name not in wanted),
        *(f"{name} is {given[name]} instead of {wanted[name]}" for name in wanted if given.get(name, wanted[name]) != wanted[name]),
    ]
    if differences:
        raise InputError(
            f"{source} holds no weights of {architecture}: {differences[0]} ({len(differences)} differences of {len(wanted)} "
            "tensors); choose the architecture and the number of classes that it was saved from",
            "conflict",
            value=source,
        )
    network.load_state_dict(state, strict=True)
