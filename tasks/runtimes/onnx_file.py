"""A session for an ONNX file of the user's own, which no PyTorch network stands behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, LoadContext, first_line
from tasks.packages import require_modules
from tasks.runtimes.onnx_runtime import LOG_ERRORS, bound, check_settings, provider_of, provider_options, read_back, session_options
from tasks.runtimes.session import Array


class OnnxFileSession:
    """The graph of a file on a device. It takes one array, and its outputs are downloaded as a list in the graph's order.

    ``input_shape`` has None where the graph leaves a length open.
    """

    def __init__(self, context: LoadContext, path: Path) -> None:
        require_modules(("onnxruntime",), "runtime=onnxruntime")
        import onnxruntime

        if context.runtime != "onnxruntime" or context.dtype != "fp32":
            raise InputError(
                f"model.path={path}: an ONNX file runs as it was saved, not with runtime={context.runtime} "
                f"runtime.dtype={context.dtype}; set runtime=onnxruntime runtime.dtype=fp32",
                "unsupported",
                "runtime",
                context.runtime,
            )
        check_settings(context)
        onnxruntime.set_default_logger_severity(LOG_ERRORS)
        self._device, _, number = context.device.partition(":")
        self._device_id = int(number or 0)
        provider = provider_of(context.device, onnxruntime.get_available_providers())
        options = session_options(context, onnxruntime)
        try:
            session = onnxruntime.InferenceSession(path, options, providers=[(provider, provider_options(context, self._device_id))])
        except Exception as error:  # onnxruntime has a class of its own for each way a file can be broken
            raise InputError(
                f"model.path={path} cannot be read as an ONNX graph ({first_line(error)}); export it again", "damaged", "model.path", path
            ) from error
        if session.get_providers()[0] != provider:
            raise InputError(
                f"system.device={context.device}: onnxruntime fell back to {session.get_providers()[0]}; check its CUDA libraries",
                "unsupported",
                "system.device",
                context.device,
            )
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise InputError(
                f"model.path={path} has {len(inputs)} inputs and must have one, the pictures; choose another file",
                "unsupported",
                "model.path",
                path,
            )
        self._input = inputs[0].name
        self._outputs = [output.name for output in session.get_outputs()]
        self.input_shape: Sequence[int | None] = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
        self._ort = onnxruntime
        self._session = session
        self.facts: Mapping[str, Any] = read_back(session, provider)

    def upload(self, inputs: Any) -> Any:
        """Bind the array, copied to the device, and leave room for the outputs to the runtime."""
        return bound(self._ort, self._session, (self._device, self._device_id), {self._input: inputs}, self._outputs)

    def infer(self, inputs: Any) -> Any:
        """Run the graph; the binding holds the outputs afterwards."""
        self._session.run_with_iobinding(inputs)
        return inputs

    def download(self, outputs: Any) -> list[Array]:
        """Copy the bound outputs to the host."""
        arrays: list[Array] = outputs.copy_outputs_to_cpu()
        return arrays


def onnx_files(path: Path) -> tuple[Path, ...]:
    """Return the files of an ONNX graph: its own, and those beside it that hold its weights.

    Raises
    ------
    InputError
        for a file that is no ONNX graph.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # the parser has a class of its own for each way a file can be broken
        raise InputError(
            f"model.path={path} cannot be read as an ONNX graph ({first_line(error)}); export it again", "damaged", "model.path", path
        ) from error
    places = {entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"}
    return (path, *(path.parent / place for place in sorted(places)))
