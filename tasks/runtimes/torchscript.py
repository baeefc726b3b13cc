"""The runtime ``torchscript``: the operations of one run, recorded by ``torch.jit.trace`` and replayed.

PyTorch has deprecated TorchScript. It is here for comparison with results from when it was the way to deploy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.contracts import InputError, LoadContext, first_line
from tasks.runtimes.session import Inputs
from tasks.runtimes.torch_eager import TorchSession

DEPRECATED = r"`torch\.jit\.\w+` is (deprecated|not supported)"


def open_traced(context: LoadContext, network: Any, example: Inputs) -> TorchSession:
    """Return a session that replays the traced network. Raises InputError where PyTorch cannot trace it."""
    with without_deprecation():
        return TorchSession(context, network, example, transform=_traced, compare_smaller=True)


def _traced(network: Any, inputs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the traced network and what the tracer was not sure of."""
    import torch

    jit: Any = torch.jit
    keywords = inputs if isinstance(inputs, Mapping) else None
    positional = None if keywords else inputs if isinstance(inputs, tuple) else (inputs,)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", jit.TracerWarning)
        try:
            with torch.no_grad():
                # Not checked by the tracer: the session compares its answers with eager execution.
                traced = jit.trace(network, positional, example_kwarg_inputs=keywords, check_trace=False)
        except Exception as error:  # the tracer passes on whatever the network's code raises
            raise InputError(
                f"runtime=torchscript: PyTorch cannot trace this network ({first_line(error)}); choose runtime=torch",
                "unsupported",
                "runtime",
                "torchscript",
            ) from error
    doubts = [str(note.message).splitlines()[0] for note in noted if issubclass(note.category, jit.TracerWarning)]
    return traced, {"trace_warnings": sorted(set(doubts))}


@contextmanager
def without_deprecation() -> Iterator[None]:
    """Keep back what PyTorch says of every function of ``torch.jit``, and nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=DEPRECATED, category=DeprecationWarning)
        yield
