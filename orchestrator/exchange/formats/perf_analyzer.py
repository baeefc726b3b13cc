"""perf_analyzer's ``--profile-export-file``: one recording per experiment. The time runs from sending to the last response."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from orchestrator.exchange.documents import Record, checked, nanoseconds, one_batch, parsed, parts_of, read_document
from orchestrator.exchange.recording import BadRecord, Recording, dropped, refuse_columns

NOTE = "The time of a request of perf_analyzer runs from sending it to its last response; its file holds no scheduled time."
NO_EVENTS = "they are no events of OpenAI's form, of which alone it is known which hold a token"
EVENT, LAST_EVENT = "data:", "[DONE]"
"""A streamed answer in OpenAI's form consists of such lines."""
TYPES = {
    "start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string(), "first_token_ns": pa.int64(),
    "token_gaps_ns": pa.list_(pa.int64()), "tokens": pa.int64(),
}  # fmt: skip


class Request(Record):
    """``timestamp`` and ``response_timestamps`` are ns since 1970; a request without a response has failed."""

    timestamp: int
    response_timestamps: list[int] = Field([])
    response_outputs: list[Any] = Field([])
    success: bool = True


class Piece(Record):
    """The content of one event: ``delta`` of a chat, ``text`` of a completion. The role that a chat begins with is none."""

    delta: dict[str, Any] | None = None
    text: str | None = None


class Event(Record):
    """One event of a streamed answer."""

    choices: list[Piece] = Field([])
    usage: dict[str, Any] | None = None


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
            untold = streamed and not any(row.get("first_token_ns") for row in rows)
            remarks = (NOTE, *([dropped("the times of the responses before the last one", NO_EVENTS)] if untold else []))
            yield Recording(name, one_batch(rows, TYPES, path), places.__getitem__, remarks=remarks, path=path)


def _row(request: Request, place: str) -> dict[str, Any]:
    answered = request.success and bool(request.response_timestamps)
    if not answered:
        return {"start_ns": nanoseconds(request.timestamp, 1, place, "timestamp"), "outcome": "error"}
    moments, outputs = request.response_timestamps, request.response_outputs
    if outputs and len(outputs) != len(moments):
        raise BadRecord(f"{place} has {len(moments)} response_timestamps and {len(outputs)} response_outputs; export the file again")
    if any(after < before for before, after in pairwise(moments)):
        raise BadRecord(f"{place}: its response_timestamps go back in time; export the file again")
    return {
        "start_ns": nanoseconds(request.timestamp, 1, place, "timestamp"),
        "inference_ns": nanoseconds(request.response_timestamps[-1] - request.timestamp, 1, place, "the last response"),
        "outcome": "ok",
        **_tokens(request, place),
    }


def _tokens(request: Request, place: str) -> dict[str, Any]:
    """Return when the pieces of an answer in OpenAI's form came, of which those with content count; nothing of another answer."""
    found = [output.get("response") if isinstance(output, dict) else None for output in request.response_outputs]
    texts = [text if isinstance(text, str) else None for text in found]
    if not any(text is not None and text.startswith(EVENT) for text in texts):
        return {}
    if None in texts:
        raise BadRecord(f"{place}, response {texts.index(None)} holds no text, as its others do; export the file again")
    if not all(text is not None and text.startswith(EVENT) for text in texts):
        return {}
    events = [_events(str(text), f"{place}, response {number}") for number, text in enumerate(texts)]
    moments = [
        moment for moment, some in zip(request.response_timestamps, events, strict=True) if any(_has_content(event) for event in some)
    ]
    numbers = [event.usage.get("completion_tokens") for some in events for event in some if event.usage]
    tokens = next((number for number in reversed(numbers) if isinstance(number, int)), len(moments))
    if not moments:
        return {}
    return {
        "first_token_ns": nanoseconds(moments[0] - request.timestamp, 1, place, "the first response with content"),
        "token_gaps_ns": [after - before for before, after in pairwise(moments)],
        "tokens": tokens,
    }


def _events(text: str, place: str) -> list[Event]:
    lines = [line.removeprefix(EVENT).strip() for line in text.splitlines() if line.startswith(EVENT)]
    return [checked(Event, parsed(line, place), place) for line in lines if line != LAST_EVENT]


def _has_content(event: Event) -> bool:
    return any(bool(piece.text or (piece.delta or {}).get("content")) for piece in event.choices)
