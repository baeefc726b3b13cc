"""The runtime ``tensorflow``: a Keras model or a SavedModel as one TensorFlow function for any number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.contracts import InputError, LoadContext
from tasks.runtimes.session import Array, Inputs, map_arrays

DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class TensorFlowSession:
    """A function of tensors on a device.

    Parameters
    ----------
    call
        takes and returns tensors, in the structure of ``example``; axis 0 counts the samples.
    weights
        its variables, whose dtype must be the trial's.
    example
        inputs of a typical size.
    settings
        what ``apply_settings`` read back, which comes first: before anything else of TensorFlow.
    """

    def __init__(
        self, context: LoadContext, call: Callable[[Any], Any], weights: Iterable[Any], example: Inputs, settings: Mapping[str, Any]
    ) -> None:
        import tensorflow

        self._tensorflow = tensorflow
        self._place = "/CPU:0" if context.device == "cpu" else "/GPU:0"
        self._float = next(name for name, dtype in DTYPES.items() if dtype == context.dtype)
        found = sorted({tensorflow.as_dtype(weight.dtype).name for weight in weights if tensorflow.as_dtype(weight.dtype).is_floating})
        _check_dtype(context.dtype, found)
        # One graph for any number of samples: a smaller last batch is not traced anew.
        signature = map_arrays(lambda array: tensorflow.TensorSpec((None, *array.shape[1:]), self._dtype_of(array)), example)
        with tensorflow.device(self._place):
            # Bound here, so that the inference clock sees the graph's own call.
            self.infer: Callable[[Any], Any] = tensorflow.function(call, autograph=False, jit_compile=False).get_concrete_function(
                signature
            )
        placed = self.infer(self.upload(example))
        self.facts: Mapping[str, Any] = {
            **settings,
            "weights": found,
            "outputs_on": sorted({tensor.device.rpartition("device:")[2] for tensor in tensorflow.nest.flatten(placed)}),
        }

    def upload(self, inputs: Inputs) -> Any:
        """Return tensors on the device."""
        with self._tensorflow.device(self._place):
            return map_arrays(lambda array: self._tensorflow.constant(array, self._dtype_of(array)), inputs)

    def download(self, outputs: Any) -> Any:
        """Copy the outputs to the host."""
        return tuple(map(self._array, outputs)) if isinstance(outputs, tuple | list) else self._array(outputs)

    def _dtype_of(self, array: Array) -> str:
        return self._float if array.dtype.kind == "f" else array.dtype.name

    def _array(self, tensor: Any) -> Array:
        """Copy a tensor to the host; all floating-point values become float32, as in the other runtimes."""
        array: Array = (self._tensorflow.cast(tensor, "float32") if tensor.dtype.is_floating else tensor).numpy()
        return array


def _check_dtype(dtype: str, found: list[str]) -> None:
    """A stored model has the dtype that it was saved with, and a trial must not claim another."""
    others = [name for name in found if DTYPES.get(name) != dtype]
    if others:
        remedy = f"set runtime.dtype={DTYPES[others[0]]}" if others[0] in DTYPES else "save it in float32"
        raise InputError(
            f"runtime.dtype={dtype}: the model's weights are stored in {others[0]}; {remedy}", "unsupported", "runtime.dtype", dtype
        )
