"""Ray Serve: plain JSON. A request to ``/predict`` holds ``input``, the sample's bytes in base64; its answer ``answer``.

It starts a Ray of its own, 22 processes in all, which has nothing to do with the one that runs the timed processes.
"""

from __future__ import annotations

import base64
import os
import signal
import tempfile
import threading
from typing import Any

from tasks.servers import arguments
from tasks.servers.engine import VARIABLE, Answering, Served


def main() -> None:
    """Serve until the process is ended."""
    given = arguments.read(__doc__, replicas=1, cores=1)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    import ray
    from ray import serve

    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        # No address: one that runs here must not be joined.
        ray.init(
            address="local", num_cpus=int(given["cores"]), include_dashboard=False, _node_ip_address=arguments.LOOPBACK, _temp_dir=folder,
            runtime_env={"env_vars": {VARIABLE: os.environ[VARIABLE]}},
        )  # fmt: skip
        serve.start(http_options={"host": arguments.LOOPBACK, "port": int(given["port"])})
        serve.run(_application(serve, int(given["replicas"])), route_prefix="/predict")
        ended.wait()
        serve.shutdown()
        ray.shutdown()


def _application(serve: Any, replicas: int) -> Any:
    """Return the deployment. Its class is made here: Ray is imported in a server's process alone."""

    class Answers:
        """The trial's model."""

        def __init__(self) -> None:
            self.served = Answering(Served.of_environment())

        async def __call__(self, request: Any) -> dict[str, Any]:
            """Return the answer to one sample."""
            asked = await request.json()
            return {"answer": self.served.answers([base64.b64decode(asked["input"])])[0]}

    return serve.deployment(num_replicas=replicas)(Answers).bind()


if __name__ == "__main__":
    main()
