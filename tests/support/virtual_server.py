"""One server that serves arrivals by every policy, moment by moment."""

import heapq

from orchestrator.stats.queueing import AnyPolicy


def simulated(arrivals: list[int], services: list[int], policy: AnyPolicy, deadline: int | None, limit: int | None) -> list[int]:
    """Return the start of each arrival, -1 where it is dropped: one moment after another, each with what happens at it."""
    starts = [-1] * len(arrivals)
    events = [(at, number) for number, at in enumerate(arrivals)]
    heapq.heapify(events)
    waiting: list[int] = []
    busy_until = None
    while events:
        moment = events[0][0]
        room = float("inf") if limit is None else limit + (busy_until is None)
        while events and events[0][0] == moment:
            _, number = heapq.heappop(events)
            if number >= 0 and len(waiting) < room:
                waiting.append(number)
        if busy_until is not None and busy_until > moment:
            continue
        busy_until = None
        patience = {"skip_late": deadline, "idle": 0}.get(policy)
        waiting = [number for number in waiting if patience is None or moment - arrivals[number] <= patience]
        waiting = waiting[-1:] if policy == "newest" else waiting
        if waiting:
            number = waiting.pop(0)
            starts[number], busy_until = moment, moment + services[number]
            heapq.heappush(events, (busy_until, -1))
    return starts
