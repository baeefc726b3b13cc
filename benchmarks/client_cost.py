"""What the client of servers adds: to the moments at which requests are sent, and to the times of their answers.

``python benchmarks/client_cost.py [SECONDS]`` prints two tables. It asks a server that answers at once, on the other cores; the client has
one core. Run it where nothing else works; it says how busy the machine was.

1. Own delay, sent minus scheduled, at 50, 200 and 1,000 requests a second, periodic and Poisson, with up to 32 on their way.
2. Sent to last byte, one after another, of plain answers, over TLS too, and of streamed ones; and eight plain ones at once, which is the
   most that the client's part can be in a closed loop.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import trustme

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Request
from orchestrator.measurement.asking import Client
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.load_loop import waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma, periodic

RATES = (50, 200, 1000)
IN_FLIGHT, AT_ONCE = 32, 8
REQUEST = {False: Request("/predict", b'{"text": "' + b"x" * 200 + b'"}'), True: Request("/v1/chat/completions", b"{}", streamed=True)}


def http(kind: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(streamed: bool) -> bytes:
    if not streamed:
        return http("application/json", b'{"label": "fresh"}')
    events = [b"data: " + json.dumps({"choices": [{"delta": {"content": f"word{number} "}}]}).encode() for number in range(32)]
    return http("text/event-stream", b"".join(event + b"\n\n" for event in (*events, b"data: [DONE]")))


def serve(certificate: str, *cores: str) -> None:
    """Answer every request with what standard input holds, as a program of its own, which ends with its parent's pipe."""
    os.sched_setaffinity(0, set(map(int, cores)))
    content = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    context = None
    if certificate != "-":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listening.getsockname()[1], flush=True)

    def of_one(plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, ValueError), plain if context is None else context.wrap_socket(plain, server_side=True) as connection:
            file = connection.makefile("rb")
            while file.readline():
                head = list(iter(file.readline, b"\r\n"))
                file.read(next(int(line[15:]) for line in head if line.lower().startswith(b"content-length:")))
                connection.sendall(content)

    def accept() -> None:
        while True:
            threading.Thread(target=of_one, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.buffer.read()


@contextmanager
def instant_server(content: bytes, cores: Sequence[int], certificate: str = "-") -> Iterator[str]:
    """Run that program and yield its URL."""
    words = [sys.executable, __file__, "serve", certificate, *map(str, cores)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{len(content)}\n".encode() + content)
            process.stdin.flush()
            yield f"http{'' if certificate == '-' else 's'}://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def client_of(streamed: bool, other_cores: list[int], encrypted: bool = False) -> Iterator[Client]:
    with TemporaryDirectory() as folder:
        certificate, trusted = Path(folder) / "certificate.pem", Path(folder) / "trusted.pem"
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        authority.cert_pem.write_to_path(str(trusted))
        with instant_server(answer(streamed), other_cores, str(certificate) if encrypted else "-") as url:
            client = Client(ServerSettings(name="instant", url=url, ca=str(trusted) if encrypted else None))
            yield client
            client.close()


def delays_us(client: Client, moments: np.ndarray, threads: InFlight, most: int | None = None) -> np.ndarray:
    """Return sent minus scheduled of every request, us."""
    stages = Stages(lambda batch: batch[0], client.ask, lambda reply: [reply.body])
    stamps = memoryview(bytearray(8 * STAMPS * len(moments))).cast("q")
    origin = time.perf_counter_ns() + 200_000_000
    due = (moments + origin).tolist()
    asked = threads.ask(
        [(REQUEST[False],)] * len(due), stages, stamps, time.perf_counter_ns, None,
        Arrivals(due, lambda: waiting("sleep", 200_000, gives_way=True)), most,
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


def row(name: str, values: np.ndarray, *more: Any) -> None:
    print(f"| {name} | {' | '.join(f'{np.percentile(values, at):,.1f}' for at in (50, 90, 99, 100))} |", *more)


def main(seconds: float) -> None:
    mine, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {mine})
    print(f"client on core {mine}, server on {others or [mine]}, load average {os.getloadavg()[0]:.2f}, {psutil.cpu_count()} cores\n")
    print("| own delay, us | p50 | p90 | p99 | longest |\n|---|---:|---:|---:|---:|")
    threads = InFlight(IN_FLIGHT)
    with client_of(False, others or [mine]) as client:
        delays_us(client, periodic(200, 200.0), threads)
        for rate in RATES:
            count = int(rate * seconds)
            row(f"periodic {rate}/s", delays_us(client, periodic(count, float(rate)), threads))
            row(f"poisson {rate}/s", delays_us(client, gamma(count, float(rate), 1.0, np.random.default_rng(1)), threads))
    threads.close()
    print("\n| sent to last byte, us | p50 | p90 | p99 | longest |\n|---|---:|---:|---:|---:|")
    for name, streamed, encrypted in (
        ("plain, kept connection", False, False),
        ("plain, kept connection, TLS", False, True),
        ("32 events, new connection", True, False),
    ):
        with client_of(streamed, others or [mine], encrypted) as client:
            row(name, times_us(client, streamed, 2000))
    with client_of(False, others or [mine]) as client:
        row(f"plain, {AT_ONCE} at once", times_at_once_us(client, 2000, AT_ONCE))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
