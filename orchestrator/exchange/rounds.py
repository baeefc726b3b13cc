"""Which round and sample each request is, as the file says or formed by time, and when rounds and requests were. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.storage import schema

# A moment that a request does not have.
MISSING = np.iinfo(np.int64).min
# Moments from 1970 to 9999 count as times of day.
LAST_MOMENT_NS = 253_402_300_000 * 10**9
# Rounds that are formed by time: so many at most, of so many requests at least.
MOST_ROUNDS, LEAST_REQUESTS = 100, 10
LATEST = np.iinfo(np.int64).max
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Arrangement:
    """Where each row goes. N rows are kept, of S samples.

    order
        rows that are kept, [N], in order of round and sample.
    rounds, samples
        of these rows, [N]; both count from 0.
    values
        what each sample is in the file, [S]; None where samples are places in a round.
    how
        rounds came about: they are given, each is a time that all samples were asked again, samples were asked unequally often, requests
        are too few, or they are cut by time.
    flag
        what a reader of each figure must know of that, or None.
    aside
        rows at the beginning that form no whole round, in order of time; they are stored as warm-up.
    """

    order: Numbers
    rounds: Numbers
    samples: Numbers
    values: Numbers | None
    how: Literal["given", "again", "unequal", "few", "cut"]
    flag: str | None = None
    aside: Numbers = field(default_factory=lambda: np.arange(0))


def arranged(rounds: Numbers | None, samples: Numbers | None, start: Numbers | None, rows: int, scored: bool) -> Arrangement:
    """Return where each row goes.

    Parameters
    ----------
    rounds, samples
        as in the file, [rows]; None where it does not say.
    start
        when each request began, ns, [rows]; None where the file does not say. Rows without a moment come first, in the order of the file.
    scored
        whether samples have scores, so that each request must stay that of its sample.
    """
    if rounds is not None:
        return _as_given(rounds, samples)
    every = np.arange(rows, dtype=np.int32)
    in_time = every if start is None or (start == MISSING).all() else np.argsort(start, kind="stable")
    if samples is not None:
        values, codes, counts = np.unique(samples, return_inverse=True, return_counts=True)
        if rows and (counts == counts[0]).all() and (counts[0] > 1 or scored or rows < 2 * LEAST_REQUESTS):
            order = in_time[np.argsort(codes[in_time], kind="stable")].reshape(values.size, -1).T.reshape(-1)
            return Arrangement(order, *np.divmod(every, values.size), values, "again", None if counts[0] > 1 else "one round")
    if scored:
        return Arrangement(every, every * 0, every, None, "unequal", "one round")
    # Requests are cut into rounds of equal size in order of time; the fewest possible are put aside, at the beginning.
    most = min(MOST_ROUNDS, rows // LEAST_REQUESTS)
    if most < 2:
        return Arrangement(in_time, every * 0, every, None, "few", "one round")
    number = min(range(most, max(1, most * 3 // 5), -1), key=lambda count: rows % count)
    size, left = divmod(rows, number)
    return Arrangement(in_time[left:], *np.divmod(every[: rows - left], size), None, "cut", "rounds by time", in_time[:left])


def _as_given(rounds: Numbers, samples: Numbers | None) -> Arrangement:
    numbers, codes = np.unique(rounds, return_inverse=True)
    if samples is None:
        order = np.argsort(codes, kind="stable")
        first = np.searchsorted(codes[order], np.arange(numbers.size))
        places = np.arange(order.size) - first[codes[order]]
        return Arrangement(order, codes[order].astype(np.int32), places.astype(np.int32), None, "given")
    values, of_sample = np.unique(samples, return_inverse=True)
    key = (codes.astype(np.int64) << 32) + of_sample
    order = np.arange(key.size) if (np.diff(key) > 0).all() else np.argsort(key, kind="stable")
    return Arrangement(order, codes[order].astype(np.int32), of_sample[order].astype(np.int32), values, "given")


def visits_by_time(began: Numbers, ended: Numbers) -> NDArray[np.int32] | None:
    """Return the number of the visit of each round, [R]: one ends where the pause after it is at least half a round long.

    None where no pause is, so that all rounds are one visit.

    Parameters
    ----------
    began, ended : [R]
        when rounds did, ns.
    """
    if began.size < 2:
        return None
    pauses = began[1:] - np.maximum.accumulate(ended)[:-1]
    breaks = pauses >= max(1.0, float(np.median(ended - began)) / 2)
    return np.concatenate([[0], np.cumsum(breaks)]).astype(np.int32) if breaks.any() else None


@dataclass(frozen=True)
class Timeline:
    """When the rounds and requests of an import were.

    rounds
        columns of ``schema.ROUNDS``, one row per round.
    first_row
        where each round's rows begin among those that are kept, and how many these are.
    requests
        what timings under load have besides, for the rows that are kept; without columns where there is no schedule.
    early_ns
        how long before their scheduled time requests began, below 0: of those that did.
    began, ended
        the beginning of the first round and the end of the last, in UTC.
    """

    rounds: pa.Table
    first_row: Numbers
    requests: pa.Table
    early_ns: Numbers
    began: datetime
    ended: datetime


def moments(rows: pa.Table, name: str) -> Numbers:
    """Return a column of moments, `MISSING` where a row has none or the file does not say."""
    if name not in rows.column_names:
        return np.full(rows.num_rows, MISSING)
    return np.asarray(rows.column(name).fill_null(MISSING).to_numpy())


def why_no_schedule(rows: pa.Table) -> str | None:
    """Return why scheduled times give no time to answer, or None if they do. A schedule holds every request, whatever became of it."""
    if lacking := int((moments(rows, "arrival_ns") == MISSING).sum()):
        return f"{lacking:,} of {rows.num_rows:,} requests have none"
    if "start_ns" not in rows.column_names:
        return "the file does not say when requests began (start_ns)"
    unknown = int(((moments(rows, "start_ns") == MISSING) & (rows.column("outcome").to_numpy() == schema.OK)).sum())
    return f"the file does not say when {unknown:,} of the requests that were answered began" if unknown else None


def timeline(rows: pa.Table, made: Arrangement, scheduled: bool, one_stream: bool) -> Timeline:
    """Return when rounds were.

    Parameters
    ----------
    scheduled
        whether requests have a schedule, which counts then.
    one_stream
        whether it is one, whatever its pauses; else a pause that makes a visit begins a new one.
    """
    first = np.searchsorted(made.rounds, np.arange(int(made.rounds[-1]) + 1))
    bounds = np.append(first, made.order.size)
    stages = [rows.column(stage).fill_null(0).to_numpy() for stage in schema.STAGES if stage in rows.column_names]
    total = np.sum(stages, axis=0)[made.order]
    start = moments(rows, "start_ns")[made.order]
    due = moments(rows, "arrival_ns")[made.order] if scheduled else start
    visits, early, requests = None, start[:0], pa.table({})
    if (start == MISSING).all():
        took = np.maximum(np.add.reduceat(total, first), 1)
        began = np.concatenate([[0], np.cumsum(took)[:-1]])
    else:
        began, ended = _ends(start, start + total, due, first, scheduled)
        took = np.maximum(ended - began, 1)
        visits = None if one_stream else visits_by_time(began, ended)
        shift = int(began.min()) if began.min() < 0 or ended.max() > LAST_MOMENT_NS else 0
        if scheduled:
            visits = np.zeros(first.size, np.int32) if visits is None else visits
            of_stream = np.full(int(visits.max()) + 1, LATEST)
            np.minimum.at(of_stream, visits, began)
            waited = np.where(start == MISSING, 0, start - due)
            early = waited[waited < 0]
            not_ok = rows.column("outcome").to_numpy()[made.order] != schema.OK
            requests = pa.table(
                {
                    "arrival_ns": due - np.repeat(of_stream[visits], np.diff(bounds)),
                    "queue_ns": pa.array(np.maximum(waited, 0), mask=not_ok),
                    "ramp": np.zeros(due.size, dtype=bool),
                }
            )
        began = began - shift
    of_rounds: dict[str, Any] = {
        "round": pa.array(np.arange(first.size), pa.int32()),
        "started_at": pa.array(began // 1000, pa.timestamp("us", tz="UTC")),
        "started_monotonic_ns": began - began.min(),
        "duration_ns": took,
        "process": pa.array(np.zeros(first.size), pa.int32()),
        "visit": pa.nulls(first.size, pa.int32()) if visits is None else visits,
        "incomplete": np.diff(bounds) < int(made.samples.max()) + 1,
    }
    if scheduled and visits is not None:
        of_rounds |= {
            "stream": visits,
            "stream_started_monotonic_ns": (of_stream[visits] - shift) - began.min(),
            "overloaded": np.zeros(first.size, dtype=bool),
        }
    day = [datetime.fromtimestamp(min(int(moment), LAST_MOMENT_NS) / 1e9, UTC) for moment in (began.min(), (began + took).max())]
    return Timeline(pa.table(of_rounds), bounds, requests, early, *day)


def _ends(start: Numbers, end: Numbers, due: Numbers, first: Numbers, scheduled: bool) -> tuple[Numbers, Numbers]:
    """Return when rounds began and ended, [R], of requests with these moments, [N]."""
    known = start != MISSING
    end = np.where(known, end, MISSING)
    if scheduled:
        return np.minimum.reduceat(due, first), np.maximum.reduceat(np.maximum(due, end), first)
    began, ended = np.minimum.reduceat(np.where(known, start, LATEST), first), np.maximum.reduceat(end, first)
    lacking, earliest = ~np.maximum.reduceat(known, first), start[known].min()
    return np.where(lacking, earliest, began), np.where(lacking, earliest + 1, ended)
