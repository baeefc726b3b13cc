"""vLLM's ``vllm bench serve --save-result --save-detailed``: the time is that to the first token plus the gaps between tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from orchestrator.importing.documents import Record, checked, nanoseconds, one_batch, read_document
from orchestrator.importing.recording import NO_TOKENS, BadRecord, Recording, dropped, refuse_columns

NOTE = (
    "The time of a request of vLLM's benchmark is ttft + itls, from sending it to its last token. A wait for --max-concurrency is not in, "
    "which differs between versions of that program; its file holds no scheduled time."
)
TYPES = {"start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string()}


class File(Record):
    """Lists of one entry per request, in seconds. Older versions have no ``start_times``, and those of newer ones count from any moment."""

    model_id: str | None = None
    ttfts: list[float]
    itls: list[list[float]]
    errors: list[str | None]
    start_times: list[float] | None = None


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file."""
    refuse_columns(columns, "vllm")
    for path in paths:
        found = checked(File, read_document(path), f"{path} (written with --save-detailed?)")
        _refuse_uneven(found, path)
        places = [f"{path} request {number}" for number in range(len(found.ttfts))]
        rows = [_row(found, number, place) for number, place in enumerate(places)]
        remarks = (
            NOTE,
            dropped("the times to first tokens (ttfts) as a clock of their own", NO_TOKENS),
            dropped("the gaps between tokens (itls) as figures of their own", NO_TOKENS),
        )
        yield Recording(path.stem, one_batch(rows, TYPES, path), places.__getitem__, model=found.model_id, remarks=remarks, path=path)


def _refuse_uneven(found: BaseModel, path: Path) -> None:
    lists = {name: len(value) for name, value in found if isinstance(value, list)}
    if len(set(lists.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in lists.items())
        raise BadRecord(f"{path} holds {told}, and each request has one of each: export the file again")


def _row(found: File, number: int, place: str) -> dict[str, Any]:
    answered = not found.errors[number]
    start = None if found.start_times is None else nanoseconds(found.start_times[number], 10**9, place, "start_times")
    time_ns = nanoseconds(found.ttfts[number] + sum(found.itls[number]), 10**9, place, "ttfts + itls")
    return {"start_ns": start, "inference_ns": time_ns if answered else None, "outcome": "ok" if answered else "error"}
