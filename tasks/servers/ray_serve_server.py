"""Ray Serve: plain JSON. A request to ``/predict`` holds ``text``, its answer ``label``.

It starts a Ray of its own, 22 processes in all, which has nothing to do with the one that runs the timed processes.
"""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import threading
from importlib import import_module
from typing import Any

from tasks.servers.engine import LOOPBACK, Answering, Given, read_arguments

RAYS_OWN = "127.0.0.2"
"""Ray takes the host's own address in the place of 127.0.0.1."""


def main() -> None:
    """Serve until the process is ended."""
    given = read_arguments(__doc__, replicas=1)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # or it would keep one in the home folder
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ray: Any = import_module("ray")  # by name: Ray of the timed processes is known to one package alone, and this is another one
    serve: Any = import_module("ray.serve")

    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        # No address: one that runs here must not be joined. No public name keeps Ray to loopback, nor its files in a folder of ours.
        ray.init(address="local", num_cpus=given.context.threads, include_dashboard=False, _node_ip_address=RAYS_OWN, _temp_dir=folder)
        serve.start(http_options={"host": LOOPBACK, "port": given.port})
        serve.run(_application(serve, given), route_prefix="/predict")
        ended.wait()
        serve.shutdown()
        ray.shutdown()


def _application(serve: Any, given: Given) -> Any:
    """Return the deployment. Its class is made here: Ray is imported in a server's process alone."""

    class Answers:
        """From a text to its label."""

        def __init__(self) -> None:
            self.served = Answering(given)

        async def __call__(self, request: Any) -> dict[str, Any]:
            """Return the answer to one text."""
            asked = await request.json()
            return {"label": self.served.answers([asked["text"]])[0]}

    return serve.deployment(num_replicas=int(given.more["replicas"]), ray_actor_options={"num_cpus": 0})(Answers).bind()


if __name__ == "__main__":
    main()
