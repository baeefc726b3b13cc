"""What the client of servers adds: to the moments at which requests are sent, and to the times of their answers.

``python benchmarks/servers.py [SECONDS]`` prints two tables. It asks ``instant_server.py``, which answers at once, on the other cores; the
client has one core. Run it where nothing else works; it says how busy the machine was.

1. Own delay, sent minus scheduled, at 50, 200 and 1,000 requests a second, periodic and Poisson, with up to 32 on their way.
2. Sent to last byte, one after another, of plain answers and of streamed ones.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil

from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import Reply, Request
from orchestrator.measurement.asking import Client
from orchestrator.measurement.client_cost import as_http, instant_server
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.measurement.waiting import waiting
from orchestrator.stats.queueing import periodic, poisson

RATES = (50, 200, 1000)
IN_FLIGHT = 32
REQUEST = {False: Request("/predict", b'{"text": "' + b"x" * 200 + b'"}'), True: Request("/v1/chat/completions", b"{}", streamed=True)}


def reply(streamed: bool) -> Reply:
    if not streamed:
        return Reply({"content-type": "application/json"}, b'{"label": "fresh"}', [], 0, 0, 0)
    events = [b"data: " + json.dumps({"choices": [{"delta": {"content": f"word{number} "}}]}).encode() for number in range(32)]
    return Reply({"content-type": "text/event-stream"}, b"", [(0, line) for line in (*events, b"data: [DONE]")], 0, 0, 0)


@contextmanager
def client_of(streamed: bool, other_cores: list[int]) -> Iterator[Client]:
    with instant_server(as_http(reply(streamed)), other_cores) as address:
        client = Client(ServerSettings.model_validate({"name": "instant", "url": f"http://127.0.0.1:{address.port}"}))
        yield client
        client.close()


def delays_us(client: Client, moments: np.ndarray, threads: InFlight, most: int | None = None) -> np.ndarray:
    """Return sent minus scheduled of every request, us."""
    stages = Stages(lambda batch: batch[0], client.ask, lambda answer: [answer.body])
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
    return np.array([answer.ended_ns - answer.sent_ns for answer in found[10:]]) / 1000


def row(name: str, values: np.ndarray, *more: Any) -> None:
    print(f"| {name} | {' | '.join(f'{np.percentile(values, at):,.1f}' for at in (50, 90, 99, 100))} |", *more)


def main(seconds: float) -> None:
    mine, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {mine})
    print(f"client on core {mine}, server on {others or [mine]}, load average {os.getloadavg()[0]:.2f}, {psutil.cpu_count()} cores\n")
    print("| own delay, us | p50 | p90 | p99 | longest |\n|---|---:|---:|---:|---:|")
    threads = InFlight(IN_FLIGHT)
    with client_of(False, others) as client:
        delays_us(client, periodic(200, 200.0), threads)
        for rate in RATES:
            count = int(rate * seconds)
            row(f"periodic {rate}/s", delays_us(client, periodic(count, float(rate)), threads))
            row(f"poisson {rate}/s", delays_us(client, poisson(count, float(rate), np.random.default_rng(1)), threads))
    threads.close()
    print("\n| sent to last byte, us | p50 | p90 | p99 | longest |\n|---|---:|---:|---:|---:|")
    for streamed, name in ((False, "plain, kept connection"), (True, "32 events, new connection")):
        with client_of(streamed, others) as client:
            row(name, times_us(client, streamed, 2000))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
