"""When the rounds of an import were, and when each of its requests was scheduled. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from orchestrator.exchange.rounds import Arrangement, visits_by_time
from orchestrator.exchange.spool import MISSING, Spool
from orchestrator.storage import schema

NO_MOMENTS = "The file does not say when requests began: rounds are in the order of the file, and their times of day are made up."
STAMP_LIMITS_NS = (0, 253_402_300_000 * 10**9)
"""Moments from 1970 to 9999 count as times of day."""
LATEST, EARLIEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Schedule:
    """When the requests of an import were to begin; N rows that are kept, R rounds.

    arrival, queue
        when each was scheduled, ns from the start of its stream, and how long it waited from then until it began, [N].
    streams
        of each round, [R], from 0.
    stream_began
        when the stream of each round did, ns since 1970, [R].
    """

    arrival: Numbers
    queue: Numbers
    streams: NDArray[np.int32]
    stream_began: Numbers


@dataclass(frozen=True)
class Moments:
    """When rounds began, how long they took and which visit they belong to; ns since 1970, [R].

    first_row
        where each round's rows begin among those that are kept.
    told
        what a reader must know of them.
    schedule
        None where there is none.
    """

    began: Numbers
    took: Numbers
    first_row: Numbers
    visits: NDArray[np.int32] | None
    told: tuple[str, ...]
    schedule: Schedule | None = None

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """The beginning of the first round and the end of the last, in UTC."""
        return _time_of_day(int(self.began.min())), _time_of_day(int((self.began + self.took).max()))


def why_no_schedule(spool: Spool) -> str | None:
    """Return why scheduled times give no time to answer, or None if they do. A schedule holds every request, whatever became of it."""
    lacking = int((spool.column("arrival_ns") == MISSING).sum())
    if lacking:
        return f"{lacking:,} of {spool.rows:,} requests have none"
    if not spool.has("start_ns"):
        return "the file does not say when requests began (start_ns)"
    unknown = int(((spool.column("start_ns") == MISSING) & (spool.column("outcome") == schema.OK)).sum())
    return f"the file does not say when {unknown:,} of the requests that were answered began" if unknown else None


def moments_of(spool: Spool, made: Arrangement, scheduled: bool, one_stream: bool) -> Moments:
    """Return when rounds were.

    Parameters
    ----------
    scheduled
        whether requests have a schedule, which counts then.
    one_stream
        whether it is one, whatever its pauses; else a pause that makes a visit begins a new one.
    """
    first = np.searchsorted(made.rounds, np.arange(int(made.rounds[-1]) + 1))
    total = sum((spool.column(name) for name in schema.STAGES if spool.has(name)), start=np.zeros(spool.rows, np.int64))[made.order]
    start = spool.column("start_ns")[made.order] if spool.has("start_ns") else np.full(total.size, MISSING)
    known = start != MISSING
    if not known.any():
        took = np.maximum(np.add.reduceat(total, first), 1)
        return Moments(np.concatenate([[0], np.cumsum(took)[:-1]]), took, first, None, (NO_MOMENTS,))
    ends = np.where(known, start + total, EARLIEST)
    if scheduled:
        due = spool.column("arrival_ns")[made.order]
        began, ended = np.minimum.reduceat(due, first), np.maximum.reduceat(np.maximum(due, ends), first)
    else:
        began, ended = np.minimum.reduceat(np.where(known, start, LATEST), first), np.maximum.reduceat(ends, first)
        lacking = ~np.maximum.reduceat(known, first)
        began, ended = np.where(lacking, start[known].min(), began), np.where(lacking, start[known].min() + 1, ended)
    visits = None if one_stream else visits_by_time(began, ended)
    shift = int(began.min()) if began.min() < STAMP_LIMITS_NS[0] or ended.max() > STAMP_LIMITS_NS[1] else 0
    schedule = _schedule(due, np.where(known, start, due), began, visits, first, shift) if scheduled else None
    if schedule is not None:
        visits = schedule.streams
    told = tuple(_told(visits, scheduled, (due - start)[known & (start < due)] if scheduled else total[:0]))
    return Moments(began - shift, np.maximum(ended - began, 1), first, visits, told, schedule)


def _schedule(due: Numbers, start: Numbers, began: Numbers, visits: NDArray[np.int32] | None, first: Numbers, shift: int) -> Schedule:
    """Return the schedule of requests that were due and began at these moments, [N]."""
    streams = np.zeros(first.size, np.int32) if visits is None else visits
    of_stream = np.full(int(streams.max()) + 1, LATEST)
    np.minimum.at(of_stream, streams, began)
    of_row = np.repeat(of_stream[streams], np.diff(np.append(first, due.size)))
    return Schedule(due - of_row, np.maximum(start - due, 0), streams, of_stream[streams] - shift)


def _told(visits: NDArray[np.int32] | None, scheduled: bool, early_ns: Numbers) -> Iterator[str]:
    if visits is not None and (number := int(visits.max()) + 1) > 1:
        what = "Streams" if scheduled else "Visits"
        yield f"{what} are formed by time: {number} of them, with pauses of half a round or more between."
    if early_ns.size:
        yield (
            f"Of its requests {early_ns.size:,} began before they were scheduled, by {int(early_ns.max()) / 1000:.3g} us at most: they did "
            "not wait, and their response is their total time."
        )


def _time_of_day(ns: int) -> datetime:
    return datetime.fromtimestamp(min(ns, STAMP_LIMITS_NS[1]) / 1e9, UTC)
