"""LitServe: plain JSON. A request to ``/predict`` holds ``text``, its answer ``label``."""

from __future__ import annotations

import logging

from tasks.servers.engine import LOOPBACK, read_arguments


def main() -> None:
    """Serve until the process is ended."""
    given = read_arguments(__doc__, batch_wait_ms=0.0, workers=1)
    import litserve

    from tasks.servers.litserve_api import Answers

    logging.getLogger("litserve").setLevel(logging.WARNING)
    api = Answers(max_batch_size=given.context.batch, batch_timeout=given.more["batch_wait_ms"] / 1000)
    api.given = given
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(given.more["workers"]))
    server.run(host=LOOPBACK, port=given.port, num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
