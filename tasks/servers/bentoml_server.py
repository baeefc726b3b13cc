"""BentoML: plain JSON. A request to ``/predict`` holds ``text``, its answer ``label``."""

from __future__ import annotations

import json
import os
import sys

from tasks.servers.engine import LOOPBACK, read_arguments

VARIABLE = "TAIL_QUALITY_SERVED"
"""In which BentoML's workers, which import the service themselves, have the command line handed on."""


def main() -> None:
    """Become BentoML's own program."""
    given = read_arguments(__doc__)
    os.environ[VARIABLE] = json.dumps(sys.argv[1:])
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # nothing about the user's machines leaves them
    words = ["serve", "tasks.servers.bentoml_service:Answers", "--host", LOOPBACK, "--port", str(given.port)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *words])  # noqa: S606 - this very Python


if __name__ == "__main__":
    main()
