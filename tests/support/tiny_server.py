"""A server of this file's own, on loopback: how it gets ready, what it leaves and how it ends are its arguments."""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--never-ready", action="store_true", help="answer 503 for ever")
    options.add_argument("--ignores", action="store_true", help="live on after SIGTERM")
    options.add_argument("--children", type=int, default=0, help="so many processes that it leaves, each in a session of its own")
    options.add_argument("--exits", type=int, help="end with this code before it is ready")
    options.add_argument("--dies-after", type=int, help="die by SIGKILL at this request to POST, counted from 1")
    options.add_argument("--hangs-after", type=int, help="never answer this request to POST, nor any after it")
    options.add_argument("--once", help="die or hang only where this file is not there yet, and make it")
    options.add_argument("--wait-s", type=float, default=0, help="time that every answer takes")
    options.add_argument("--says", default="")
    options.add_argument("--tells", help="name of a variable whose value it writes")
    given = options.parse_args()
    if given.ignores:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if given.says:
        sys.stdout.write(f"{given.says}\n")
    if given.tells:
        sys.stdout.write(f"I know {os.environ[given.tells]}\n")
    sys.stdout.flush()
    if given.exits is not None:
        sys.exit(given.exits)
    asleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    for _ in range(given.children):
        child = subprocess.Popen([sys.executable, "-c", asleep], start_new_session=True, stdout=subprocess.PIPE)
        child.stdout.readline()
    asked, lock = [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet: two would wait for each other

        def do_GET(self) -> None:
            status = 503 if given.never_ready else 200
            self.answer(
                status, {"environment": {key: value for key, value in os.environ.items() if key.startswith(("TINY_", "OMP_", "RAY_"))}}
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                asked[0] += 1
            self.misbehave(asked[0])
            time.sleep(given.wait_s)
            self.answer(200, {"answer": json.loads(body)["number"]})

        def misbehave(self, number: int) -> None:
            first = given.dies_after or given.hangs_after
            if first is None or number < first:
                return
            if given.once:
                try:
                    os.close(os.open(given.once, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return
            if given.dies_after:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)

        def answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    ThreadingHTTPServer.daemon_threads = True
    with ThreadingHTTPServer(("127.0.0.1", given.port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
