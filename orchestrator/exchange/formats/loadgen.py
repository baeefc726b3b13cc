"""MLPerf LoadGen's logs of one run, from its folder or by its files: trace (needed), detail and accuracy (where they are there)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import (
    Record,
    Recording,
    at,
    checked,
    dropped,
    nanoseconds,
    parsed,
    read_document,
    read_lines,
    schedule,
    shown,
    table_of,
)  # fmt: skip

TRACE, DETAIL, ACCURACY = "mlperf_log_trace.json", "mlperf_log_detail.txt", "mlperf_log_accuracy.json"
SAMPLE = re.compile(rb'\{\s*"name"\s*:\s*"Sample"')
# What LoadGen writes when the run is over: a trace without it was cut off.
LAST = re.compile(rb'\{\s*"name"\s*:\s*"LastTrace"')
MARK = b":::MLLOG "
COUNT = "result_query_count"
KEPT = (
    "loadgen_version", "test_datetime", "effective_scenario", "effective_test_mode", "effective_target_qps", COUNT, "num_errors",
)  # fmt: skip
# The one scenario whose queries have a schedule: Poisson arrivals. In the others the next query is scheduled when the last has ended, or
# all are at once.
SERVER = "Server"
NOTE = (
    "The time of a query of LoadGen runs from its issue to its completion; LoadGen's own latencies run from the scheduled time, as the "
    "clock response does under its scenario Server: they include the delay of issuing."
)


class Event(Record):
    """A line of the trace: ``ts`` is the scheduled time in us, from which the two others count."""

    ts: float
    query_seq: int | None = at("args", "query_seq")
    sample_seq: int | None = at("args", "sample_seq")
    sample_idx: int = at("args", "sample_idx", default=...)
    issue_start_ns: int = at("args", "issue_start_ns", default=...)
    complete_ns: int = at("args", "complete_ns", default=...)


class Answer(Record):
    """One entry of the accuracy log."""

    qsl_idx: int
    data: str


class Entry(Record):
    """One line of the detail log."""

    key: str
    value: Any = None


def read(folder: Path) -> Iterator[Recording]:
    """Yield the one recording of a folder of logs."""
    trace, detail, accuracy = files = [folder / name for name in (TRACE, DETAIL, ACCURACY)]
    if not trace.exists():
        raise InputError(
            f"{folder} holds no {TRACE}: the other logs hold no time of single queries; run LoadGen with enable_trace",
            "not_found",
            value=trace,
        )
    marked = [(f"{detail} line {number}", line) for number, line in read_lines(detail) if line.startswith(MARK)] if detail.exists() else []
    entries = [checked(Entry, parsed(line.removeprefix(MARK), place), place) for place, line in marked]
    facts = {entry.key: str(entry.value)[:200] for entry in entries if entry.key in KEPT}
    answers = read_document(accuracy) if accuracy.exists() else []
    if not isinstance(answers, list):
        raise InputError(f"{accuracy} is no list of answers: run LoadGen again", "damaged")
    known = [checked(Answer, value, f"{accuracy} answer {number}") for number, value in enumerate(answers)]
    rows = _rows(trace, facts, {answer.qsl_idx: answer.data for answer in known})
    scenario, rate_per_s, load, remarks = facts.get("effective_scenario"), None, None, [NOTE]
    if scenario == SERVER:
        with suppress(ValueError):
            rate_per_s = float(facts.get("effective_target_qps", ""))
        load, lost = schedule("poisson", rate_per_s, trace)
        remarks += lost
    else:
        why = f"under scenario {shown([scenario])} they are no schedule" if scenario else f"there is no {DETAIL} that says the scenario"
        remarks.append(dropped("the scheduled times in the trace as a clock response", why))
    table, there = table_of(rows.values(), trace, prediction=pa.string()), [path for path in files if path.exists()]
    where = [*rows].__getitem__
    yield Recording(folder.resolve().name, table, where, folder, remarks=remarks, facts={"loadgen": facts}, load=load, files=there)


def _rows(path: Path, facts: Mapping[str, str], answers: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    """Return the queries of a trace by where each is. It is one object a line, and as a whole no JSON.

    Raises InputError of a part of one.
    """
    rows: dict[str, dict[str, Any]] = {}
    queries: set[int | None] = set()
    seen: dict[int, int] = {}
    is_whole, epoch_ns = False, 0
    with suppress(ValueError, OverflowError):
        epoch_ns = int(datetime.fromisoformat(facts.get("test_datetime", "")).replace(tzinfo=UTC).timestamp()) * 10**9
    for number, line in read_lines(path):
        is_whole |= bool(LAST.match(line))
        if not SAMPLE.match(line):
            continue
        place = f"{path} line {number}"
        document = parsed(line.rstrip().removesuffix(b","), place)
        if document.get("ph", "b") != "b":
            continue
        event = checked(Event, document, place)
        if event.sample_seq is not None and (first := seen.setdefault(event.sample_seq, number)) != number:
            raise InputError(
                f"{place} is the sample of line {first} once more (sample_seq {event.sample_seq}); remove one of them",
                "conflict",
                "sample_seq",
                event.sample_seq,
            )
        scheduled = epoch_ns + nanoseconds(event.ts, 10**3, place, "ts")
        rows[place] = {
            "sample": event.sample_idx,
            "arrival_ns": scheduled,
            "start_ns": scheduled + event.issue_start_ns,
            "inference_ns": event.complete_ns - event.issue_start_ns,
            "prediction": answers.get(event.sample_idx),
        }
        queries.add(event.query_seq)
    counted = facts.get(COUNT, "")
    if None not in queries and counted.isdecimal() and len(queries) < int(counted):
        raise InputError(
            f"{path} holds {len(queries):,} of {int(counted):,} queries ({COUNT} of {DETAIL}): copy the whole file, or run LoadGen again",
            "damaged",
            COUNT,
        )
    if not is_whole:
        raise InputError(f"{path} is cut off, since it has no LastTrace: copy the whole file, or run LoadGen again", "damaged", "LastTrace")
    return rows
