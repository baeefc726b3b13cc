"""perf_analyzer's ``--profile-export-file``: one recording per experiment. The time runs from sending to the last response."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import Record, Recording, checked, dropped, parsed, parts_of, table_of

NOTE = "The time of a request of perf_analyzer runs from sending it to its last response; its file holds no scheduled time."
NO_EVENTS = "they are no events of OpenAI's form, the only form that shows which events hold a token"
# A streamed answer in OpenAI's form consists of lines that begin so; this one ends it.
EVENT, LAST_EVENT = "data:", "[DONE]"


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

    requests: list[Request]


def read(path: Path) -> Iterator[Recording]:
    """Yield one recording per experiment of a file."""
    for document, place, name in parts_of(path, "experiments"):
        where = f"{place}, request {{}}".format
        requests = checked(Experiment, document, place).requests
        rows = [_row(request, where(row)) for row, request in enumerate(requests)]
        streamed = any(len(request.response_timestamps) > 1 for request in requests)
        untold = streamed and not any(row.get("first_token_ns") for row in rows)
        remarks = (NOTE, *([dropped("the times of the responses before the last one", NO_EVENTS)] if untold else []))
        yield Recording(name, table_of(rows, path, outcome=pa.string(), token_gaps_ns=pa.list_(pa.int64())), where, path, remarks=remarks)


def _row(request: Request, place: str) -> dict[str, Any]:
    """Return a row. Of an answer in OpenAI's form the responses with content are its tokens, if the server does not count these."""
    moments, outputs = request.response_timestamps, request.response_outputs
    if not request.success or not moments:
        return {"start_ns": request.timestamp, "outcome": "error"}
    if outputs and len(outputs) != len(moments):
        raise InputError(
            f"{place} has {len(moments)} response_timestamps and {len(outputs)} response_outputs; export the file again",
            "damaged",
            "response_outputs",
        )
    if moments != sorted(moments):
        raise InputError(f"{place}: its response_timestamps go back in time; export the file again", "damaged", "response_timestamps")
    row = {"start_ns": request.timestamp, "outcome": "ok", "inference_ns": moments[-1] - request.timestamp}
    texts = [output.get("response") if isinstance(output, dict) else None for output in outputs]
    if not any(str(text).startswith(EVENT) for text in texts):
        return row
    came, counts = [], []
    for number, (moment, text) in enumerate(zip(moments, texts, strict=True)):
        if not isinstance(text, str):
            raise InputError(
                f"{place}, response {number} holds no text, as its others do; export the file again", "damaged", "response_outputs"
            )
        lines = [line.removeprefix(EVENT).strip() for line in text.splitlines() if line.startswith(EVENT)]
        where = f"{place}, response {number}"
        events = [checked(Event, parsed(line.encode(), where), where) for line in lines if line != LAST_EVENT]
        if any(piece.text or (piece.delta or {}).get("content") for event in events for piece in event.choices):
            came.append(moment)
        counts += [event.usage["completion_tokens"] for event in events if event.usage and "completion_tokens" in event.usage]
    if not came:
        return row
    return row | {
        "first_token_ns": came[0] - request.timestamp,
        "token_gaps_ns": [after - before for before, after in pairwise(came)],
        "tokens": counts[-1] if counts else len(came),
    }
