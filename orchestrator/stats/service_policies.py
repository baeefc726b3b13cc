"""One server with a queue and a rule for what it serves next: when each of given arrivals starts, and which never do."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.queueing import waits

Policy: TypeAlias = Literal["queue", "newest", "skip_late"]
POLICIES: tuple[Policy, ...] = ("queue", "newest", "skip_late")
NO_LIMIT = 2**62


class Served(NamedTuple):
    """What becomes of N arrivals.

    start_ns, wait_ns : int64 [N]
        when each starts and how long it waited for that; -1 where it is dropped.
    dropped : bool [N]
        never started.
    """

    start_ns: NDArray[np.int64]
    wait_ns: NDArray[np.int64]
    dropped: NDArray[np.bool_]


def serve(
    arrivals_ns: ArrayLike,
    services_ns: ArrayLike,
    policy: Policy = "queue",
    deadline_ns: int | None = None,
    queue_limit: int | None = None,
) -> Served:
    """Return when each arrival starts on one server.

    Whenever the server is free it looks at those that have arrived, that of the same moment among them. ``queue`` takes the oldest;
    ``newest`` the last, and drops all others; ``skip_late`` the oldest that has not waited longer than ``deadline_ns``, and drops those
    before it. Of arrivals of one moment the last is the newest. An arrival that finds ``queue_limit`` waiting is dropped; one that finds
    the server idle does not wait. In integers all of it is exact.

    Parameters
    ----------
    arrivals_ns : [N]
        whole numbers of ns, ascending.
    services_ns : [N]
        how long the server takes for each, should it be served; whole numbers of ns, positive.
    deadline_ns
        of ``skip_late``, and of no other policy.
    queue_limit
        at least 1; None for none.

    Raises
    ------
    InputError
        for numbers that are no such arrivals and services, or a rule that lacks its figure.

    Notes
    -----
    Without a limit the queue is Lindley's recursion. Otherwise arrivals that start at once and end before the next one are left as they
    are, and only the stretches between them are gone through one by one.

    Examples
    --------
    >>> serve([0, 10, 20, 100], [25, 10, 10, 10], "newest").start_ns
    array([  0,  -1,  25, 100])
    """
    arrivals, services = _checked(arrivals_ns, services_ns)
    if policy not in POLICIES:
        raise InputError(f"policy {policy!r}: there is no such choice; choose of {', '.join(POLICIES)}")
    if (policy == "skip_late") != (deadline_ns is not None):
        raise InputError("skip_late skips by a deadline, and no other policy has one: give deadline_ns with it alone")
    if queue_limit is not None and queue_limit < 1:
        raise InputError(f"a queue limit of {queue_limit}: must be at least 1")
    if policy == "queue" and queue_limit is None:
        wait = waits(arrivals, services)
        return Served(arrivals + wait, wait, np.zeros(arrivals.size, dtype=np.bool_))
    ends_in_time = np.zeros(arrivals.size, dtype=np.bool_)
    ends_in_time[:-1] = services[:-1] < np.diff(arrivals)
    crowded = np.flatnonzero(~ends_in_time).tolist()
    starts, lost = arrivals.tolist(), bytearray(arrivals.size)
    limit = NO_LIMIT if queue_limit is None else queue_limit
    longest = NO_LIMIT if deadline_ns is None else deadline_ns
    _serve_crowds(arrivals.tolist(), services.tolist(), crowded, policy == "newest", limit, longest, starts, lost)
    dropped = np.frombuffer(lost, dtype=np.bool_)
    start = np.where(dropped, -1, np.array(starts, dtype=np.int64))
    return Served(start, np.where(dropped, -1, start - arrivals), dropped)


def _serve_crowds(
    arrivals: list[int],
    services: list[int],
    crowded: list[int],
    newest: bool,
    limit: int,
    longest: int,
    starts: list[int],
    lost: bytearray,
) -> None:
    """Go through every stretch of arrivals that meet others, from one that finds the server idle until it is idle again.

    ``crowded`` are the places of arrivals that do not end before the next one; ``starts`` and ``lost`` are filled in.
    """
    waiting: deque[int] = deque()
    coming = at = 0
    arrivals.append(NO_LIMIT)  # nothing comes after the last
    while (at := bisect_left(crowded, coming, at)) < len(crowded):
        coming = crowded[at]
        now, room = arrivals[coming], limit + 1
        while True:
            while arrivals[coming] <= now:
                if len(waiting) < room:
                    waiting.append(coming)
                else:
                    lost[coming] = 1
                coming += 1
            if newest:
                while len(waiting) > 1:
                    lost[waiting.popleft()] = 1
            else:
                while waiting and now - arrivals[waiting[0]] > longest:
                    lost[waiting.popleft()] = 1
            if not waiting:
                break
            number = waiting.popleft()
            starts[number] = now
            now += services[number]
            room = limit


def _checked(arrivals_ns: ArrayLike, services_ns: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    arrivals, services = np.asarray(arrivals_ns), np.asarray(services_ns)
    if arrivals.ndim != 1 or arrivals.shape != services.shape:
        raise InputError(f"{arrivals.size} arrivals and {services.size} services: give one service per arrival")
    if arrivals.size and (arrivals.dtype.kind not in "iu" or services.dtype.kind not in "iu"):
        raise InputError(f"arrivals of type {arrivals.dtype} and services of type {services.dtype}: give whole numbers of ns")
    if bool((np.diff(arrivals) < 0).any()) or bool((services <= 0).any()):
        raise InputError("arrivals must ascend, and every service take a positive time")
    return arrivals.astype(np.int64, copy=False), services.astype(np.int64, copy=False)
