"""GuideLLM's ``benchmarks.json``: one recording per benchmark. The time runs from ``request_start`` to ``request_end``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.exchange.formats import (
    BadRecord,
    Record,
    Recording,
    at,
    checked,
    dropped,
    law_lost,
    nanoseconds,
    parts_of,
    schedule,
    shown,
    table_of,
)
from orchestrator.storage.schema import Outcome

OUTCOMES: dict[str, Outcome] = {"successful": "ok", "errored": "error", "incomplete": "lost"}
NOTE = "The time of a request of GuideLLM runs from when it was sent (request_start) to its end; what it waited before stands apart."
LAWS = {"constant": "periodic", "poisson": "poisson"}
"""What fixes targeted_start beforehand, by the strategy. With the others it may hang on when another request has ended."""


class Request(Record):
    """One request. Its moments are in seconds since 1970; ``targeted_start`` is the scheduled one."""

    targeted_start: float | None = at("info", "timings", "targeted_start")
    request_start: float | None = at("info", "timings", "request_start")
    request_end: float | None = at("info", "timings", "request_end")
    first_token_iteration: float | None = at("info", "timings", "first_token_iteration")
    last_token_iteration: float | None = at("info", "timings", "last_token_iteration")
    output_tokens: int | None = None


class Benchmark(Record):
    """One benchmark, at one rate or number of users: its requests by what became of them, null where there are none."""

    successful: list[Request] | None = at("requests", "successful")
    errored: list[Request] | None = at("requests", "errored")
    incomplete: list[Request] | None = at("requests", "incomplete")
    strategy: str | None = at("config", "strategy", "type_")
    rate: float | None = at("config", "strategy", "rate")


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per benchmark of each file."""
    for path in paths:
        for document, place, name in parts_of(path, "benchmarks"):
            benchmark = checked(Benchmark, document, place)
            rows, places, never = _rows(benchmark, place)
            law = LAWS.get(benchmark.strategy or "")
            load = None if law is None else schedule(law, benchmark.rate, path)
            remarks = [NOTE, *law_lost(load)]
            if load is None and any(row["arrival_ns"] is not None for row in rows):
                under = f"under strategy {shown([benchmark.strategy], 1)} they are no schedule" if benchmark.strategy else None
                why = under or "the file does not say its strategy"
                remarks.append(dropped("the moments targeted_start as a clock response", why))
            if never:
                remarks.append(f"Left out: {never} of the requests that GuideLLM had prepared, since they were never scheduled.")
            table = table_of(rows, path, outcome=pa.string())
            yield Recording(name, table, places.__getitem__, path, remarks=remarks, load=load)


def _rows(benchmark: Benchmark, place: str) -> tuple[list[dict[str, Any]], list[str], int]:
    """Return the requests of a benchmark, their places, and how many more were never scheduled."""
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    never = 0
    for kind, outcome in OUTCOMES.items():
        for number, request in enumerate(getattr(benchmark, kind) or ()):
            where = f"{place}, {kind} request {number}"
            start, due = request.request_start, request.targeted_start
            if outcome == "lost" and due is None and start is None:
                never += 1
                continue
            if outcome == "ok" and (start is None or request.request_end is None):
                raise BadRecord(f"{where}: request_start or request_end is missing; export the file again")
            rows.append({**_moments(request, where), "outcome": outcome, "tokens": request.output_tokens})
            places.append(where)
    return rows, places, never


def _moments(request: Request, where: str) -> dict[str, int | None]:
    """Return the columns of time. Moments are taken from one another before they are rounded: as seconds since 1970 they have 240 ns."""
    start, due = request.request_start, request.targeted_start

    def whole(moment: float | None, name: str, since: float = 0.0) -> int | None:
        return None if moment is None else nanoseconds(moment - since, 10**9, where, name)

    if start is None:
        return {"start_ns": None, "arrival_ns": whole(due, "targeted_start")}
    begun = nanoseconds(start, 10**9, where, "request_start")
    waited = whole(due, "targeted_start", start)
    return {
        "start_ns": begun,
        "arrival_ns": None if waited is None else begun + waited,
        "inference_ns": whole(request.request_end, "request_end", start),
        "first_token_ns": whole(request.first_token_iteration, "first_token_iteration", start),
        "last_token_ns": whole(request.last_token_iteration, "last_token_iteration", start),
    }
