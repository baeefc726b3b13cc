"""What executes a network: one session per runtime, found by the runtime's name.

A network is a ``torch.nn.Module`` whose forward returns one tensor or a tuple of tensors. A further runtime is one more file
and one more line in ``SESSIONS``. TensorFlow executes no such networks: its models open a ``TensorFlowSession`` themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any, Protocol, TypeAlias

import numpy as np

from orchestrator.contracts import InputError, LoadContext

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Inputs: TypeAlias = Array | tuple[Array, ...] | Mapping[str, Array]
"""What forward takes: its one argument, its positional arguments, or its keyword arguments. Axis 0 counts the samples."""

SESSIONS = {
    "torch": "tasks.runtimes.torch_eager:TorchSession",
    "torch_compile": "tasks.runtimes.torch_compile:open_compiled",
    "torchscript": "tasks.runtimes.torchscript:open_traced",
    "onnxruntime": "tasks.runtimes.onnx_runtime:OnnxSession",
}


class Session(Protocol):
    """A network in memory on its device."""

    facts: Mapping[str, Any]
    """What was read back after opening, as plain JSON values; see ``LoadedModel.facts``."""

    def upload(self, inputs: Inputs) -> Any:
        """Return the inputs as the runtime wants them, on the device. Floating-point values take the session's dtype."""

    def infer(self, inputs: Any) -> Any:
        """Run the network once on uploaded inputs."""

    def download(self, outputs: Any) -> Any:
        """Return the outputs on the host: an array, or a tuple of arrays. Floating-point values become float32."""


def open_session(context: LoadContext, network: Any, example: Inputs) -> Session:
    """Open the session of ``context.runtime``.

    Parameters
    ----------
    network
        a ``torch.nn.Module`` with its weights, on the CPU in float32. The session may move or change it.
    example
        inputs of a typical size, in float32 or integers, for export and for comparison with eager execution.

    Raises
    ------
    InputError
        for a runtime that is not in ``SESSIONS``, or what the runtime cannot do (dtype, device, network).
    """
    target = SESSIONS.get(context.runtime)
    if target is None:
        raise InputError(
            f"runtime={context.runtime} cannot execute torch networks; choose one of: {', '.join(SESSIONS)}",
            "unsupported",
            "runtime",
            context.runtime,
        )
    session: Session = resolve_name(target)(context, network.eval(), example)
    return session


def map_arrays(function: Any, inputs: Inputs) -> Any:
    """Apply a function to each array and keep the structure."""
    if isinstance(inputs, Mapping):
        return {name: function(array) for name, array in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(function(array) for array in inputs)
    return function(inputs)


def forward_of(network: Any, example: Inputs) -> Callable[[Any], Any]:
    """Return a call of the network that takes inputs of the structure of ``example``."""
    if isinstance(example, Mapping):
        return lambda inputs: network(**inputs)
    if isinstance(example, tuple):
        return lambda inputs: network(*inputs)
    call: Callable[[Any], Any] = network
    return call
