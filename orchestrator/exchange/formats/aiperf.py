"""AIPerf's ``profile_export.jsonl``: one request a line. The time is AIPerf's own ``request_latency``; no scheduled time is there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import AliasPath

from orchestrator.exchange.formats import UNITS, BadRecord, Record, Recording, at, checked, dropped, parsed, read_lines, shown, table_of

NOTE = "The time of a request of AIPerf is its request_latency, from sending it to its last response; its file holds no scheduled time."
SHOWN = 6
OTHERS = "no figure of a trial is made of them"
TYPES = {
    "outcome": pa.string(), "inference_ns": pa.float64(), "first_token_ns": pa.float64(), "token_gaps_ns": pa.list_(pa.float64()),
    "tokens": pa.float64(),
}  # fmt: skip


class Latency(Record):
    """A time, or several."""

    value: float | list[float]
    unit: Literal["ns", "us", "ms", "s", "sec"]

    @property
    def ns(self) -> float | list[float]:
        per = UNITS[self.unit.removesuffix("ec")]
        return [value * per for value in self.value] if isinstance(self.value, list) else self.value * per


class Request(Record):
    """One line. Of the numbers of tokens, that which the server counts comes first; where none is there, pieces count."""

    start_ns: int = at("metadata", "request_start_ns", default=...)
    end_ns: int = at("metadata", "request_end_ns", default=...)
    name: str | None = at("metadata", "x_request_id")
    phase: str | None = at("metadata", "benchmark_phase")
    cancelled: bool = at("metadata", "was_cancelled", default=False)
    latency: Latency | None = at("metrics", "request_latency")
    first_token: Latency | None = at("metrics", "time_to_first_token")
    gaps: Latency | None = at("metrics", "inter_chunk_latency")
    by_server: float | None = at("metrics", "usage_completion_tokens", "value")
    in_output: float | None = at("metrics", "output_sequence_length", "value")
    in_all: float | None = at("metrics", "output_token_count", "value")
    error: Any = None


READ = {str(field.validation_alias.path[1]) for field in Request.model_fields.values() if isinstance(field.validation_alias, AliasPath)}


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file. Requests of a phase of warm-up are left out, and counted."""
    for path in paths:
        rows: list[dict[str, Any]] = []
        places: list[str] = []
        left_out = 0
        others: set[str] = set()
        seen: dict[str, int] = {}
        for number, line in read_lines(path):
            place = f"{path} line {number}"
            document = parsed(line, place)
            request = checked(Request, document, place)
            if request.name is not None and (first := seen.setdefault(request.name, number)) != number:
                raise BadRecord(
                    f"{place} is the request of line {first} once more (x_request_id {shown([request.name], 1)}); remove one of them"
                )
            if isinstance(metrics := document.get("metrics"), dict):
                others |= metrics.keys() - READ
            if request.phase not in (None, "profiling"):
                left_out += 1
                continue
            rows.append(_row(request))
            places.append(place)
        warmup = [f"{left_out} requests of AIPerf's warm-up are left out."] if left_out else []
        left = [dropped(f"the other metrics of the file ({shown(sorted(others), SHOWN)})", OTHERS)] if others else []
        yield Recording(
            path.stem,
            table_of(rows, path, **TYPES),
            places.__getitem__,
            path,
            remarks=(NOTE, *warmup, *left),
            facts={"aiperf": {"not_imported": [shown([name], 1) for name in sorted(others)]}} if others else {},
        )


def _row(request: Request) -> dict[str, Any]:
    numbers = [number for number in (request.by_server, request.in_output, request.in_all) if number is not None]
    return {
        "start_ns": request.start_ns,
        "inference_ns": request.end_ns - request.start_ns if request.latency is None else request.latency.ns,
        "outcome": "timeout" if request.cancelled else "ok" if request.error is None else "error",
        "first_token_ns": None if request.first_token is None else request.first_token.ns,
        "token_gaps_ns": None if request.gaps is None else request.gaps.ns,
        "tokens": numbers[0] if numbers else None,
    }
