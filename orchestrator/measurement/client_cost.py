"""What the client itself takes of a request's time: the same requests to a server on this host that answers at once, with a real answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.contracts import Reply
from orchestrator.measurement.asking import Client
from orchestrator.measurement.timing import Clock, Stages
from orchestrator.subject.server import Address

PROGRAM = Path(__file__).with_name("instant_server.py")
REQUESTS, MOST_S = 200, 2.0
"""How many requests the figures rest on, at most, and how long they may take."""
LEFT_OUT = 4
"""The first ones open the connection and find nothing in the caches."""


def client_cost(client: Client, batches: Sequence[Any], stages: Stages, clock: Clock, cores: Sequence[int]) -> dict[str, Any]:
    """Return ``requests``, and in ns the p50 and p99 of ``request`` (sent to last byte) and of ``total`` (preprocess and postprocess too).

    The answer is one that the server has given now. Where it gives none, or the figures cannot be had, ``reason`` says why instead.

    Parameters
    ----------
    cores
        that the other server may use.
    """
    reply = next((found for batch in batches if (found := _answered(batch, stages)) is not None), None)
    if reply is None:
        return {"reason": "the server gave no answer that could be given again"}
    try:
        with instant_server(as_http(reply), cores) as port, client.elsewhere(_here(port)):
            return _measured(batches, stages, clock)
    except Exception as error:  # a figure beside the trial's own, which do not depend on it
        return {"reason": f"could not be measured ({type(error).__name__})"}


def as_http(reply: Reply) -> bytes:
    """Return an answer as it could have come over the wire, all at once."""
    kind = reply.headers.get("content-type", "application/octet-stream")
    body = b"".join(line + b"\n\n" for _, line in reply.lines) if reply.lines else reply.body
    kept = {name: reply.headers[name] for name in ("inference-header-content-length",) if name in reply.headers}
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *(f"{name}: {kept[name]}" for name in kept)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _answered(batch: Any, stages: Stages) -> Reply | None:
    try:
        outputs = stages.infer(stages.preprocess(batch))
        stages.postprocess(outputs)
    except Exception:  # whatever is wrong with this one, another may do
        return None
    return outputs if isinstance(outputs, Reply) else None


def _measured(batches: Sequence[Any], stages: Stages, clock: Clock) -> dict[str, Any]:
    until_s = time.monotonic() + MOST_S
    taken: list[tuple[int, int]] = []
    for number in range(REQUESTS):
        started = clock()
        inputs = stages.preprocess(batches[number % len(batches)])
        sent = clock()
        outputs = stages.infer(inputs)
        answered = clock()
        stages.postprocess(outputs)
        taken.append((answered - sent, clock() - started))
        if time.monotonic() > until_s:
            break
    found = np.array(taken[min(LEFT_OUT, len(taken) - 1) :])
    figures = {
        f"{name}_{word}_ns": int(np.percentile(found[:, place], percent, method="inverted_cdf"))
        for place, name in enumerate(("request", "total"))
        for word, percent in (("p50", 50), ("p99", 99))
    }
    return {"requests": len(found), **figures}


def _here(port: int) -> Address:
    return Address("127.0.0.1", port, "", ((int(socket.AF_INET), ("127.0.0.1", port)),))


@contextmanager
def instant_server(answer: bytes, cores: Sequence[int]) -> Iterator[int]:
    """Run the server as a process of its own and yield its port. It ends with its input, so that it outlives nobody."""
    command = [sys.executable, "-I", "-S", str(PROGRAM), *map(str, cores)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own file in our own Python
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{len(answer)}\n".encode() + answer)
            process.stdin.flush()
            yield int(process.stdout.readline())
        finally:
            process.kill()
