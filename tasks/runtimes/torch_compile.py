"""The runtime ``torch_compile``: PyTorch's compiler, which writes C++ for a CPU and Triton for a GPU."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from typing import Any

from orchestrator.contracts import InputError, LoadContext, first_line
from tasks.runtimes.session import Inputs, forward_of
from tasks.runtimes.torch_eager import TorchSession
from tasks.runtimes.torchscript import without_deprecation

INSTEAD = "or choose runtime=torch"


def open_compiled(context: LoadContext, network: Any, example: Inputs) -> TorchSession:
    """Return a session of the compiled network, compiled already for inputs of the example's size.

    Another size, such as a last batch that is smaller, is compiled when it first comes: in the warm-up. Raises InputError where
    there is no compiler, or it cannot compile the network.
    """
    check_compiler(context.device)

    def compiled(network: Any, inputs: Any) -> tuple[Any, dict[str, Any]]:
        facts = _set_compiler(context)
        return _compiled(network, inputs, example, facts)

    # PyTorch's compiler uses its own deprecated parts.
    with without_deprecation():
        return TorchSession(context, network, example, transform=compiled)


def check_compiler(device: str) -> None:
    """Raise InputError where the compiler that PyTorch calls for this device is missing. Imports no framework."""
    if device == "cpu":
        program = _compiler()
        if shutil.which(program) is None:
            raise InputError(
                f"runtime=torch_compile needs a C++ compiler, and there is no {program}: install g++, name another one with CXX=PROGRAM, "
                f"{INSTEAD}",
                "not_installed",
                "runtime",
                "torch_compile",
            )
    elif find_spec("triton") is None:
        raise InputError(
            f"runtime=torch_compile needs the package triton on a GPU: run `pip install triton`, {INSTEAD}",
            "not_installed",
            "runtime",
            "torch_compile",
        )


def _compiler() -> str:
    """Return the C++ compiler's name, by the variable that build tools share."""
    return os.environ.get("CXX", "g++")


def _set_compiler(context: LoadContext) -> dict[str, Any]:
    """Set what decides the code that is written, and return what reads back."""
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(context.cache_dir / "inductor")
    torch.use_deterministic_algorithms(context.deterministic)
    # PyTorch has no public names for these settings and counters: its own documentation sets and reads them here.
    from torch._dynamo import config as capture
    from torch._functorch import config as autograd
    from torch._inductor import config as compiler

    # One compiler process at a time, and none that lives on beside the timed rounds.
    compiler.compile_threads = 1
    compiler.cpp.cxx = (None, _compiler())
    compiler.cpp.threads = context.threads
    compiler.max_autotune = context.autotune
    # Graphs would be cached as pickles. Compiled C++ is cached under its source's digest all the same.
    compiler.fx_graph_cache = False
    autograd.enable_autograd_cache = False
    # Rather an error than eager execution under the name of compiled code.
    capture.fail_on_recompile_limit_hit = True
    return {"compiler": compiler.cpp.cxx[1], "max_autotune": compiler.max_autotune, "compiled_threads": compiler.cpp.threads}


def _compiled(network: Any, inputs: Any, example: Inputs, facts: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the compiled network after its first call, and what that call took."""
    import torch
    from torch._dynamo.utils import counters

    breaks = sum(counters["graph_break"].values())
    graphs = counters["stats"]["unique_graphs"]
    called = torch.compile(network)
    started = time.perf_counter_ns()
    try:
        with torch.inference_mode():
            forward_of(called, example)(inputs)
    except Exception as error:  # the compiler passes on whatever its parts and the network's code raise
        raise InputError(
            f"runtime=torch_compile: PyTorch cannot compile this network ({first_line(error)}); choose runtime=torch",
            "unsupported",
            "runtime",
            "torch_compile",
        ) from error
    return called, {
        **facts,
        "compile_ns": time.perf_counter_ns() - started,
        "graphs": counters["stats"]["unique_graphs"] - graphs,
        "graph_breaks": sum(counters["graph_break"].values()) - breaks,
    }
