"""GuideLLM's ``benchmarks.json``: one recording per benchmark. The time runs from ``request_start`` to ``request_end``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.importing.documents import Record, checked, nanoseconds, one_batch, parts_of, read_document
from orchestrator.importing.recording import NO_TOKENS, BadRecord, Recording, dropped, refuse_columns
from orchestrator.storage.vocabulary import Outcome

OUTCOMES: dict[str, Outcome] = {"successful": "ok", "errored": "error", "incomplete": "lost"}
NOTE = "The time of a request of GuideLLM runs from when it was sent (request_start) to its end; what it waited before stands apart."
TYPES = {"start_ns": pa.int64(), "inference_ns": pa.int64(), "arrival_ns": pa.int64(), "outcome": pa.string()}


class Timings(Record):
    """Moments in seconds since 1970; ``targeted_start`` is the scheduled one."""

    targeted_start: float | None = None
    request_start: float | None = None
    request_end: float | None = None
    first_token_iteration: Any = None
    first_iteration: Any = None

    @property
    def has_token(self) -> bool:
        """Whether it says when the first token came."""
        return self.first_token_iteration is not None or self.first_iteration is not None


class Info(Record):
    """What a request tells of itself."""

    timings: Timings


class Request(Record):
    """One request."""

    info: Info


class Requests(Record):
    """The requests of a benchmark by what became of them; null where there are none."""

    successful: list[Any] | None = None
    errored: list[Any] | None = None
    incomplete: list[Any] | None = None


class Benchmark(Record):
    """One benchmark: one rate or number of users."""

    requests: Requests


class File(Record):
    """The whole file."""

    benchmarks: list[Any]


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per benchmark of each file."""
    refuse_columns(columns, "guidellm")
    for path in paths:
        found = checked(File, read_document(path), str(path)).benchmarks
        for document, place, name in parts_of(path, found, "benchmark"):
            rows, places, tokens = _rows(checked(Benchmark, document, place).requests, place)
            remarks = (NOTE, *([dropped("the times to first tokens in the file", NO_TOKENS)] if tokens else []))
            yield Recording(name, one_batch(rows, TYPES, path), places.__getitem__, remarks=remarks, path=path)


def _rows(requests: Requests, place: str) -> tuple[list[dict[str, Any]], list[str], bool]:
    """Return the requests of a benchmark, their places, and whether they say when first tokens came."""
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    tokens = False
    for kind, outcome in OUTCOMES.items():
        for number, document in enumerate(getattr(requests, kind) or ()):
            where = f"{place}, {kind} request {number}"
            timings = checked(Request, document, where).info.timings
            start, end = timings.request_start, timings.request_end
            tokens = tokens or timings.has_token
            if outcome == "ok" and (start is None or end is None):
                raise BadRecord(f"{where}: request_start or request_end is missing; export the file again")
            rows.append(
                {
                    "start_ns": None if start is None else nanoseconds(start, 10**9, where, "request_start"),
                    "inference_ns": None if start is None or end is None else nanoseconds(end - start, 10**9, where, "request_end"),
                    "arrival_ns": None
                    if timings.targeted_start is None
                    else nanoseconds(timings.targeted_start, 10**9, where, "targeted_start"),
                    "outcome": outcome,
                }
            )
            places.append(where)
    return rows, places, tokens
