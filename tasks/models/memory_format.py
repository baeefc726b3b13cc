"""The order in which a network keeps the values of pictures in memory: a matter of speed, never of answers."""

from __future__ import annotations

from typing import Any

from orchestrator.contracts import InputError

MEMORY_FORMATS = ("contiguous", "channels_last")


def check_memory_format(memory_format: str) -> None:
    """Raise InputError for a name that is none."""
    if memory_format not in MEMORY_FORMATS:
        raise InputError(
            f"model.memory_format={memory_format} must be one of: {', '.join(MEMORY_FORMATS)}",
            "unknown",
            "model.memory_format",
            memory_format,
        )


def arranged(network: Any, memory_format: str) -> Any:
    """Return the network with its weights in that order, which its convolutions follow from the first one on."""
    import torch

    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    return network.to(memory_format=formats[memory_format])
