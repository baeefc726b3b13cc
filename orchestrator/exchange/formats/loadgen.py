"""MLPerf LoadGen's logs of one run, from its folder or by its files: trace (needed), detail and accuracy (where they are there)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.exchange.documents import Record, checked, nanoseconds, one_batch, parsed, read_document, read_lines
from orchestrator.exchange.recording import BadRecord, Recording, dropped, law_lost, refuse_columns, schedule, shown

TRACE, DETAIL, ACCURACY = "mlperf_log_trace.json", "mlperf_log_detail.txt", "mlperf_log_accuracy.json"
SAMPLE = re.compile(r'\{\s*"name"\s*:\s*"Sample"')
LAST = re.compile(r'\{\s*"name"\s*:\s*"LastTrace"')
"""What LoadGen writes when the run is over: a trace without it was cut off."""
MARK = ":::MLLOG "
COUNT = "result_query_count"
KEPT = (
    "loadgen_version", "test_datetime", "effective_scenario", "effective_test_mode", "effective_target_qps", COUNT, "num_errors",
)  # fmt: skip
SERVER = "Server"
"""The one scenario whose queries have a schedule: Poisson arrivals. In the others the next query is scheduled when the last has ended, or
all are at once."""
NOTE = (
    "The time of a query of LoadGen runs from its issue to its completion; LoadGen's own latencies run from the scheduled time, as the "
    "clock response does under its scenario Server, and so are longer by the delay of issuing."
)
TYPES = {
    "sample": pa.int64(), "start_ns": pa.int64(), "arrival_ns": pa.int64(), "inference_ns": pa.int64(), "prediction": pa.string(),
}  # fmt: skip


class Arguments(Record):
    """``issue_start_ns`` and ``complete_ns`` count from the scheduled time."""

    query_seq: int | None = None
    sample_seq: int | None = None
    sample_idx: int
    issue_start_ns: int
    complete_ns: int


class Event(Record):
    """A line of the trace; ``ts`` is the scheduled time in us."""

    ph: str
    ts: float
    args: Arguments | None = None


class Answer(Record):
    """One entry of the accuracy log."""

    qsl_idx: int
    data: str


class Entry(Record):
    """One line of the detail log."""

    key: str
    value: Any = None


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per folder of logs."""
    refuse_columns(columns, "loadgen")
    for folder in dict.fromkeys(path if path.is_dir() else path.parent for path in paths):
        trace = folder / TRACE
        if not trace.exists():
            raise InputError(f"{folder} holds no {TRACE}: the other logs hold no time of single queries; run LoadGen with enable_trace")
        facts = _details(folder / DETAIL)
        answers = _answers(folder / ACCURACY)
        rows, places = _rows(trace, facts, answers)
        scenario = facts.get("effective_scenario")
        load = schedule("poisson", _rate(facts), trace) if scenario == SERVER else None
        why = f"under scenario {shown([scenario], 1)} they are no schedule" if scenario else f"there is no {DETAIL} that says the scenario"
        remarks = (NOTE, *law_lost(load), *([] if load else [dropped("the scheduled times in the trace as a clock response", why)]))
        yield Recording(
            folder.resolve().name,
            one_batch(rows, TYPES, trace),
            places.__getitem__,
            remarks=remarks,
            facts={"loadgen": facts},
            path=folder,
            load=load,
            files=[folder / name for name in (TRACE, DETAIL, ACCURACY) if (folder / name).exists()],
        )


def _rate(facts: Mapping[str, Any]) -> float | None:
    """Return the queries a second that the detail log asks for, None where it does not say."""
    try:
        return float(facts.get("effective_target_qps", ""))
    except ValueError:
        return None


def _rows(path: Path, facts: Mapping[str, Any], answers: Mapping[int, str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the queries of a trace, and where each is. It is one object a line, and as a whole no JSON.

    Raises BadRecord of a part of one.
    """
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    queries: set[int | None] = set()
    seen: dict[int, int] = {}
    is_whole, epoch_ns = False, _epoch_ns(facts)
    for number, line in read_lines(path):
        is_whole |= bool(LAST.match(line))
        if not SAMPLE.match(line):
            continue
        place = f"{path} line {number}"
        event = checked(Event, parsed(line.rstrip().removesuffix(","), place), place)
        if event.ph != "b":
            continue
        if event.args is None:
            raise BadRecord(f"{place}: args is missing; run LoadGen again")
        if (name := event.args.sample_seq) is not None and (first := seen.setdefault(name, number)) != number:
            raise BadRecord(f"{place} is the sample of line {first} once more (sample_seq {name}); remove one of them")
        scheduled = epoch_ns + nanoseconds(event.ts, 10**3, place, "ts")
        rows.append(
            {
                "sample": nanoseconds(event.args.sample_idx, 1, place, "sample_idx"),
                "arrival_ns": scheduled,
                "start_ns": scheduled + event.args.issue_start_ns,
                "inference_ns": event.args.complete_ns - event.args.issue_start_ns,
                "prediction": answers.get(event.args.sample_idx),
            }
        )
        places.append(place)
        queries.add(event.args.query_seq)
    _refuse_part(path, None if None in queries else len(queries), is_whole, facts)
    return rows, places


def _refuse_part(path: Path, queries: int | None, is_whole: bool, facts: Mapping[str, Any]) -> None:
    """Raise BadRecord of a trace that lacks queries or its end. ``queries``: None where the trace does not number them."""
    counted = str(facts.get(COUNT))
    if queries is not None and counted.isdecimal() and queries < int(counted):
        raise BadRecord(
            f"{path} holds {queries:,} of {int(counted):,} queries ({COUNT} of {DETAIL}): copy the whole file, or run LoadGen again"
        )
    if not is_whole:
        raise BadRecord(f"{path} is cut off, since it has no LastTrace: copy the whole file, or run LoadGen again")


def _details(path: Path) -> dict[str, Any]:
    """Return what is kept of the detail log."""
    facts: dict[str, Any] = {}
    for number, line in read_lines(path) if path.exists() else ():
        if line.startswith(MARK):
            place = f"{path} line {number}"
            entry = checked(Entry, parsed(line.removeprefix(MARK), place), place)
            if entry.key in KEPT:
                facts[entry.key] = str(entry.value)[:200]
    return facts


def _answers(path: Path) -> dict[int, str]:
    """Return the answer to each sample that the accuracy log holds, as hexadecimal text."""
    if not path.exists():
        return {}
    document = read_document(path)
    if not isinstance(document, list):
        raise BadRecord(f"{path} is no list of answers: run LoadGen again")
    answers = (checked(Answer, value, f"{path} answer {number}") for number, value in enumerate(document))
    return {answer.qsl_idx: answer.data for answer in answers}


def _epoch_ns(facts: Mapping[str, Any]) -> int:
    """Return when the run began, in ns since 1970; 0 where the detail log does not say."""
    try:
        return int(datetime.fromisoformat(str(facts.get("test_datetime"))).replace(tzinfo=UTC).timestamp()) * 10**9
    except (ValueError, OverflowError):
        return 0
