"""The runtime ``torch``: PyTorch, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.contracts import InputError, LoadContext
from tasks.packages import FRAMEWORK, Need
from tasks.runtimes.session import Array, Inputs, map_arrays
from tasks.runtimes.torch_settings import DTYPES, apply_settings

NEEDS = (Need("runtime torch", "torch", "execution", FRAMEWORK),)


class TorchSession:
    """A network on a device, in one dtype, run in inference mode."""

    def __init__(self, context: LoadContext, network: Any, example: Inputs) -> None:
        import torch

        if context.device != "cpu" and not torch.cuda.is_available():
            raise InputError(
                f"system.device={context.device}: PyTorch {torch.__version__} finds no GPU here; install a build for this "
                "machine's driver or choose a system with device cpu"
            )
        settings = apply_settings(context)
        self._device = torch.device(context.device)
        self._dtype = getattr(torch, DTYPES[context.dtype])
        network = network.to(device=self._device, dtype=self._dtype)
        self._call = forward_of(network, example)
        self._inference_mode = torch.inference_mode
        places = {f"{weight.device} {weight.dtype}" for weight in network.parameters()}
        self.facts: Mapping[str, Any] = {**settings, "weights": sorted(places)}

    def upload(self, inputs: Inputs) -> Any:
        """Return tensors on the device."""
        return map_arrays(self._tensor, inputs)

    def infer(self, inputs: Any) -> Any:
        """Call the network."""
        with self._inference_mode():
            return self._call(inputs)

    def download(self, outputs: Any) -> Any:
        """Copy the outputs to the host."""
        return tuple(_array(tensor) for tensor in outputs) if isinstance(outputs, tuple | list) else _array(outputs)

    def _tensor(self, array: Array) -> Any:
        import torch

        tensor = torch.from_numpy(array)
        return tensor.to(device=self._device, dtype=self._dtype if tensor.is_floating_point() else None)


def forward_of(network: Any, example: Inputs) -> Callable[[Any], Any]:
    """Return a call of the network that takes inputs of the structure of ``example``."""
    if isinstance(example, Mapping):
        return lambda inputs: network(**inputs)
    if isinstance(example, tuple):
        return lambda inputs: network(*inputs)
    call: Callable[[Any], Any] = network
    return call


def _array(tensor: Any) -> Array:
    """Copy a tensor to the host. bfloat16 has no counterpart in numpy, so all floating-point values become float32."""
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return array
