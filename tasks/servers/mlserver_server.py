"""MLServer: the Open Inference Protocol v2 in JSON, of a model named ``served``. It answers binary tensors with status 500."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tasks.servers.engine import LOOPBACK, NAME, read_arguments

VARIABLE = "TAIL_QUALITY_SERVED"
"""In which MLServer, which imports the model's class itself, has its command line handed on."""


def main() -> None:
    """Write MLServer's own files and become it."""
    given = read_arguments(__doc__, batch_wait_ms=0.0)
    folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
    # Its servers for gRPC and metrics cannot be left out: they take the two ports after this one.
    settings = {
        "host": LOOPBACK, "http_port": given.port, "grpc_port": given.port + 1, "metrics_port": given.port + 2, "metrics_dir": str(folder),
        "environments_dir": str(folder), "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    model: dict[str, Any] = {"name": NAME, "implementation": "tasks.servers.mlserver_runtime.Network"}
    if given.context.batch > 1:
        model |= {"max_batch_size": given.context.batch, "max_batch_time": given.more["batch_wait_ms"] / 1000}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.environ[VARIABLE] = json.dumps(sys.argv[1:])
    start = "import sys; from mlserver.cli.main import main; sys.argv[0] = 'mlserver'; main()"
    os.execv(sys.executable, [sys.executable, "-c", start, "start", str(folder)])  # noqa: S606 - this very Python


if __name__ == "__main__":
    main()
