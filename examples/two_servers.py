"""Which of two servers answers in time? Both run here, so that the example needs nothing else: ``python two_servers.py [ROUNDS]``."""

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import tail_quality as tq


def started(delay_s: float) -> tuple[ThreadingHTTPServer, Callable[[str], str]]:
    """Start a server that writes a word backwards, and return it with a function that asks it."""

    class Backwards(BaseHTTPRequestHandler):
        """Answers with the word of the path, backwards."""

        def do_GET(self) -> None:
            time.sleep(delay_s)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path[:0:-1].encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backwards)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(word: str) -> str:
        with urlopen(f"http://127.0.0.1:{server.server_port}/{word}", timeout=10) as answer:
            return str(answer.read().decode())

    return server, ask


(quick, ask_quick), (slow, ask_slow) = started(0.0), started(0.02)
words = ["stressed", "drawer", "parts"]
answers = ["desserts", "reward", "strap"]
rounds = int(sys.argv[1]) if sys.argv[1:] else 60
print(tq.compare({"quick": ask_quick, "slow": ask_slow}, words, answers, deadline="15 ms", rounds=rounds))
for server in (quick, slow):
    server.shutdown()
    server.server_close()
