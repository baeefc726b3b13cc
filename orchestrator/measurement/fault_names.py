"""What an exception's message says of its cause (pure)."""

from __future__ import annotations

import re

from orchestrator.vocabulary import FaultName

OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory", re.IGNORECASE)
PLACE = re.compile(r" \([^()]*, line \d+, in [^()]*\)$")
"""Where it was raised: the name of a file says nothing of the cause."""
GPU = re.compile(r"\bCUDA\b|cuDNN|cuBLAS|NCCL|device-side assert", re.IGNORECASE)


def fault_of(message: str, otherwise: FaultName) -> FaultName:
    """Return the fault that a message tells of: memory, the GPU, or ``otherwise``."""
    said = PLACE.sub("", message)
    if OUT_OF_MEMORY.search(said):
        return "out of memory"
    return "gpu error" if GPU.search(said) else otherwise
