"""TensorFlow's switches for the whole process, set explicitly and read back."""

from __future__ import annotations

import os
from typing import Any

from orchestrator.contracts import InputError, LoadContext
from tasks.packages import TENSORFLOW, Need, installed_version, require_modules

DISTRIBUTION = next(filter(installed_version, ("tensorflow", "tensorflow-cpu")), "tensorflow")
"""Which of the two is there: both are the package tensorflow."""
NEEDS = (Need("runtime tensorflow", DISTRIBUTION, "execution", TENSORFLOW),)


def require_tensorflow() -> None:
    """Raise InputError where TensorFlow is not installed. Does not import it."""
    require_modules(("tensorflow",), "runtime=tensorflow", TENSORFLOW)


def apply_settings(context: LoadContext) -> dict[str, Any]:
    """Set threads, device, determinism and autotuning as the trial says and return what TensorFlow answers afterwards.

    Raises
    ------
    InputError
        where TensorFlow runs in this process already with other threads, or finds no such device.
    """
    set_environment(context)
    import tensorflow
    from tensorflow.python.framework import config

    threads = tensorflow.config.threading
    try:
        threads.set_intra_op_parallelism_threads(context.threads)
        threads.set_inter_op_parallelism_threads(1)
        gpus = _choose_device(context.device, tensorflow)
    except RuntimeError as error:
        raise InputError(
            f"system.threads={context.threads}: TensorFlow runs in this process already, with "
            f"{threads.get_intra_op_parallelism_threads()} threads; use cluster=local, where every trial has its own process",
            "conflict",
            "system.threads",
            context.threads,
        ) from error
    # Public names can turn it on only.
    (config.enable_op_determinism if context.deterministic else config.disable_op_determinism)()
    tensorflow.config.optimizer.set_jit(False)
    tensorflow.keras.config.set_floatx("float32")
    return {
        "threads": {"intra_op": threads.get_intra_op_parallelism_threads()},
        "inter_op_threads": threads.get_inter_op_parallelism_threads(),
        "deterministic": config.is_op_determinism_enabled(),
        "autotune": os.environ["TF_CUDNN_USE_AUTOTUNE"] == "1",
        "xla": tensorflow.config.optimizer.get_jit() or "off",
        "xla_flags": os.environ.get("TF_XLA_FLAGS", ""),
        "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1",
        "tensor_float_32": tensorflow.config.experimental.tensor_float_32_execution_enabled(),
        "gpus": gpus,
    }


def set_environment(context: LoadContext) -> None:
    """Set what TensorFlow and Keras read while they are imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ["TF_CUDNN_USE_AUTOTUNE"] = "1" if context.autotune else "0"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Keras writes its defaults into this folder and would take the user's own from ~/.keras.
    os.environ["KERAS_HOME"] = str(context.cache_dir / "keras")


def _choose_device(device: str, tensorflow: Any) -> list[str]:
    """Leave TensorFlow the trial's device alone, and return the names of the GPUs it has."""
    if device == "cpu":
        tensorflow.config.set_visible_devices([], "GPU")
        return []
    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        raise InputError(
            f"system.device={device}: TensorFlow {tensorflow.__version__} finds no GPU here; install a build for GPUs with "
            "`pip install 'tensorflow[and-cuda]'` or choose a system with device cpu",
            "unsupported",
            "system.device",
            device,
        )
    # By default it takes all memory of the GPU, and PyTorch, which reads the device back, is there too.
    tensorflow.config.experimental.set_memory_growth(gpus[0], True)
    return [gpu.name for gpu in gpus]
