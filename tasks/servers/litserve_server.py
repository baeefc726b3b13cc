"""LitServe: plain JSON. A request to ``/predict`` holds ``input``, the sample's bytes in base64; its answer ``answer``."""

from __future__ import annotations

import base64
import logging
from typing import Any

from tasks.servers import arguments
from tasks.servers.engine import Answering, Served


def main() -> None:
    """Serve until the process is ended."""
    given = arguments.read(__doc__, batch=1, batch_wait_ms=0.0, workers=1)
    import litserve

    class Api(litserve.LitAPI):
        """Has a model of its own in each worker."""

        def setup(self, device: Any) -> None:
            """Load the model."""
            self.served = Answering(Served.of_environment(batch=int(given["batch"])))

        def decode_request(self, request: dict[str, Any]) -> bytes:
            """Return the sample's bytes."""
            return base64.b64decode(request["input"])

        def predict(self, inputs: Any) -> Any:
            """Return the answer, or the answers of a batch."""
            return self.served.answers(inputs) if isinstance(inputs, list) else self.served.answers([inputs])[0]

        def unbatch(self, output: Any) -> Any:
            """Return one answer per request of a batch."""
            return output

        def encode_response(self, output: Any) -> dict[str, Any]:
            """Return what is sent."""
            return {"answer": output}

    logging.getLogger("litserve").setLevel(logging.WARNING)
    batch = int(given["batch"])
    api = Api(max_batch_size=batch, batch_timeout=given["batch_wait_ms"] / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(given["workers"]))
    server.run(host=arguments.LOOPBACK, port=int(given["port"]), num_api_servers=1, generate_client_file=False, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
