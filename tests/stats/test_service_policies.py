"""What a server serves next, against a simulation that goes from event to event."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from effort import EFFORT
from hypothesis import given, settings
from hypothesis import strategies as st
from md1 import md1_mean_wait

from orchestrator.stats.queueing import POLICIES, Policy, gamma, serve


def simulated(arrivals: list[int], services: list[int], policy: Policy, deadline: int | None, limit: int | None) -> list[int]:
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
        if policy == "newest":
            waiting = waiting[-1:]
        if policy == "skip_late":
            waiting = [number for number in waiting if moment - arrivals[number] <= deadline]
        if waiting:
            number = waiting.pop(0)
            starts[number], busy_until = moment, moment + services[number]
            heapq.heappush(events, (busy_until, -1))
    return starts


@given(
    gaps=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    seed=st.integers(0, 2**32),
    longest=st.sampled_from([2, 10, 40]),
    policy=st.sampled_from(POLICIES),
    deadline=st.integers(0, 60),
    limit=st.one_of(st.none(), st.integers(1, 4)),
)
@settings(max_examples=300 * EFFORT, deadline=None)
def test_every_policy_is_that_of_the_simulation(
    gaps: list[int], seed: int, longest: int, policy: Policy, deadline: int, limit: int | None
) -> None:
    arrivals = np.cumsum(gaps)
    services = np.random.default_rng(seed).integers(1, longest, size=arrivals.size, endpoint=True)
    skips_by = deadline if policy == "skip_late" else None
    waits = serve(arrivals, services, policy, skips_by, limit)
    starts = np.where(waits < 0, -1, arrivals + waits)
    assert starts.tolist() == simulated(arrivals.tolist(), services.tolist(), policy, skips_by, limit)
    assert (waits >= -1).all()


def test_a_queue_waits_as_long_as_pollaczek_and_khinchine_say() -> None:
    arrivals = gamma(200_000, 70, 1.0, np.random.default_rng(1))
    services = np.full(arrivals.size, 10_000_000)
    assert serve(arrivals, services).mean() / 1e9 == pytest.approx(md1_mean_wait(70, 0.01), rel=0.04)
    within = serve(arrivals, services, "skip_late", 20_000_000)
    assert within.max() <= 20_000_000
    assert 0 < (within < 0).mean() < 0.1
