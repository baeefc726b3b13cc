"""AIPerf's ``profile_export.jsonl``: one request a line. The time is AIPerf's own ``request_latency``; no scheduled time is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from orchestrator.importing.documents import Record, checked, nanoseconds, one_batch, parsed, read_lines
from orchestrator.importing.recording import NO_TOKENS, UNITS, Recording, dropped, refuse_columns, shown

NOTE = "The time of a request of AIPerf is its request_latency, from sending it to its last response; its file holds no scheduled time."
SHOWN = 6
TYPES = {"start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string()}


class Metadata(Record):
    """When a request began and ended, and of which phase it was."""

    request_start_ns: int
    request_end_ns: int
    benchmark_phase: str | None = None
    was_cancelled: bool = False


class Latency(Record):
    """A figure and its unit."""

    value: float
    unit: Literal["ns", "us", "ms", "s", "sec"]


class Metrics(Record):
    """The figures of a request that are read."""

    request_latency: Latency | None = None


class Request(Record):
    """One line."""

    metadata: Metadata
    metrics: Metrics = Metrics()
    error: Any = None


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file. Requests of a phase of warm-up are left out, and counted."""
    refuse_columns(columns, "aiperf")
    for path in paths:
        rows: list[dict[str, Any]] = []
        places: list[str] = []
        left_out = 0
        others: set[str] = set()
        for number, line in read_lines(path):
            place = f"{path} line {number}"
            document = parsed(line, place)
            request = checked(Request, document, place)
            others |= set(document.get("metrics") or ()) - {"request_latency"}
            if request.metadata.benchmark_phase not in (None, "profiling"):
                left_out += 1
                continue
            rows.append(_row(request, place))
            places.append(place)
        warmup = [f"{left_out} requests of AIPerf's warm-up are left out."] if left_out else []
        yield Recording(path.stem, one_batch(rows, TYPES, path), places.__getitem__, remarks=(NOTE, *warmup, *_dropped(others)), path=path)


def _dropped(metrics: Set[str]) -> Iterator[str]:
    """Yield what is not imported of a file's metrics: each time of tokens by its name, the others together."""
    of_tokens = sorted(name for name in metrics if name.startswith("time_to_") or name in ("inter_token_latency", "inter_chunk_latency"))
    yield from (dropped(f"{shown([name], 1)} of the file", NO_TOKENS) for name in of_tokens)
    if others := sorted(metrics - set(of_tokens)):
        yield dropped(f"the other metrics of the file ({shown(others, SHOWN)})", "no figure of a trial is made of them")


def _row(request: Request, place: str) -> dict[str, Any]:
    latency, about = request.metrics.request_latency, request.metadata
    if latency is None:
        time_ns = about.request_end_ns - about.request_start_ns
    else:
        time_ns = nanoseconds(latency.value, UNITS[latency.unit.removesuffix("ec")], place, "request_latency")
    outcome = "timeout" if about.was_cancelled else "ok" if request.error is None else "error"
    return {"start_ns": nanoseconds(about.request_start_ns, 1, place, "request_start_ns"), "inference_ns": time_ns, "outcome": outcome}
