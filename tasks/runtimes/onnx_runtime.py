"""The runtime ``onnxruntime``: the network as an ONNX graph, exported by PyTorch and kept in the cache folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.contracts import InputError, LoadContext
from tasks.packages import VISION, Need, require_modules
from tasks.runtimes.comparison import eager_cases, largest_difference
from tasks.runtimes.onnx_export import exported_graph, named_inputs
from tasks.runtimes.session import Array, Inputs, map_arrays
from tasks.runtimes.torch_settings import apply_settings

LOG_ERRORS = 3
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
NEEDS = (
    Need("runtime onnxruntime", "onnxruntime", "execution", VISION),
    Need("runtime onnxruntime", "onnx", "export", VISION),
    Need("runtime onnxruntime", "onnxscript", "export", VISION),
)
ALLOW_SPINNING = "session.intra_op.allow_spinning"
DTYPES = {"tensor(float)": "fp32", "tensor(float16)": "fp16"}
"""What the graph's inputs and outputs are in. onnxruntime has next to no operators in bf16."""


class OnnxSession:
    """An ONNX graph on a device. Inputs and outputs are bound there, so that ``infer`` copies nothing."""

    def __init__(self, context: LoadContext, network: Any, example: Inputs) -> None:
        require_modules(("onnx", "onnxscript", "onnxruntime"), "runtime=onnxruntime")
        import onnxruntime

        check_settings(context)
        onnxruntime.set_default_logger_severity(LOG_ERRORS)
        self._device, _, number = context.device.partition(":")
        self._device_id = int(number or 0)
        provider = provider_of(context.device, onnxruntime.get_available_providers())
        # Export and comparison run PyTorch in this process, within the trial's threads.
        apply_settings(context)
        cases = eager_cases(network, example, smaller=True)
        self._half = context.dtype == "fp16"
        graph, cached = exported_graph(network.half() if self._half else network, self._typed(example), context.cache_dir)
        self._ort = onnxruntime
        self._session = onnxruntime.InferenceSession(
            graph,
            session_options(context, onnxruntime),
            providers=[(provider, provider_options(context, self._device_id))],
        )
        if self._session.get_providers()[0] != provider:
            raise InputError(
                f"system.device={context.device}: onnxruntime could not start {provider} and fell back to "
                f"{self._session.get_providers()[0]}; check that its CUDA and cuDNN libraries are the ones it was built for",
                "unsupported",
                "system.device",
                context.device,
            )
        self._output_names = [output.name for output in self._session.get_outputs()]
        self.facts: Mapping[str, Any] = {
            **read_back(self._session, provider),
            "graph": graph.parent.name,
            "graph_from_cache": cached,
            **largest_difference(self, cases, context),
        }

    def upload(self, inputs: Inputs) -> Any:
        """Bind the inputs, copied to the device, and leave room for the outputs to the runtime."""
        return bound(self._ort, self._session, (self._device, self._device_id), named_inputs(self._typed(inputs)), self._output_names)

    def infer(self, inputs: Any) -> Any:
        """Run the graph; the binding holds the outputs afterwards."""
        self._session.run_with_iobinding(inputs)
        return inputs

    def download(self, outputs: Any) -> Any:
        """Copy the bound outputs to the host."""
        arrays: list[Array] = [array.astype(np.float32) if array.dtype == np.float16 else array for array in outputs.copy_outputs_to_cpu()]
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    def _typed(self, inputs: Inputs) -> Inputs:
        """Return the inputs with floating-point values in the graph's type."""
        if not self._half:
            return inputs
        typed: Inputs = map_arrays(lambda array: array.astype(np.float16) if array.dtype.kind == "f" else array, inputs)
        return typed


def bound(ort: Any, session: Any, place: tuple[str, int], inputs: Mapping[str, Array], outputs: Sequence[str]) -> Any:
    """Return a binding of inputs, copied to a device (its kind and number), with room for the outputs left to the runtime."""
    binding = session.io_binding()
    # On a CPU the values read the arrays' own memory, and not every release's binding keeps them.
    binding.held = {name: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), *place) for name, array in inputs.items()}
    for name, value in binding.held.items():
        binding.bind_ortvalue_input(name, value)
    for name in outputs:
        binding.bind_output(name, *place)
    return binding


def check_settings(context: LoadContext) -> None:
    """Raise InputError for settings that onnxruntime has nothing for."""
    if context.dtype not in DTYPES.values():
        raise InputError(
            f"runtime.dtype={context.dtype}: runtime=onnxruntime computes in fp32 and fp16; set runtime.dtype=fp32 or take runtime=torch",
            "unsupported",
            "runtime.dtype",
            context.dtype,
        )
    if context.autotune and context.device == "cpu":
        raise InputError(
            "runtime.autotune=true: runtime=onnxruntime has nothing to tune on a CPU; set runtime.autotune=false",
            "unsupported",
            "runtime.autotune",
            True,
        )


def provider_of(device: str, available: list[str]) -> str:
    """Return the provider that computes on a device. Raises InputError where this build lacks it."""
    provider = PROVIDERS[device.partition(":")[0]]
    if provider not in available:
        raise InputError(
            f"system.device={device} needs onnxruntime's {provider}; this build offers: {', '.join(available)}",
            "unsupported",
            "system.device",
            device,
        )
    return provider


def session_options(context: LoadContext, onnxruntime: Any) -> Any:
    """Return how a session of a trial is set."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = context.threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = context.deterministic
    options.log_severity_level = LOG_ERRORS
    # onnxruntime's own default, set here so that it can be read back.
    options.add_session_config_entry(ALLOW_SPINNING, "1")
    return options


def provider_options(context: LoadContext, device_id: int) -> dict[str, str]:
    """Return how the provider of a device is set."""
    if context.device == "cpu":
        return {}
    return {"device_id": str(device_id), "cudnn_conv_algo_search": "EXHAUSTIVE" if context.autotune else "HEURISTIC"}


def read_back(session: Any, provider: str) -> dict[str, Any]:
    """Return what a session says of its own settings."""
    options = session.get_session_options()
    return {
        "threads": {"intra_op": options.intra_op_num_threads},
        "inter_op_threads": options.inter_op_num_threads,
        "allow_spinning": options.get_session_config_entry(ALLOW_SPINNING) == "1",
        "deterministic": options.use_deterministic_compute,
        "graph_optimization": str(options.graph_optimization_level).rsplit(".", maxsplit=1)[-1],
        "provider": provider,
        "provider_options": session.get_provider_options()[provider],
        "autotune": session.get_provider_options()[provider].get("cudnn_conv_algo_search") == "EXHAUSTIVE",
        "dtype": sorted({DTYPES.get(value.type, value.type) for value in (*session.get_inputs(), *session.get_outputs())}),
    }
