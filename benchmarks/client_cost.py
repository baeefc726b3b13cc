"""What the client of servers adds: to the moments at which requests are sent, and to the times of their answers.

It asks a server that answers at once, on the other cores; the client has one core.

1. Own delay, sent minus scheduled, of Poisson arrivals with up to 32 on their way.
2. Sent to last byte, one after another, of plain answers and of streamed ones; and eight plain ones at once, which is the most that the
   client's part can be in a closed loop. The peer is Python's ``http.client``.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection

import numpy as np

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Request
from orchestrator.measurement.asking import Client
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.load_loop import waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma

RATES = (50, 200, 1000)
SENT = "sent to last byte, p50: "
IN_FLIGHT, AT_ONCE = 32, 8
REQUEST = {False: Request("/predict", b'{"text": "' + b"x" * 200 + b'"}'), True: Request("/v1/chat/completions", b"{}", streamed=True)}


def http(kind: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(streamed: bool) -> bytes:
    if not streamed:
        return http("application/json", b'{"label": "fresh"}')
    events = [b"data: " + json.dumps({"choices": [{"delta": {"content": f"word{number} "}}]}).encode() for number in range(32)]
    return http("text/event-stream", b"".join(event + b"\n\n" for event in (*events, b"data: [DONE]")))


def serve(*cores: str) -> None:
    """Answer every request with what standard input holds, as a program of its own, which ends with its parent's pipe."""
    os.sched_setaffinity(0, set(map(int, cores)))
    content = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listening.getsockname()[1], flush=True)

    def of_one(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, ValueError), connection:
            file = connection.makefile("rb")
            while file.readline():
                head = list(iter(file.readline, b"\r\n"))
                file.read(next((int(line[15:]) for line in head if line.lower().startswith(b"content-length:")), 0))
                connection.sendall(content)

    def accept() -> None:
        while True:
            threading.Thread(target=of_one, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.buffer.read()


@contextmanager
def instant_server(content: bytes, cores: Sequence[int]) -> Iterator[str]:
    """Run that program and yield its URL."""
    words = [sys.executable, __file__, "serve", *map(str, cores)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{len(content)}\n".encode() + content)
            process.stdin.flush()
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def client_of(streamed: bool, other_cores: Sequence[int]) -> Iterator[Client]:
    with instant_server(answer(streamed), other_cores) as url:
        client = Client(ServerSettings(name="instant", url=url))
        yield client
        client.close()


def delays_us(client: Client, moments: np.ndarray, threads: InFlight) -> np.ndarray:
    """Return sent minus scheduled of every request, us."""
    stages = Stages(lambda batch: batch[0], client.ask, lambda reply: [reply.body])
    stamps = memoryview(bytearray(8 * STAMPS * len(moments))).cast("q")
    origin = time.perf_counter_ns() + 200_000_000
    due = (moments + origin).tolist()
    asked = threads.ask(
        [(REQUEST[False],)] * len(due), stages, stamps, time.perf_counter_ns, None,
        Arrivals(due, lambda: waiting("sleep", 200_000, gives_way=True)),
    )  # fmt: skip
    assert not asked.errors, asked.errors
    found = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)
    return (found[:, 1] - np.array(due)) / 1000


def times_us(client: Client, streamed: bool, count: int) -> np.ndarray:
    """Return sent to last byte, us, one request after another."""
    found = [client.ask(REQUEST[streamed]) for _ in range(count)]
    return np.array([reply.ended_ns - reply.sent_ns for reply in found[10:]]) / 1000


def times_at_once_us(client: Client, count: int, most: int) -> np.ndarray:
    """Return sent to last byte, us, of a closed loop with several on their way."""
    stages = Stages(lambda batch: batch[0], client.ask, lambda reply: [reply.body])
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    threads = InFlight(most)
    asked = threads.ask([(REQUEST[False],)] * count, stages, stamps, time.perf_counter_ns)
    threads.close()
    assert not asked.errors, asked.errors
    found = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)[10 * most :]
    return (found[:, 2] - found[:, 1]) / 1000


def peer_us(cores: Sequence[int]) -> str:
    """Return the median time of a plain request of ``http.client`` on a kept connection."""
    body = REQUEST[False].body
    with instant_server(answer(False), cores) as url:
        connection = HTTPConnection(url.removeprefix("http://"))

        def ask() -> None:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            connection.getresponse().read()

        found = median_ms(ask, 1000) * 1000
        connection.close()
    return f"http.client {found:.0f} us"


def measure(asked: Namespace) -> Iterator[Figure]:
    seconds, count = (1.0, 500) if asked.quick else (2.0, 2000)
    mine, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {mine})
    cores = others or [mine]
    threads = InFlight(IN_FLIGHT)
    with client_of(False, cores) as client:
        for rate in RATES:
            schedules = [gamma(int(rate * seconds), float(rate), 1.0, np.random.default_rng(seed)) for seed in range(3)]
            delays = [delays_us(client, moments, threads) for moments in schedules]
            for percent in (50, 99):  # near the limit of a core one pause leaves a queue for seconds
                yield Figure(f"own delay p{percent} at {rate:,}/s", float(np.median([np.percentile(one, percent) for one in delays])), "us")
        yield Figure(f"{SENT}plain, kept connection", float(np.median(times_us(client, False, count))), "us", peer_us(cores))
        yield Figure(f"{SENT}plain, {AT_ONCE} at once", float(np.median(times_at_once_us(client, count, AT_ONCE))), "us")
    threads.close()
    with client_of(True, cores) as client:
        yield Figure(f"{SENT}32 events, new connection", float(np.median(times_us(client, True, count))), "us")


BENCHMARK = Benchmark(
    "client_cost",
    "What the client of servers adds to a schedule, and to the times of answers",
    measure,
    bars={f"own delay p50 at {rate:,}/s": at_most(100) for rate in RATES},
    peer="Python's http.client",
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        sys.exit(BENCHMARK.main())
