"""NVIDIA Triton by its package nvidia-pytriton: the Open Inference Protocol v2, JSON and binary tensors, of a model named ``served``."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

from tasks.runtimes.session import Array
from tasks.servers.engine import LOOPBACK, NAME, Computing, read_arguments


def main() -> None:
    """Serve until the process is ended."""
    given = read_arguments(__doc__, batch_wait_ms=0.0)
    # Its backend for Python loads the interpreter's own library.
    places = [str(sysconfig.get_config_var("LIBDIR") or ""), os.environ.get("LD_LIBRARY_PATH", "")]
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, places))
    from pytriton.decorators import batch
    from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    computing = Computing(given)

    @batch
    def infer(**arrays: Array) -> dict[str, Array]:
        return computing.compute(arrays)

    def tensors(found: Any) -> list[Any]:
        return [Tensor(name=tensor.name, dtype=tensor.dtype.type, shape=(-1,) * tensor.axes) for tensor in found]

    config = TritonConfig(
        http_address=LOOPBACK, http_port=given.port, allow_grpc=False, allow_metrics=False, log_verbose=0, exit_timeout_secs=5
    )  # fmt: skip
    with Triton(config=config) as triton:
        triton.bind(
            model_name=NAME,
            infer_func=infer,
            inputs=tensors(computing.inputs),
            outputs=tensors(computing.outputs),
            config=ModelConfig(
                max_batch_size=given.context.batch,
                batcher=DynamicBatcher(max_queue_delay_microseconds=round(1000 * given.more["batch_wait_ms"])),
            ),
            strict=True,
        )
        triton.serve()


if __name__ == "__main__":
    main()
