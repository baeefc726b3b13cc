"""What the servers of this folder serve: a model of ``tasks.models`` or of the user's own, in a runtime such as ``onnxruntime``.

Weights, graph and settings are those that the same model has in a timed process under that runtime, so that what a server adds can be told.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.runtimes import session
from tasks.runtimes.onnx_export import named_inputs
from tasks.runtimes.session import Array, Inputs, Session

NAME = "served"
"""What servers that know several models know this one by."""
LOOPBACK = "127.0.0.1"
"""No server of this folder listens to other machines."""
KEPT = "kept"
"""The runtime under which a server opens its model's session, to keep hold of it."""


@dataclass(frozen=True)
class Given:
    """What a server was told on its command line. ``more`` holds its own numbers by name."""

    port: int
    target: str
    options: Mapping[str, Any]
    context: LoadContext
    more: Mapping[str, float]

    def load(self, context: LoadContext | None = None) -> LoadedModel:
        """Return the model, loaded."""
        loaded: LoadedModel = resolve_name(self.target)(**self.options).load(context or self.context)
        return loaded


def read_arguments(about: str | None, words: Sequence[str] | None = None, **numbers: float) -> Given:
    """Read a server's command line. ``numbers`` are options of its own with their defaults, whose types they have."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True, help="MODULE:CLASS of the model, as in its YAML")
    parser.add_argument("--options", type=json.loads, default={}, help="the class's keyword arguments, in JSON")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, required=True, help="folder for exported graphs")
    for name, default in {"batch": 1, **numbers}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    found = vars(parser.parse_args(words))
    context = LoadContext(
        runtime=found.pop("runtime"), dtype=found.pop("dtype"), deterministic=False, autotune=False, device="cpu",
        threads=found.pop("threads"), batch=found["batch"], cache_dir=found.pop("cache"),
    )  # fmt: skip
    return Given(found.pop("port"), found.pop("target"), found.pop("options"), context, found)


class Answering:
    """From decoded samples, such as texts, to answers: all of a model, as a timed process would run it."""

    def __init__(self, given: Given) -> None:
        self._model = given.load()

    def answers(self, samples: Sequence[Any]) -> list[Any]:
        """Return one answer for each sample, as plain values."""
        model = self._model
        return model.postprocess(model.infer(model.preprocess(samples)))


@dataclass(frozen=True)
class Tensor:
    """Name, NumPy type and number of axes of an input or output, that of the samples not counted."""

    name: str
    dtype: np.dtype[Any]
    axes: int


class Computing:
    """From tensors to tensors: a model's network alone. ``inputs`` and ``outputs`` are as its session has them."""

    def __init__(self, given: Given) -> None:
        kept: list[tuple[Session, Inputs]] = []
        runtime = given.context.runtime

        def keep(context: LoadContext, network: Any, example: Inputs) -> Session:
            opened = session.open_session(replace(context, runtime=runtime), network, example)
            kept.append((opened, example))
            return opened

        _Keeping.open = keep
        session.SESSIONS[KEPT] = f"{__name__}:open_kept"
        given.load(replace(given.context, runtime=KEPT))
        if not kept:
            raise InputError(f"--target {given.target} opens no session of a network, so that there are no tensors to serve", "unsupported")
        self._session, example = kept[-1]
        self._named, self._several = isinstance(example, Mapping), isinstance(example, tuple)
        found = named_inputs(example)
        self.inputs = tuple(Tensor(name, array.dtype, array.ndim - 1) for name, array in found.items())
        self.outputs = tuple(Tensor(name, array.dtype, array.ndim - 1) for name, array in self.compute(found).items())

    def compute(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs, ``output_0`` and so on, for inputs by their names; axis 0 of each counts the samples."""
        missing = [tensor.name for tensor in self.inputs if tensor.name not in arrays]
        if missing:
            raise InputError(
                f"input {missing[0]} is missing; there must be {', '.join(tensor.name for tensor in self.inputs)}",
                "missing",
                value=missing[0],
            )
        ordered = {tensor.name: arrays[tensor.name] for tensor in self.inputs}
        first, *_ = positions = tuple(ordered.values())
        given: Inputs = ordered if self._named else positions if self._several else first
        found = self._session.download(self._session.infer(self._session.upload(given)))
        outputs = found if isinstance(found, tuple | list) else (found,)
        return {f"output_{number}": np.ascontiguousarray(array) for number, array in enumerate(outputs)}


class _Keeping:
    """What opens the session that is to be kept: a table of runtimes holds names, and no functions."""

    open: Any = None


def open_kept(context: LoadContext, network: Any, example: Inputs) -> Session:
    """Open a session and have the server keep it."""
    opened: Session = _Keeping.open(context, network, example)
    return opened
