"""The runtime ``torch``: PyTorch, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.contracts import LoadContext
from tasks.packages import VISION, Need
from tasks.runtimes.comparison import eager_cases, largest_difference
from tasks.runtimes.session import Array, Inputs, forward_of, map_arrays
from tasks.runtimes.torch_settings import DTYPES, apply_settings, check_gpu

NEEDS = (Need("runtime torch", "torch", "execution", VISION),)


class TorchSession:
    """A network on a device, in one dtype, run in inference mode.

    ``transform`` turns the network, already there, and uploaded inputs into what is called in its place, with facts of its own;
    without it the network is called as it is.
    """

    def __init__(
        self,
        context: LoadContext,
        network: Any,
        example: Inputs,
        transform: Callable[[Any, Any], tuple[Any, dict[str, Any]]] | None = None,
        compare_smaller: bool = False,
    ) -> None:
        import torch

        check_gpu(context)
        settings = apply_settings(context)
        is_the_reference = transform is None and (context.device, context.dtype) == ("cpu", "fp32")
        cases = [] if is_the_reference else eager_cases(network, example, compare_smaller)
        self._device = torch.device(context.device)
        self._dtype = getattr(torch, DTYPES[context.dtype])
        network = network.to(device=self._device, dtype=self._dtype)
        called, facts = (network, {}) if transform is None else transform(network, self.upload(example))
        self._call = forward_of(called, example)
        self._inference_mode = torch.inference_mode
        places = {f"{weight.device} {weight.dtype}" for weight in network.parameters()}
        self.facts: Mapping[str, Any] = {
            **settings,
            "weights": sorted(places),
            "cuda_events": context.device != "cpu",
            **facts,
            **largest_difference(self, cases, context),
        }

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


def _array(tensor: Any) -> Array:
    """Copy a tensor to the host. bfloat16 has no counterpart in numpy, so all floating-point values become float32."""
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return array
