"""AIPerf's ``profile_export.jsonl``: one request a line. The time is AIPerf's own ``request_latency``; no scheduled time is there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from orchestrator.exchange.documents import Record, checked, nanoseconds, one_batch, parsed, read_lines
from orchestrator.exchange.recording import UNITS, BadRecord, Recording, dropped, refuse_columns, shown

NOTE = "The time of a request of AIPerf is its request_latency, from sending it to its last response; its file holds no scheduled time."
SHOWN = 6
OTHERS = "no figure of a trial is made of them"
TYPES = {
    "start_ns": pa.int64(), "inference_ns": pa.int64(), "outcome": pa.string(), "first_token_ns": pa.float64(),
    "token_gaps_ns": pa.list_(pa.float64()), "tokens": pa.float64(),
}  # fmt: skip
NUMBERS_OF_TOKENS = ("usage_completion_tokens", "output_sequence_length", "output_token_count")
"""Those that the server counts come first. Where none is there, pieces count."""


class Metadata(Record):
    """When a request began and ended, and of which phase it was."""

    request_start_ns: int
    request_end_ns: int
    x_request_id: str | None = None
    benchmark_phase: str | None = None
    was_cancelled: bool = False


class Unit(Record):
    """What a figure is in."""

    unit: Literal["ns", "us", "ms", "s", "sec"]

    @property
    def ns(self) -> int:
        """Its unit in ns."""
        return UNITS[self.unit.removesuffix("ec")]


class Latency(Unit):
    """A time."""

    value: float


class Latencies(Unit):
    """Several times."""

    value: list[float]


class Number(Record):
    """A number of tokens."""

    value: float


class Metrics(Record):
    """The figures of a request that are read."""

    request_latency: Latency | None = None
    time_to_first_token: Latency | None = None
    inter_chunk_latency: Latencies | None = None
    usage_completion_tokens: Number | None = None
    output_sequence_length: Number | None = None
    output_token_count: Number | None = None


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
        seen: dict[str, int] = {}
        for number, line in read_lines(path):
            place = f"{path} line {number}"
            document = parsed(line, place)
            request = checked(Request, document, place)
            if (name := request.metadata.x_request_id) is not None and (first := seen.setdefault(name, number)) != number:
                raise BadRecord(f"{place} is the request of line {first} once more (x_request_id {shown([name], 1)}); remove one of them")
            others |= set(document.get("metrics") or ()) - set(Metrics.model_fields)
            if request.metadata.benchmark_phase not in (None, "profiling"):
                left_out += 1
                continue
            rows.append(_row(request, place))
            places.append(place)
        warmup = [f"{left_out} requests of AIPerf's warm-up are left out."] if left_out else []
        left = [dropped(f"the other metrics of the file ({shown(sorted(others), SHOWN)})", OTHERS)] if others else []
        yield Recording(
            path.stem,
            one_batch(rows, TYPES, path),
            places.__getitem__,
            remarks=(NOTE, *warmup, *left),
            facts={"aiperf": {"not_imported": [shown([name], 1) for name in sorted(others)]}} if others else {},
            path=path,
        )


def _row(request: Request, place: str) -> dict[str, Any]:
    metrics, about = request.metrics, request.metadata
    latency, first, gaps = metrics.request_latency, metrics.time_to_first_token, metrics.inter_chunk_latency
    if latency is None:
        time_ns = about.request_end_ns - about.request_start_ns
    else:
        time_ns = nanoseconds(latency.value, latency.ns, place, "request_latency")
    numbers = [number for number in (getattr(metrics, name) for name in NUMBERS_OF_TOKENS) if number is not None]
    return {
        "start_ns": nanoseconds(about.request_start_ns, 1, place, "request_start_ns"),
        "inference_ns": time_ns,
        "outcome": "timeout" if about.was_cancelled else "ok" if request.error is None else "error",
        "first_token_ns": None if first is None else first.value * first.ns,
        "token_gaps_ns": None if gaps is None else [gap * gaps.ns for gap in gaps.value],
        "tokens": numbers[0].value if numbers else None,
    }
