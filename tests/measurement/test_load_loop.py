"""The loop under load on a virtual clock: against theory, against Lindley's recursion, against a plain simulation, and conservation."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from orchestrator.configuration.load import LoadConfig
from orchestrator.measurement.load_loop import Service, service_of, waiting
from orchestrator.measurement.timing import DROPPED
from orchestrator.stats.queueing import gamma, waits

SERVICE_NS = 10_000_000


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 2**40)), min_size=1, max_size=80))
def test_a_queue_is_lindleys_recursion_to_the_ns(pairs: list[tuple[int, int]]) -> None:
    due, services = np.cumsum([gap for gap, _ in pairs]), np.array([service for _, service in pairs])
    _, stamps = run(due, services)
    assert (stamps[:, 0] - due == waits(due, services)).all()
    assert (stamps[:, 3] - stamps[:, 0] == services).all()


def simulated(due: list[int], services: list[int], service: Service) -> tuple[list[int], list[int]]:
    """An event-driven simulation of one server without batches: starts by arrival, -1 where dropped, written from the policies' words."""
    starts, queue, free, coming = [-1] * len(due), [], -1, 0
    while coming < len(due) or queue:
        # What arrives while the server is idle goes straight into service; what arrives as it becomes free found it busy.
        straight = not queue and due[coming] > free
        now = due[coming] if straight else free
        while coming < len(due) and due[coming] <= now:
            room = service.queue_limit if service.queue_limit is not None else len(due)
            if len(queue) < room + straight:
                queue.append(coming)
            coming += 1
        if service.policy == "newest":
            queue = queue[-1:]
        if service.policy == "skip_late":
            assert service.deadline_ns is not None
            while queue and now - due[queue[0]] > service.deadline_ns:
                queue.pop(0)
        if queue:
            number = queue.pop(0)
            starts[number] = now
            free = now + services[number]
    return starts, [number for number, start in enumerate(starts) if start < 0]


policies = st.one_of(
    st.builds(Service, policy=st.just("queue"), queue_limit=st.one_of(st.none(), st.integers(1, 4))),
    st.builds(Service, policy=st.just("newest"), queue_limit=st.one_of(st.none(), st.integers(1, 4))),
    st.builds(Service, policy=st.just("skip_late"), deadline_ns=st.integers(0, 40), queue_limit=st.one_of(st.none(), st.integers(1, 4))),
)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40)), min_size=1, max_size=60), policies)
def test_every_policy_does_what_a_simulation_does(pairs: list[tuple[int, int]], service: Service) -> None:
    due, services = np.cumsum([gap for gap, _ in pairs]).tolist(), [took for _, took in pairs]
    _, stamps = run(due, services, service)
    starts, dropped = simulated(due, services, service)
    assert np.where(stamps[:, 3] == DROPPED, -1, stamps[:, 0]).tolist() == starts
    assert np.flatnonzero(stamps[:, 3] == DROPPED).tolist() == dropped


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40)), min_size=1, max_size=80),
    st.sampled_from(["queue", "newest", "skip_late"]),
    st.integers(1, 5),
    st.integers(0, 30),
    st.one_of(st.none(), st.integers(1, 6)),
    st.one_of(st.just(10**9), st.integers(1, 10)),
    st.sets(st.integers(0, 79)),
)
def test_no_arrival_is_lost_or_counted_twice(
    pairs: list[tuple[int, int]], policy: str, most: int, wait: int, limit: int | None, most_waiting: int, raising: set[int]
) -> None:
    """arrivals = ok + error + dropped + those that had not come or not been started when the stream ended as overloaded."""
    due, services = np.cumsum([gap for gap, _ in pairs]).tolist(), [took for _, took in pairs]
    service = Service(policy, most, wait, limit, 15 if policy == "skip_late" else None, most_waiting)  # type: ignore[arg-type]
    seen: list[int] = []

    def infer(batch: tuple[int, ...]) -> tuple[int, ...]:
        seen.extend(batch)
        if raising & set(batch):
            raise RuntimeError("bad sample")
        return batch

    served, stamps = run(due, services, service, infer)
    ok = {number for number, answer in enumerate(served.answers) if answer is not None}
    errors, dropped = set(served.errors), set(np.flatnonzero(stamps[:, 3] == DROPPED).tolist())
    never = set(range(len(due))) - ok - errors - dropped
    assert seen == sorted(ok | errors)
    assert len(ok) + len(errors) + len(dropped) + len(never) == len(due)
    assert not never or served.overloaded
    assert (stamps[list(never), 3] == 0).all()


def test_a_batch_waits_for_more_and_no_longer_than_it_may() -> None:
    service = Service(most=3, batch_wait_ns=50)
    _, stamps = run([10, 20, 30, 200, 210, 400], [5] * 6, service)
    assert stamps[:, 0].tolist() == [30, 30, 30, 250, 250, 450]
    _, hasty = run([10, 20, 30], [15] * 3, Service(most=3))
    assert hasty[:, 0].tolist() == [10, 25, 40]


def test_a_backlog_ends_the_stream() -> None:
    due = gamma(500, 2000.0, 0.5, np.random.default_rng(1))
    served, stamps = run(due, np.full(500, SERVICE_NS), Service(most_waiting=20))
    assert served.overloaded
    assert (stamps[:, 3] == 0).any()
    assert 20 <= served.arrived - int((stamps[:, 3] > 0).sum()) <= 40


def test_what_arrives_together_or_waits_for_company_is_no_backlog() -> None:
    """Of 4 at once, and of 2 that wait to be 3, a backlog of a tenth of a sample would end the stream before anything is served."""
    together = service_of(LoadConfig(name="periodic", rate_per_s=1, group=4, max_backlog_s=0.1), 1, 1.0)
    company = service_of(LoadConfig(name="periodic", rate_per_s=1, batch_wait_ms=1, max_backlog_s=0.1), 3, 1.0)
    for due, service in (([0] * 4 + [100] * 4, together), ([0, 20, 30, 90], company)):
        served, stamps = run(due, [5] * len(due), service)
        assert not served.overloaded
        assert (stamps[:, 3] > 0).all()
    assert run([0, 10, 20, 30, 40, 50, 60, 70], [500] * 8, company)[0].overloaded


@pytest.mark.parametrize("idle", ["sleep", "spin"])
def test_no_wait_ends_before_its_moment(idle: str) -> None:
    wait_until = waiting(idle, 200_000)  # type: ignore[arg-type]
    for ahead in (-5_000_000, 0, 100_000, 3_000_000):
        moment = time.perf_counter_ns() + ahead
        assert moment <= wait_until(moment) <= time.perf_counter_ns()
