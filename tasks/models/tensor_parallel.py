"""One network on several GPUs of one process: each has a share of every layer's attention heads and feed-forward rows (tensor parallel).

The layers are divided as in Shoeybi et al., "Megatron-LM" (arXiv 1909.08053), section 3: what comes first by its outputs, what follows by
its inputs, so that one sum ends each half of a layer. The first GPU has all that is not divided (embeddings, norms, the last projection),
hands its activations to the others and sums what comes back. One thread launches the kernels of one GPU after another, and they overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from orchestrator.contracts import InputError

DIVIDED = {"self_attn": (("q_proj", "k_proj", "v_proj"), "o_proj"), "mlp": (("gate_proj", "up_proj"), "down_proj")}
"""Per half of a layer: its projections that are divided by outputs, and the one that is divided by inputs."""
COUNTS = ("num_attention_heads", "num_key_value_heads", "intermediate_size")
"""What each GPU must have a whole share of."""


def divide(network: Any, devices: Sequence[str]) -> None:
    """Divide the layers of a decoder by transformers (Llama, Vicuna and others of its form) among devices, in place.

    Parameters
    ----------
    network
        its weights are on the CPU, in the dtype that they are to have. What is divided is on the devices afterwards, and stays there
        whatever ``to`` is called for the whole; the caller moves the rest to the first device. Its cache of keys must not be used.
    devices
        PyTorch's names.

    Raises
    ------
    InputError
        for a network of another form, or one that so many devices cannot have whole shares of.
    """
    config, kind = network.config, type(network).__name__
    layers = [layer for layer in network.modules() if all(hasattr(layer, half) for half in DIVIDED)]
    if not layers or not all(_has_projections(layer) for layer in layers):
        raise InputError(
            f"system.device: {kind} is not of a form that several GPUs can share here; choose one GPU", "unsupported", "system.device"
        )
    for name in COUNTS:
        if getattr(config, name) % len(devices):
            raise InputError(
                f"system.device: {len(devices)} GPUs cannot share {name}={getattr(config, name)} of {kind}; choose a divisor of it",
                "unsupported",
                "system.device",
            )
    for layer in layers:
        for half, (first, last) in DIVIDED.items():
            setattr(layer, half, _divided(getattr(layer, half), first, last, devices))


def _has_projections(layer: Any) -> bool:
    return all(hasattr(getattr(layer, half), name) for half, (first, last) in DIVIDED.items() for name in (*first, last))


def _divided(module: Any, first: Sequence[str], last: str, devices: Sequence[str]) -> Any:
    """Return a module that computes what ``module`` does, one part on each device."""
    from torch import nn

    class Divided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(_part(module, first, last, number, devices) for number in range(len(devices)))

        def forward(self, *arguments: Any, **named: Any) -> Any:
            outputs = [part(*_on(arguments, device), **_on(named, device)) for part, device in zip(self.parts, devices, strict=True)]
            if not isinstance(outputs[0], tuple):
                return _sum(outputs, devices[0])
            return _sum([output[0] for output in outputs], devices[0]), *outputs[0][1:]

        def _apply(self, fn: Any, recurse: bool = True) -> Any:
            """Leave the parts where they are: ``to`` of the whole network, which has no public hook, is meant for what is not divided."""
            return self

    return Divided()


def _part(module: Any, first: Sequence[str], last: str, number: int, devices: Sequence[str]) -> Any:
    """Return the share number ``number`` of a module on its device. The module keeps its weights."""
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    part = deepcopy(module, shared)
    for name in first:
        setattr(part, name, _share(getattr(module, name), number, len(devices), by_outputs=True))
    setattr(part, last, _share(getattr(module, last), number, len(devices), by_outputs=False))
    return part.to(devices[number])


def _share(linear: Any, number: int, count: int, by_outputs: bool) -> Any:
    """Return a share of a linear layer. Where inputs are divided, the first share alone adds the bias, so that the sum has it once."""
    import torch
    from torch import nn

    weight = linear.weight.detach().chunk(count, dim=0 if by_outputs else 1)[number]
    bias = linear.bias
    if bias is not None:
        bias = bias.detach().chunk(count)[number] if by_outputs else bias.detach() if number == 0 else None
    share = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    share.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format), requires_grad=False)
    if bias is not None:
        share.bias = nn.Parameter(bias.clone(), requires_grad=False)
    return share


def _on(values: Any, device: str) -> Any:
    """Return arguments with their tensors on a device."""
    import torch

    if isinstance(values, torch.Tensor):
        return values.to(device, non_blocking=True)
    if isinstance(values, tuple):
        return tuple(_on(value, device) for value in values)
    if isinstance(values, Mapping):
        return {name: _on(value, device) for name, value in values.items()}
    return values


def _sum(parts: Sequence[Any], device: str) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part.to(device, non_blocking=True)
    return total
