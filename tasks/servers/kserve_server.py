"""KServe's Python server, without Kubernetes: the Open Inference Protocol v2, JSON and binary tensors, of a model named ``served``."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tasks.servers.engine import LOOPBACK, NAME, Computing, read_arguments

DATATYPES = {"float32": "FP32", "float16": "FP16", "float64": "FP64", "int64": "INT64", "int32": "INT32", "uint8": "UINT8", "bool": "BOOL"}


def main() -> None:
    """Serve until the process is ended."""
    given = read_arguments(__doc__)
    sys.argv = sys.argv[:1]  # KServe reads its own arguments from there, when it is imported
    import kserve
    import uvicorn

    logging.getLogger("kserve.trace").setLevel(logging.WARNING)  # two lines per request

    config: Any = uvicorn.Config
    listens = config.__init__

    def on_loopback(self: Any, *words: Any, **options: Any) -> None:
        listens(self, *words, **{**options, "host": LOOPBACK, "access_log": False})

    # KServe would listen to every machine, and has no option for that.
    config.__init__ = on_loopback
    computing = Computing(given)

    class Model(kserve.Model):
        """The trial's network."""

        def __init__(self) -> None:
            super().__init__(NAME)
            self.ready = True

        def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
            """Return the outputs for the inputs of a request, as binary tensors where it asks for them."""
            arrays = computing.compute({tensor.name: tensor.as_numpy() for tensor in payload.inputs})
            binary = bool(payload.use_binary_outputs)
            outputs = []
            for name, array in arrays.items():
                output = kserve.InferOutput(name=name, shape=list(array.shape), datatype=DATATYPES[str(array.dtype)])
                output.set_data_from_numpy(array, binary_data=binary)
                outputs.append(output)
            return kserve.InferResponse(
                response_id=payload.id or "0", model_name=NAME, infer_outputs=outputs, use_binary_outputs=binary,
                requested_outputs=payload.request_outputs,
            )  # fmt: skip

    kserve.ModelServer(
        http_port=given.port, enable_grpc=False, workers=1, enable_latency_logging=False, enable_docs_url=False
    ).start([Model()])  # fmt: skip


if __name__ == "__main__":
    main()
