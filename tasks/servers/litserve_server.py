"""LitServe: plain JSON. A request to ``/predict`` holds ``text``, its answer ``label``."""

from __future__ import annotations

import logging
from typing import Any

from tasks.servers.engine import LOOPBACK, Answering, read_arguments


def main() -> None:
    """Serve until the process is ended."""
    given = read_arguments(__doc__, batch_wait_ms=0.0, workers=1)
    import litserve

    class Api(litserve.LitAPI):
        """Has a model of its own in each worker."""

        def setup(self, device: Any) -> None:
            """Load the model."""
            self.served = Answering(given)

        def decode_request(self, request: Any) -> str:
            """Return the text."""
            return str(request["text"])

        def predict(self, x: Any) -> Any:
            """Return the answer or, where requests are batched, a list of answers."""
            return self.served.answers(x) if isinstance(x, list) else self.served.answers([x])[0]

        def unbatch(self, output: Any) -> Any:
            """Return one answer per request of a batch."""
            return output

        def encode_response(self, output: Any) -> Any:
            """Return what is sent."""
            return {"label": output}

    logging.getLogger("litserve").setLevel(logging.WARNING)
    api = Api(max_batch_size=given.context.batch, batch_timeout=given.more["batch_wait_ms"] / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(given.more["workers"]))
    server.run(host=LOOPBACK, port=given.port, num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
