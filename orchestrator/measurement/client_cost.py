"""What the client itself takes of a request's time: the same requests to a server on this host that answers at once, with a real answer."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import Reply
from orchestrator.measurement.asking import Client
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.kept_answers import refuse_other_count
from orchestrator.measurement.load_loop import WaitUntil
from orchestrator.measurement.own_certificate import HOST, own_certificate
from orchestrator.measurement.timing import STAMPS, Clock, Stages
from orchestrator.subject.server import Address

PROGRAM = Path(__file__).with_name("instant_server.py")
REQUESTS, MOST_S = 200, 2.0
"""How many requests the figures rest on, at most, and how long they may take."""
LEFT_OUT = 4
"""The first ones open the connection and find nothing in the caches."""
MOST_LANES = 16
"""Under load: a server that answers at once never has more to do."""
FEWEST = 10
"""Of fewer scheduled requests nothing is said: they would not overlap anyway."""
BEFORE_NS = 50_000_000


@dataclass(frozen=True)
class AtOnce:
    """How a trial sends several requests at once.

    threads, lanes
        those that send, and how many requests may be on their way.
    due_ns
        under load: the moments of the trial's own schedule, from its start; empty in a closed loop.
    make_wait
        as in `Arrivals`.
    """

    threads: InFlight
    lanes: int
    due_ns: Sequence[int]
    make_wait: Callable[[], WaitUntil]


def client_cost(
    client: Client, batches: Sequence[Any], stages: Stages, clock: Clock, cores: Sequence[int], at_once: AtOnce | None = None
) -> dict[str, Any]:
    """Return ``requests``, and in ns the p50 and p99 of ``request`` (sent to last byte) and of ``total`` (preprocess and postprocess too).

    These are of one request after another; ``at_once`` has the same as the trial sends them, with ``in_flight``, where that is otherwise.
    ``tls`` says whether they went over TLS, as they do where the trial's do. The answer is one that the server has given now. Where it
    gives none, or the figures cannot be had, ``reason`` says why instead.

    Parameters
    ----------
    cores
        that the other server may use.
    at_once
        how the trial sends several at once; None where it does not.
    """
    reply = next((found for batch in batches if (found := _answered(batch, stages)) is not None), None)
    if reply is None:
        return {"reason": "the server gave no answer that could be given again"}
    try:
        with instant_server(as_http(reply), cores, client.is_encrypted) as address, client.elsewhere(address):
            alone = _measured(batches, stages, clock)
            together = {} if at_once is None else _measured_at_once(batches, stages, clock, at_once, alone)
            return {**alone, "tls": client.is_encrypted, **together}
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
        refuse_other_count(stages.postprocess(outputs), len(batch))
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
    return _figures(np.array(taken[min(LEFT_OUT, len(taken) - 1) :]))


def _measured_at_once(
    batches: Sequence[Any], stages: Stages, clock: Clock, at_once: AtOnce, alone: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return ``at_once``, nothing where the trial's schedule has too few requests in the time there is."""
    due = [moment for moment in at_once.due_ns[:REQUESTS] if moment < MOST_S * 1e9]
    if at_once.due_ns and len(due) < FEWEST:
        return {}
    lanes = min(at_once.lanes, MOST_LANES) if due else at_once.lanes
    _connect_all(batches[0], stages, clock, at_once.threads, lanes)
    in_time = int(MOST_S * 1e9 / max(1, alone["total_p50_ns"]))
    count = len(due) or max(2 * lanes, min(max(REQUESTS, 4 * lanes), in_time))
    origin = clock() + BEFORE_NS
    arrivals = Arrivals([moment + origin for moment in due], at_once.make_wait) if due else None
    stamps = _places(count)
    alone_each = [batches[number % len(batches)] for number in range(count)]
    at_once.threads.ask(alone_each, stages, stamps, clock, arrivals=arrivals, most=lanes)
    times = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)
    times = times[times[:, 0] > 0]
    figures = _figures(np.stack([times[:, 2] - times[:, 1], times[:, 3] - times[:, 0]], axis=1))
    return {"at_once": {"in_flight": at_once.lanes, "scheduled": bool(due), **figures}}


def _connect_all(batch: Any, stages: Stages, clock: Clock, threads: InFlight, lanes: int) -> None:
    """Have every thread ask once, so that its connection is open before anything is timed."""
    together = threading.Barrier(lanes, timeout=MOST_S)

    def preprocess(batch: Any) -> Any:
        together.wait()
        return stages.preprocess(batch)

    threads.ask([batch] * lanes, replace(stages, preprocess=preprocess), _places(lanes), clock, most=lanes)


def _places(count: int) -> memoryview:
    return memoryview(bytearray(8 * STAMPS * count)).cast("q")


def _figures(found: NDArray[np.int64]) -> dict[str, Any]:
    """Return the figures of times in ns, [N, 2]: of the request and of all three stages."""
    figures = {
        f"{name}_{word}_ns": int(np.percentile(found[:, place], percent, method="inverted_cdf"))
        for place, name in enumerate(("request", "total"))
        for word, percent in (("p50", 50), ("p99", 99))
    }
    return {"requests": len(found), **figures}


@contextmanager
def instant_server(answer: bytes, cores: Sequence[int], encrypted: bool = False) -> Iterator[Address]:
    """Run the server as a process of its own and yield where it answers. It ends with its input, so that it outlives nobody."""
    with ExitStack() as held:
        context, words = None, list(map(str, cores))
        if encrypted:
            path = Path(held.enter_context(TemporaryDirectory())) / "certificate.pem"
            context, words = own_certificate(path), ["--tls", str(path), *words]
        process = held.enter_context(
            subprocess.Popen(  # noqa: S603 - our own file in our own Python
                [sys.executable, "-I", "-S", str(PROGRAM), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{len(answer)}\n".encode() + answer)
            process.stdin.flush()
            port = int(process.stdout.readline())
            yield Address(HOST, port, "", ((int(socket.AF_INET), (HOST, port)),), context)
        finally:
            process.kill()
