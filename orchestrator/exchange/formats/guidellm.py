"""GuideLLM's ``benchmarks.json``: one recording per benchmark. The time runs from ``request_start`` to ``request_end``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import Record, Recording, at, checked, dropped, nanoseconds, parts_of, schedule, shown, table_of

OUTCOMES = {"successful": "ok", "errored": "error", "incomplete": "lost"}
NOTE = "The time of a request of GuideLLM runs from when it was sent (request_start) to its end; any wait before is left out."
# What fixes targeted_start beforehand, by the strategy. With the others it may hang on when another request has ended.
LAWS = {"constant": "periodic", "poisson": "poisson"}


class Request(Record):
    """One request. Its moments are in seconds since 1970; ``targeted_start`` is the scheduled one."""

    targeted_start: float | None = at("info", "timings", "targeted_start")
    request_start: float | None = at("info", "timings", "request_start")
    request_end: float | None = at("info", "timings", "request_end")
    first_token_iteration: float | None = at("info", "timings", "first_token_iteration")
    last_token_iteration: float | None = at("info", "timings", "last_token_iteration")
    output_tokens: int | None = None
    request_args: Any = None
    output: Any = None

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """The prompt, the last message of the body that was sent, and the answer."""
        try:
            body = json.loads(self.request_args)["body"]
            said = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
            return said if isinstance(said, str) else "".join(part["text"] for part in said), self.output
        except (LookupError, TypeError, ValueError):
            return None, self.output

    def since(self, start: float, name: str, where: str) -> int | None:
        """Return a moment in ns; it is taken from ``start`` before it is rounded: as seconds since 1970 it has 240 ns."""
        moment = getattr(self, name)
        return None if moment is None else nanoseconds(moment - start, 10**9, where, name)


class Benchmark(Record):
    """One benchmark, at one rate or number of users: its requests by what became of them, null where there are none."""

    successful: list[Request] | None = at("requests", "successful")
    errored: list[Request] | None = at("requests", "errored")
    incomplete: list[Request] | None = at("requests", "incomplete")
    strategy: str | None = at("config", "strategy", "type_")
    rate: float | None = at("config", "strategy", "rate")


def read(path: Path) -> Iterator[Recording]:
    """Yield one recording per benchmark of a file."""
    for document, place, name in parts_of(path, "benchmarks"):
        benchmark = checked(Benchmark, document, place)
        requests = {
            f"{place}, {kind} request {number}": (request, kind)
            for kind in OUTCOMES
            for number, request in enumerate(getattr(benchmark, kind) or ())
        }
        rows = {where: _row(*request, where) for where, request in requests.items()}
        kept = {where: row for where, row in rows.items() if row["outcome"] != "lost" or row["start_ns"] or row["arrival_ns"]}
        law, load, remarks = LAWS.get(benchmark.strategy or ""), None, [NOTE]
        if law is not None:
            load, lost = schedule(law, benchmark.rate, path)
            remarks += lost
        elif any(row["arrival_ns"] is not None for row in kept.values()):
            under = f"under strategy {shown([benchmark.strategy])} they are no schedule" if benchmark.strategy else None
            remarks.append(dropped("the moments targeted_start as a clock response", under or "the file does not say its strategy"))
        if never := len(rows) - len(kept):
            remarks.append(f"Left out: {never} requests that GuideLLM had prepared but never scheduled.")
        table = table_of(kept.values(), path, outcome=pa.string())
        texts = [requests[where][0].texts for where in kept]
        yield Recording(name, table, [*kept].__getitem__, path, remarks=remarks, load=load, texts=texts)


def _row(request: Request, kind: str, where: str) -> dict[str, Any]:
    start, row = request.request_start, {"outcome": OUTCOMES[kind], "tokens": request.output_tokens}
    if kind == "successful" and (start is None or request.request_end is None):
        raise InputError(f"{where}: request_start or request_end is missing; export the file again", "missing", "request_end")
    if start is None:
        return row | {"start_ns": None, "arrival_ns": request.since(0.0, "targeted_start", where)}
    begun, waited = nanoseconds(start, 10**9, where, "request_start"), request.since(start, "targeted_start", where)
    return row | {
        "start_ns": begun,
        "arrival_ns": None if waited is None else begun + waited,
        "inference_ns": request.since(start, "request_end", where),
        "first_token_ns": request.since(start, "first_token_iteration", where),
        "last_token_ns": request.since(start, "last_token_iteration", where),
    }
