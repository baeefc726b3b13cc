"""AIPerf's ``profile_export.jsonl``: one request a line. The time is AIPerf's own ``request_latency``; no scheduled time is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import AliasPath

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import UNITS, Record, Recording, at, checked, dropped, parsed, read_lines, shown, table_of

GRADES, GRADED = "accuracy_export.jsonl", ("reference", "prediction", "slice_task")
NOTE = "The time of a request of AIPerf is its request_latency, from sending it to its last response; its file holds no scheduled time."
TYPES = {
    "outcome": pa.string(), "inference_ns": pa.float64(), "first_token_ns": pa.float64(), "token_gaps_ns": pa.list_(pa.float64()),
    "tokens": pa.float64(), "score_accuracy": pa.float64(), **dict.fromkeys(GRADED, pa.string()),
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
    session: int | None = at("metadata", "session_num")
    phase: str | None = at("metadata", "benchmark_phase")
    cancelled: bool = at("metadata", "was_cancelled", default=False)
    metrics: dict[str, Any] | None = None
    latency: Latency | None = at("metrics", "request_latency")
    first_token: Latency | None = at("metrics", "time_to_first_token")
    gaps: Latency | None = at("metrics", "inter_chunk_latency")
    by_server: float | None = at("metrics", "usage_completion_tokens", "value")
    in_output: float | None = at("metrics", "output_sequence_length", "value")
    in_all: float | None = at("metrics", "output_token_count", "value")
    error: Any = None

    @property
    def row(self) -> dict[str, Any]:
        return {
            "start_ns": self.start_ns,
            "inference_ns": self.end_ns - self.start_ns if self.latency is None else self.latency.ns,
            "outcome": "timeout" if self.cancelled else "ok" if self.error is None else "error",
            "first_token_ns": self.first_token and self.first_token.ns,
            "token_gaps_ns": self.gaps and self.gaps.ns,
            "tokens": next((number for number in (self.by_server, self.in_output, self.in_all) if number is not None), None),
        }


class Grade(Record):
    """A line of the file of an accuracy benchmark. Older versions know a request by its session alone."""

    x_request_id: str | None = None
    session_num: int | None = None
    benchmark_phase: str | None = None
    passed: bool
    expected: str | None = None
    actual: str | None = None
    task: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        return {"score_accuracy": float(self.passed), **dict(zip(GRADED, (self.expected, self.actual, self.task), strict=True))}


READ = {str(field.validation_alias.path[1]) for field in Request.model_fields.values() if isinstance(field.validation_alias, AliasPath)}


def read(path: Path) -> Iterator[Recording]:
    """Yield the one recording of a file. Requests of a phase of warm-up are left out, and counted.

    Where the file of an accuracy benchmark lies beside it, its answers have scores.
    """
    grades, beside = dict[object, dict[str, Any]](), path.with_name(GRADES)
    for number, line in read_lines(beside) if beside.exists() else ():
        grade = checked(Grade, parsed(line, place := f"{beside} line {number}"), place)
        if grade.benchmark_phase in (None, "profiling"):
            grades[grade.x_request_id or grade.session_num] = grade.row
    ungraded = 0
    rows: dict[str, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    every: set[str] = set()
    left_out = 0
    for number, line in read_lines(path):
        place = f"{path} line {number}"
        request = checked(Request, parsed(line, place), place)
        if request.name is not None and (first := seen.setdefault(request.name, number)) != number:
            raise InputError(
                f"{place} is the request of line {first} once more (x_request_id {shown([request.name])}); remove one of them",
                "conflict",
                "x_request_id",
                request.name,
            )
        every |= (request.metrics or {}).keys()
        if request.phase in (None, "profiling"):
            rows[place] = request.row
            if grades:
                found = grades.get(request.name) or grades.get(request.session)
                ungraded += found is None and rows[place]["outcome"] == "ok"
                rows[place] |= found or {"score_accuracy": 0.0}
        else:
            left_out += 1
    if ungraded:
        raise InputError(
            f"{beside}: {ungraded:,} of {len(rows):,} requests have an answer and no grade there; export both files of one run",
            "incomparable",
            value=ungraded,
        )
    others = sorted(every - READ)
    warmup = [f"{left_out} requests of AIPerf's warm-up are left out."] if left_out else []
    left = [dropped(f"the other metrics of the file ({shown(others, 6)})", "no figure of a trial uses them")] if others else []
    facts = {"aiperf": {"not_imported": [shown([name]) for name in others]}} if others else {}
    table = table_of(rows.values(), path, **TYPES)
    yield Recording(
        path.stem,
        table,
        [*rows].__getitem__,
        path,
        remarks=(NOTE, *warmup, *left),
        facts=facts,
        files=[path, *([beside] if grades else [])],
    )
