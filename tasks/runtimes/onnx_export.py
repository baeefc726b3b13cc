"""Networks as ONNX graphs on disk, exported once per content: weights, layers, code and versions."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, first_line
from tasks.runtimes.session import Array, Inputs, map_arrays

OPSET = 18
EXPORTERS = ("torch", "onnx", "onnxscript")


def named_inputs(inputs: Inputs) -> dict[str, Array]:
    """Return the inputs by the names that they have in the graph."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if isinstance(inputs, tuple):
        return {f"input_{number}": array for number, array in enumerate(inputs)}
    return {"input": inputs}


def exported_graph(network: Any, example: Inputs, cache_dir: Path) -> tuple[Path, bool]:
    """Return the graph's file and whether it was in the cache. Its first axis takes any number of samples.

    Where other axes of its inputs differ from batch to batch, the network names them in ``varying_axes``, by the names of its inputs.

    Raises
    ------
    InputError
        where PyTorch cannot export the network.
    """
    folder = cache_dir / "onnx" / content_digest(network, example)
    if folder.is_dir():
        return folder / "graph.onnx", True
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as temporary:
        fresh = Path(temporary, "graph")
        fresh.mkdir()
        _export(network, example, fresh / "graph.onnx")
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster with the same content.
            if not folder.is_dir():
                raise
    return folder / "graph.onnx", False


def content_digest(network: Any, example: Inputs) -> str:
    """Return a digest of all that decides what the graph computes.

    That is every weight and buffer, the layers with their settings, the source files that define them, shapes and types of one
    sample's inputs, the opset and the exporters' versions.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(chain(network.named_parameters(), network.named_buffers())):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    versions = {package: metadata.version(package) for package in EXPORTERS}
    shapes = {name: [str(array.dtype), *array.shape[1:]] for name, array in named_inputs(example).items()}
    varying = {name: list(axes) for name, axes in _varying_axes(network).items()}
    digest.update(json.dumps([repr(network), _sources(network), shapes, OPSET, versions, *([varying] if varying else [])]).encode())
    return digest.hexdigest()


def _varying_axes(network: Any) -> Mapping[str, Sequence[int]]:
    found: Mapping[str, Sequence[int]] = getattr(network, "varying_axes", {})
    return found


def _sources(network: Any) -> dict[str, str]:
    """Return digests of the source files of all layer classes, by class."""
    classes = {type(layer) for layer in network.modules()}
    return {f"{layer.__module__}.{layer.__qualname__}": _source_digest(layer) for layer in sorted(classes, key=repr)}


def _source_digest(layer: type) -> str:
    try:
        source = inspect.getsourcefile(layer)
    except TypeError:  # a class made at run time has no file
        source = None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source and Path(source).is_file() else ""


def _export(network: Any, example: Inputs, path: Path) -> None:
    import torch

    # Exporting with a single sample would fix the number of samples at one.
    inputs = map_arrays(lambda array: torch.from_numpy(np.concatenate([array, array])), example)
    keywords = inputs if isinstance(example, Mapping) else None
    arguments = () if keywords else inputs if isinstance(inputs, tuple) else (inputs,)
    varying = _varying_axes(network)
    any_number = {name: dict.fromkeys((0, *varying.get(name, ())), torch.export.Dim.DYNAMIC) for name in named_inputs(example)}
    try:
        with _quiet():
            torch.onnx.export(
                network,
                arguments,
                path,
                kwargs=keywords,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(named_inputs(example)),
                dynamic_shapes=any_number if keywords else tuple(any_number.values()),
            )
    except Exception as error:  # the exporter passes on whatever the network's code raises under tracing
        raise InputError(
            f"runtime=onnxruntime: PyTorch cannot export this network ({first_line(error)}); choose runtime=torch",
            "unsupported",
            "runtime",
            "onnxruntime",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes to itself. Errors are exceptions and pass through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
