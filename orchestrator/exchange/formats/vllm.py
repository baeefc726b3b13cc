"""vLLM's ``vllm bench serve --save-result --save-detailed``: the time is that to the first token plus the gaps between tokens."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from orchestrator.exchange.documents import Record, checked, nanoseconds, one_batch, read_document
from orchestrator.exchange.recording import BadRecord, Recording, refuse_columns

NOTE = (
    "The time of a request of vLLM's benchmark is ttft + itls, from sending it to its last token. A wait for --max-concurrency is not in, "
    "which differs between versions of that program; its file holds no scheduled time."
)
TYPES = {
    "start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string(), "first_token_ns": pa.float64(),
    "token_gaps_ns": pa.list_(pa.float64()), "tokens": pa.int64(),
}  # fmt: skip


class File(Record):
    """Lists of one entry per request, in seconds. Older versions have no ``start_times``, and those of newer ones count from any moment."""

    model_id: str | None = None
    ttfts: list[float]
    itls: list[list[float]]
    errors: list[str | None]
    start_times: list[float] | None = None
    output_lens: list[int] | None = None


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file."""
    refuse_columns(columns, "vllm")
    for path in paths:
        found = checked(File, read_document(path), f"{path} (written with --save-detailed?)")
        _refuse_uneven(found, path)
        places = [f"{path} request {number}" for number in range(len(found.ttfts))]
        rows = [_row(found, number, place) for number, place in enumerate(places)]
        yield Recording(path.stem, one_batch(rows, TYPES, path), places.__getitem__, model=found.model_id, remarks=(NOTE,), path=path)


def _refuse_uneven(found: BaseModel, path: Path) -> None:
    lists = {name: len(value) for name, value in found if isinstance(value, list)}
    if len(set(lists.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in lists.items())
        raise BadRecord(f"{path} holds {told}, and each request has one of each: export the file again")


def _row(found: File, number: int, place: str) -> dict[str, Any]:
    answered = not found.errors[number]
    start = None if found.start_times is None else nanoseconds(found.start_times[number], 10**9, place, "start_times")
    first, gaps = found.ttfts[number], found.itls[number]
    time_ns = nanoseconds(first + sum(gaps), 10**9, place, "ttfts + itls")
    return {
        "start_ns": start,
        "inference_ns": time_ns if answered else None,
        "outcome": "ok" if answered else "error",
        "first_token_ns": first * 1e9 if answered and first else None,  # 0 where there was none
        "token_gaps_ns": [gap * 1e9 for gap in gaps] if answered else None,
        "tokens": None if found.output_lens is None else found.output_lens[number],
    }
