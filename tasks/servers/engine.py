"""What the servers of this folder serve: the model of the trial that started them, in the runtime ``onnxruntime`` or another of its own.

A campaign tells each server that it starts which model and task its trial has, in the environment variable ``TAIL_QUALITY_SERVED``. So a
server computes with the same weights, the same graph and the same settings as ``runtime=onnxruntime`` does in the timed process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext, LoadedModel
from tasks.runtimes import session
from tasks.runtimes.onnx_export import named_inputs
from tasks.runtimes.session import Array, Inputs, Session

VARIABLE = "TAIL_QUALITY_SERVED"
KEPT = "kept"
"""The runtime under which a server opens its model's session, to keep hold of it."""


@dataclass(frozen=True)
class Served:
    """The trial that a server works for.

    model, task
        ``target`` and ``options`` of each.
    context
        how the model is to be loaded: ``runtime``, ``dtype``, ``threads`` and so on.
    """

    model: Mapping[str, Any]
    task: Mapping[str, Any]
    context: LoadContext

    @classmethod
    def of_environment(cls, runtime: str = "onnxruntime", batch: int = 1) -> Served:
        """Return the trial that the environment tells of. Raises InputError where it tells of none."""
        text = os.environ.get(VARIABLE)
        if text is None:
            raise InputError(f"{VARIABLE} is not set: this server is started by a campaign, which tells it so what to serve")
        told = json.loads(text)
        sys.path.extend(folder for folder in told["path"] if folder not in sys.path)
        context = LoadContext(
            runtime=runtime, dtype=told["dtype"], deterministic=told["deterministic"], autotune=False, device="cpu",
            threads=told["threads"], batch=batch, cache_dir=Path(told["cache_dir"]),
        )  # fmt: skip
        return cls(told["model"], told["task"], context)

    def load(self, context: LoadContext | None = None) -> LoadedModel:
        """Return the model, loaded."""
        loaded: LoadedModel = resolve_name(self.model["target"])(**self.model["options"]).load(context or self.context)
        return loaded


class Answering:
    """From encoded samples to answers: all of a model, as the timed process would run it."""

    def __init__(self, served: Served) -> None:
        self._task = resolve_name(served.task["target"])(**served.task["options"])
        self._model = served.load()

    def answers(self, encoded: Sequence[bytes]) -> list[Any]:
        """Return one answer for each sample, as plain values."""
        model = self._model
        return model.postprocess(model.infer(model.preprocess([self._task.decode(sample) for sample in encoded])))


@dataclass(frozen=True)
class Tensor:
    """Name, NumPy type and shape of an input or output of one sample; a length of -1 varies."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Computing:
    """From tensors to tensors: a model's network alone. ``inputs`` and ``outputs`` are as its session has them."""

    def __init__(self, served: Served) -> None:
        kept: list[tuple[Session, Inputs]] = []
        runtime = served.context.runtime

        def keep(context: LoadContext, network: Any, example: Inputs) -> Session:
            opened = session.open_session(_with_runtime(context, runtime), network, example)
            kept.append((opened, example))
            return opened

        _Keeping.open = keep
        session.SESSIONS[KEPT] = f"{__name__}:open_kept"
        self._model = served.load(_with_runtime(served.context, KEPT))
        if not kept:
            raise InputError(f"{served.model['target']} opens no session, so that its network cannot be served by itself")
        self._session, example = kept[-1]
        found = named_inputs(example)
        self._one = not isinstance(example, Mapping | tuple)
        self._positions = isinstance(example, tuple)
        self.inputs = tuple(Tensor(name, array.dtype, _varying(array.shape[1:])) for name, array in found.items())
        outputs = self.compute(found)
        self.outputs = tuple(Tensor(name, array.dtype, _varying(array.shape[1:])) for name, array in outputs.items())

    def compute(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs, ``output_0`` and so on, for inputs by their names; axis 0 of each counts the samples."""
        ordered = [arrays[tensor.name] for tensor in self.inputs]
        given: Inputs = ordered[0] if self._one else tuple(ordered) if self._positions else dict(arrays)
        found = self._session.download(self._session.infer(self._session.upload(given)))
        several = found if isinstance(found, tuple | list) else (found,)
        return {f"output_{number}": np.ascontiguousarray(array) for number, array in enumerate(several)}


class _Keeping:
    """What opens the next session that is to be kept: a table of runtimes holds names, and no functions."""

    open: Any = None


def open_kept(context: LoadContext, network: Any, example: Inputs) -> Session:
    """Open a session and have the server keep it."""
    opened: Session = _Keeping.open(context, network, example)
    return opened


def _with_runtime(context: LoadContext, runtime: str) -> LoadContext:
    return LoadContext(**{**context.__dict__, "runtime": runtime})


def _varying(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape as servers want it declared: any length may vary, since texts are of any length."""
    return tuple(-1 for _ in shape)
