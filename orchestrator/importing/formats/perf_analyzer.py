"""perf_analyzer's ``--profile-export-file``: one recording per experiment. The time runs from sending to the last response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from orchestrator.importing.documents import Record, checked, nanoseconds, one_batch, parts_of, read_document
from orchestrator.importing.recording import NO_TOKENS, Recording, dropped, refuse_columns

NOTE = "The time of a request of perf_analyzer runs from sending it to its last response; its file holds no scheduled time."
TYPES = {"start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string()}


class Request(Record):
    """``timestamp`` and ``response_timestamps`` are ns since 1970; a request without a response has failed."""

    timestamp: int
    response_timestamps: list[int] = Field([])
    success: bool = True


class Experiment(Record):
    """One rate or number of users."""

    requests: list[Any]


class File(Record):
    """The whole file."""

    experiments: list[Any]


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per experiment of each file."""
    refuse_columns(columns, "perf_analyzer")
    for path in paths:
        found = checked(File, read_document(path), str(path)).experiments
        for document, place, name in parts_of(path, found, "experiment"):
            requests = checked(Experiment, document, place).requests
            places = [f"{place}, request {row}" for row in range(len(requests))]
            found_here = [checked(Request, request, where) for request, where in zip(requests, places, strict=True)]
            rows = [_row(request, where) for request, where in zip(found_here, places, strict=True)]
            streamed = any(len(request.response_timestamps) > 1 for request in found_here)
            remarks = (NOTE, *([dropped("the times of the responses before the last one", NO_TOKENS)] if streamed else []))
            yield Recording(name, one_batch(rows, TYPES, path), places.__getitem__, remarks=remarks, path=path)


def _row(request: Request, place: str) -> dict[str, Any]:
    answered = request.success and bool(request.response_timestamps)
    return {
        "start_ns": nanoseconds(request.timestamp, 1, place, "timestamp"),
        "inference_ns": nanoseconds(request.response_timestamps[-1] - request.timestamp, 1, place, "the last response")
        if answered
        else None,
        "outcome": "ok" if answered else "error",
    }
