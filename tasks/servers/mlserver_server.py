"""MLServer: the Open Inference Protocol v2 in JSON, of a model named ``served``. It answers binary tensors with status 500."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tasks.servers import arguments

NAME = "served"


def main() -> None:
    """Write MLServer's own files and become it."""
    given = arguments.read(__doc__, batch=0, batch_wait_ms=0.0)
    folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
    settings = {
        "host": arguments.LOOPBACK, "http_port": int(given["port"]), "parallel_workers": 0, "metrics_endpoint": None, "debug": False,
        "grpc_port": int(given["port"]) + 1, "metrics_port": int(given["port"]) + 2, "metrics_dir": str(folder),
        "environments_dir": str(folder),
    }  # fmt: skip
    model = {"name": NAME, "implementation": "tasks.servers.mlserver_runtime.Network"}
    if given["batch"]:
        model |= {"max_batch_size": int(given["batch"]), "max_batch_time": given["batch_wait_ms"] / 1000}  # type: ignore[dict-item]
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", str(folder)])  # noqa: S606 - this very Python


if __name__ == "__main__":
    main()
