"""GuideLLM's ``benchmarks.json``: one recording per benchmark. The time runs from ``request_start`` to ``request_end``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.exchange.documents import Record, checked, nanoseconds, one_batch, parts_of, read_document
from orchestrator.exchange.recording import BadRecord, Recording, dropped, law_lost, refuse_columns, schedule, shown
from orchestrator.storage.schema import Outcome

OUTCOMES: dict[str, Outcome] = {"successful": "ok", "errored": "error", "incomplete": "lost"}
NOTE = "The time of a request of GuideLLM runs from when it was sent (request_start) to its end; what it waited before stands apart."
LAWS = {"constant": "periodic", "poisson": "poisson"}
"""What fixes targeted_start beforehand, by the strategy. With the others it may hang on when another request has ended."""
TYPES = {
    "start_ns": pa.int64(), "inference_ns": pa.int64(), "arrival_ns": pa.int64(), "outcome": pa.string(), "first_token_ns": pa.int64(),
    "last_token_ns": pa.int64(), "tokens": pa.int64(),
}  # fmt: skip


class Timings(Record):
    """Moments in seconds since 1970; ``targeted_start`` is the scheduled one."""

    targeted_start: float | None = None
    request_start: float | None = None
    request_end: float | None = None
    first_token_iteration: float | None = None
    last_token_iteration: float | None = None


class Info(Record):
    """What a request tells of itself."""

    timings: Timings


class Request(Record):
    """One request."""

    info: Info
    output_tokens: int | None = None


class Requests(Record):
    """The requests of a benchmark by what became of them; null where there are none."""

    successful: list[Any] | None = None
    errored: list[Any] | None = None
    incomplete: list[Any] | None = None


class Strategy(Record):
    """By what requests were sent."""

    type_: str
    rate: float | None = None


class Config(Record):
    """How a benchmark was set."""

    strategy: Strategy | None = None


class Benchmark(Record):
    """One benchmark: one rate or number of users."""

    requests: Requests
    config: Config = Config()


class File(Record):
    """The whole file."""

    benchmarks: list[Any]


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per benchmark of each file."""
    refuse_columns(columns, "guidellm")
    for path in paths:
        found = checked(File, read_document(path), str(path)).benchmarks
        for document, place, name in parts_of(path, found, "benchmark"):
            benchmark = checked(Benchmark, document, place)
            rows, places, never = _rows(benchmark.requests, place)
            strategy = benchmark.config.strategy
            load = None if strategy is None or strategy.type_ not in LAWS else schedule(LAWS[strategy.type_], strategy.rate, path)
            remarks = [NOTE, *law_lost(load)]
            if load is None and any(row["arrival_ns"] is not None for row in rows):
                why = (
                    f"under strategy {shown([strategy.type_], 1)} they are no schedule"
                    if strategy
                    else "the file does not say its strategy"
                )
                remarks.append(dropped("the moments targeted_start as a clock response", why))
            if never:
                remarks.append(f"Left out: {never} of the requests that GuideLLM had prepared, since they were never scheduled.")
            batch = one_batch(rows, TYPES, path)
            yield Recording(name, batch, places.__getitem__, remarks=remarks, path=path, load=load)


def _rows(requests: Requests, place: str) -> tuple[list[dict[str, Any]], list[str], int]:
    """Return the requests of a benchmark, their places, and how many more were never scheduled."""
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    never = 0
    for kind, outcome in OUTCOMES.items():
        for number, document in enumerate(getattr(requests, kind) or ()):
            where = f"{place}, {kind} request {number}"
            request = checked(Request, document, where)
            timings = request.info.timings
            if outcome == "lost" and timings.targeted_start is None and timings.request_start is None:
                never += 1
                continue
            if outcome == "ok" and (timings.request_start is None or timings.request_end is None):
                raise BadRecord(f"{where}: request_start or request_end is missing; export the file again")
            rows.append({**_moments(timings, where), "outcome": outcome, "tokens": request.output_tokens})
            places.append(where)
    return rows, places, never


def _moments(timings: Timings, where: str) -> dict[str, int | None]:
    """Return the columns of time. Moments are taken from one another before they are rounded: as seconds since 1970 they have 240 ns."""
    start, due = timings.request_start, timings.targeted_start

    def after_start(name: str) -> int | None:
        moment = getattr(timings, name)
        return None if moment is None or start is None else nanoseconds(moment - start, 10**9, where, name)

    begun = None if start is None else nanoseconds(start, 10**9, where, "request_start")
    if begun is None:
        arrival = None if due is None else nanoseconds(due, 10**9, where, "targeted_start")
    else:
        waited = after_start("targeted_start")
        arrival = None if waited is None else begun + waited
    return {
        "start_ns": begun,
        "arrival_ns": arrival,
        "inference_ns": after_start("request_end"),
        "first_token_ns": after_start("first_token_iteration"),
        "last_token_ns": after_start("last_token_iteration"),
    }
