"""PyTorch's switches for the whole process, set explicitly and read back."""

from __future__ import annotations

import os
from typing import Any

from orchestrator.contracts import InputError, LoadContext

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def check_gpu(context: LoadContext) -> None:
    """Raise InputError where the trial is to run on a GPU and PyTorch finds none."""
    import torch

    if context.device != "cpu" and not torch.cuda.is_available():
        raise InputError(
            f"system.device={context.device}: PyTorch {torch.__version__} finds no GPU here; install a build for this "
            "machine's driver or choose a system with device cpu",
            "unsupported",
            "system.device",
            context.device,
        )


def apply_settings(context: LoadContext) -> dict[str, Any]:
    """Set threads, determinism and autotuning as the trial says and return what PyTorch answers afterwards."""
    import torch

    torch.set_num_threads(context.threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    if context.deterministic:
        # cuBLAS reads it when CUDA starts and is not deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same switch as use_deterministic_algorithms, which imports the compiler, too: 1.7 s that eager execution does without.
    torch.set_deterministic_debug_mode("error" if context.deterministic else "default")
    torch.backends.cudnn.deterministic = context.deterministic
    torch.backends.cudnn.benchmark = context.autotune
    return {
        "threads": {"intra_op": torch.get_num_threads()},
        "inter_op_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "autotune": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
