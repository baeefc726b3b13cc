"""The rows of an import as timings and rounds, put together some rounds at a time."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.exchange.moments import Moments, Schedule
from orchestrator.exchange.rounds import Arrangement
from orchestrator.exchange.spool import COUNTS, GAPS_NS, Spool
from orchestrator.storage import schema
from orchestrator.storage.trial_writer import TrialWriter

PART_ROWS = 2**20
"""Rows that are put together in memory at once: those of whole rounds, and of one round at least; fewer if each has many gaps."""


def write_rounds(of_trial: TrialWriter, spool: Spool, made: Arrangement, moments: Moments) -> None:
    """Write all rounds, some of them at a time."""
    bounds = np.append(moments.first_row, made.order.size)
    gaps = int(np.maximum(spool.column(COUNTS), 0).sum()) // spool.rows if spool.has(COUNTS) else 0
    most = PART_ROWS * 8 // (8 + gaps)
    first = 0
    while first < moments.began.size:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1)
        rows = slice(int(bounds[first]), int(bounds[last]))
        timings = timings_of(spool, made.order[rows], made.rounds[rows], made.samples[rows])
        if moments.schedule is not None:
            timings = _with_arrivals(timings, moments.schedule, rows)
        of_trial.append(timings, _rows(moments, first, last, bounds, int(made.samples.max()) + 1))
        of_trial.flush()
        first = last


def timings_of(spool: Spool, rows: NDArray[np.int64], rounds: NDArray[np.int32], samples: NDArray[Any]) -> pa.Table:
    """Return rows of the file, each of a round and a sample, as columns of ``schema.TIMINGS``."""
    codes = spool.column("outcome")[rows]
    not_ok = codes != schema.OK
    stages = {
        name: pa.array(spool.column(name)[rows] if spool.has(name) else np.zeros(rows.size, np.int64), mask=not_ok)
        for name in schema.STAGES
    }
    tokens = {name: spool.column(name)[rows] for name in ("first_token_ns", "last_token_ns", "tokens") if spool.has(name)}
    return pa.table(
        {
            "round": rounds,
            "sample": samples.astype(np.int32),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(schema.OUTCOMES)),
            "start_gap_ns": pa.nulls(rows.size, pa.int64()),
            **stages,
            **{name: pa.array(values, mask=not_ok | (values == 0)) for name, values in tokens.items()},
            **({GAPS_NS: spool.gaps(rows)} if spool.has(COUNTS) else {}),
        }
    )


def _with_arrivals(timings: pa.Table, schedule: Schedule, rows: slice) -> pa.Table:
    """Return the same rows with what a trial under load has besides. None of them is a ramp's."""
    not_ok = timings.column("inference_ns").is_null().to_numpy()
    columns = {
        "arrival_ns": pa.array(schedule.arrival[rows]),
        "queue_ns": pa.array(schedule.queue[rows], mask=not_ok),
        "ramp": pa.array(np.zeros(not_ok.size, dtype=bool)),
    }
    for name, values in columns.items():
        timings = timings.append_column(name, values)
    return timings


def _rows(moments: Moments, first: int, last: int, bounds: NDArray[np.int64], samples: int) -> pa.Table:
    chosen = slice(first, last)
    sizes = np.diff(bounds[first : last + 1])
    number = last - first
    origin = int(moments.began.min())
    columns = {
        "round": pa.array(np.arange(first, last), pa.int32()),
        "started_at": pa.array(moments.began[chosen] // 1000, pa.timestamp("us", tz="UTC")),
        "started_monotonic_ns": moments.began[chosen] - origin,
        "duration_ns": moments.took[chosen],
        "process": pa.array(np.zeros(number), pa.int32()),
        "visit": pa.nulls(number, pa.int32()) if moments.visits is None else moments.visits[chosen],
        "incomplete": sizes < samples,
    }
    if (schedule := moments.schedule) is not None:
        columns |= {
            "stream": schedule.streams[chosen],
            "stream_started_monotonic_ns": schedule.stream_began[chosen] - origin,
            "overloaded": np.zeros(number, dtype=bool),
        }
    return pa.table(columns)
