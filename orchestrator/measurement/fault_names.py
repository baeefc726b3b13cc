"""What an exception's message says of its cause (pure)."""

from __future__ import annotations

import re

OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory", re.IGNORECASE)
GPU = re.compile(r"\bCUDA\b|cuDNN|cuBLAS|NCCL|device-side assert", re.IGNORECASE)


def fault_of(message: str, otherwise: str) -> str:
    """Return the fault that a message tells of: memory, the GPU, or ``otherwise``."""
    if OUT_OF_MEMORY.search(message):
        return "out of memory"
    return "gpu error" if GPU.search(message) else otherwise
