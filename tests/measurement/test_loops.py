"""The timed loops on fake clocks: their stamps, what they read and allocate, and queues against a simulation."""

import faulthandler
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from virtual_clock import SteppingClock, run

from orchestrator.configuration.load import LoadConfig
from orchestrator.measurement.load_loop import Service, serve, service_of, waiting
from orchestrator.measurement.scratch import Scratch, read_scratch
from orchestrator.measurement.timing import DROPPED, STAMPS, Stages, only, run_batches, time_batches
from orchestrator.stats.queueing import gamma


def same(value: object) -> object:
    return value


SAME = Stages(same, same, list)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "stamps", batches=3)
    made.begin(7, 50, 60)
    return made


@pytest.mark.parametrize("is_one_call", [False, True])
def test_each_stage_is_timed_by_its_own_stamps(scratch: Scratch, is_one_call: bool) -> None:
    clock, batches = SteppingClock(lambda: 1), [["a"], ["b"], ["c"]]
    stages = Stages(only, clock.stage(100), list) if is_one_call else Stages(clock.stage(10), clock.stage(100), clock.stage(1_000))
    answers, errors = run_batches([[batch] for batch in batches] if is_one_call else batches, stages, scratch.stamps, clock)
    assert (answers, errors) == (batches, {})
    np.testing.assert_array_equal(np.diff(scratch.array(), axis=1), [[0, 101, 0] if is_one_call else [11, 101, 1_001]] * 3)
    assert scratch.array()[1, 0] - scratch.array()[0, 3] == 1
    scratch.begin(1, 0, 0)
    assert not scratch.array().any()


def test_the_clock_is_read_four_times_a_sample_under_load() -> None:
    clock = SteppingClock(lambda: 1)
    serve([0] * 10, [1] * 10, SAME, memoryview(bytearray(8 * STAMPS * 10)).cast("q"), Service(), clock, lambda moment: clock())
    assert clock.readings == 4 * 10 + 1


def test_a_closed_loop_allocates_nothing_that_grows_with_the_samples() -> None:
    """Answers are the model's own: here all are the same list."""
    answer = [1]

    def blocks_of(count: int) -> int:
        batches, answers = [answer] * count, [None] * count
        stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
        before = sys.getallocatedblocks()
        time_batches(batches, Stages(same, same, lambda outputs: answer), stamps, answers, 0, lambda: 7)
        return sys.getallocatedblocks() - before

    blocks_of(10)
    assert blocks_of(10_000) <= blocks_of(10) + 1_000  # other threads of the process allocate, too


def test_an_open_loop_allocates_nothing_while_it_serves() -> None:
    """What it needs of each sample is made before the first one starts."""
    count, answer = 2_000, [1]
    served, seen = [0], []

    def infer(batch: object) -> object:
        if served[0] in (10, count - 10):
            seen.append(sys.getallocatedblocks())
        served[0] += 1
        return batch

    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    stages = Stages(same, infer, lambda outputs: answer)
    serve(range(count), range(count), stages, stamps, Service(), lambda: served[0], lambda moment: moment)
    assert seen[1] - seen[0] <= count // 10


@pytest.mark.parametrize("bad", ["b", "a", "c", "abc"])
def test_a_batch_that_raises_is_recorded_and_the_next_goes_on(scratch: Scratch, bad: str) -> None:
    def infer(batch: object) -> object:
        if str(batch) in bad:
            raise RuntimeError("bad input\nwith more lines")
        return batch

    answers, errors = run_batches("abc", Stages(same, infer, list), scratch.stamps, SteppingClock())
    assert answers == [None if batch in bad else [batch] for batch in "abc"]
    assert list(errors) == ["abc".index(batch) for batch in bad]
    assert all(re.fullmatch(r"RuntimeError: bad input \(test_loops.py, line \d+, in infer\)", message) for message in errors.values())
    stamps = scratch.array()
    assert (stamps[list(errors), :3] == 0).all()
    assert (np.diff(stamps[:, 3]) > 0).all()


def test_a_copy_of_the_process_that_a_model_forks_writes_no_stamps(scratch: Scratch) -> None:
    def forks(batch: object) -> object:
        nonlocal copy
        if batch == ["b"] and not (copy := os.fork()):
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                run_batches([["x"]], SAME, scratch.stamps, lambda: 7)
            finally:
                os._exit(0)
        return batch

    copy = 0
    run_batches([["a"], ["b"], ["c"]], Stages(same, forks, list), scratch.stamps, SteppingClock())
    assert os.WTERMSIG(os.waitpid(copy, 0)[1]) == signal.SIGSEGV
    assert scratch.array()[0].tolist() == [1_000_000, 2_000_000, 3_000_000, 4_000_000]


def test_what_a_killed_process_leaves_can_be_read(scratch: Scratch) -> None:
    """Ctrl-C is no fault of a sample: it ends the loop as a kill does."""

    def infer(batch: object) -> object:
        if batch == ["c"]:
            raise KeyboardInterrupt
        return batch

    with pytest.raises(KeyboardInterrupt):
        run_batches([["a"], ["b"], ["c"]], Stages(same, infer, list), scratch.stamps, SteppingClock())
    left = read_scratch(scratch.path)
    assert (left.round, left.monotonic_ns, left.wall_ns, left.origin_ns) == (7, 50, 60, 0)
    assert (left.stamps > 0).all(axis=1).tolist() == [True, True, False]


SERVICE_NS = 10_000_000


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
@example([(0, 5), (0, 5), (0, 5)], Service(queue_limit=1))
@example([(0, 10), (0, 10), (0, 10)], Service(policy="skip_late", deadline_ns=10))
def test_every_policy_does_what_a_simulation_does(pairs: list[tuple[int, int]], service: Service) -> None:
    due, services = np.cumsum([gap for gap, _ in pairs]).tolist(), [took for _, took in pairs]
    _, stamps = run(due, services, service)
    starts, dropped = simulated(due, services, service)
    assert np.where(stamps[:, 3] == DROPPED, -1, stamps[:, 0]).tolist() == starts
    assert np.flatnonzero(stamps[:, 3] == DROPPED).tolist() == dropped


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
    assert waiting("spin", 0, SteppingClock(lambda: 1))(5) == 5
    for ahead in (-5_000_000, 0, 100_000, 3_000_000):
        moment = time.perf_counter_ns() + ahead
        assert moment <= wait_until(moment) <= time.perf_counter_ns()
