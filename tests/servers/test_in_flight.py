"""The loop of requests: order, how many at once, moments, endings; on a virtual clock where time has a law."""

import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from served_trials import document_of
from virtual_clock import VirtualClock

from orchestrator.analysis.load import free_in_lanes
from orchestrator.configuration.config import parse_trial
from orchestrator.contracts import ServerFault, ServerTimeout
from orchestrator.measurement.failures import Stamps, TrialFailed, refuse_impossible
from orchestrator.measurement.in_flight import Arrivals, InFlight
from orchestrator.measurement.last_words import rounds_left
from orchestrator.measurement.load_loop import Served, waiting
from orchestrator.measurement.timing import IN_FLIGHT, STAMPS, TIMED_OUT, Stages
from orchestrator.stats.queueing import waits
from orchestrator.subject.schedule import schedule_of


def places(count: int) -> memoryview:
    return memoryview(bytearray(8 * STAMPS * count)).cast("q")


def array(stamps: memoryview) -> NDArray[np.int64]:
    return np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)


def alone(count: int) -> list[tuple[int]]:
    return [(number,) for number in range(count)]


def on_virtual_clock(due: Sequence[int], services: Sequence[int], **options: Any) -> tuple[Served, NDArray[np.int64]]:
    clock = VirtualClock(services)
    stamps = places(len(due))
    arrivals = Arrivals(due, lambda: clock.wait_until, **options)
    return InFlight(1).ask(alone(len(due)), clock.stages, stamps, clock, arrivals=arrivals), array(stamps)


def test_one_at_a_time_is_a_queue_to_the_ns() -> None:
    random = np.random.default_rng(1)
    due = np.cumsum(random.integers(0, 2 * 10**9, 300))
    services = random.integers(1, 2 * 10**9, 300)
    asked, stamps = on_virtual_clock(due.tolist(), services.tolist())
    assert (stamps[:, 0] - due == waits(due, services)).all()
    assert (stamps[:, 2] - stamps[:, 1] == services).all()
    assert asked.answers == [[number] for number in range(300)]
    assert (asked.arrived, asked.overloaded, asked.stopped_at) == (300, False, None)


@pytest.mark.parametrize("said", [[1, 2], [], None])
def test_another_number_of_answers_than_samples_is_the_error_of_that_request(said: Any) -> None:
    stages = Stages(list, lambda batch: batch, lambda batch: said if batch == [1] else batch)
    asked = InFlight(1).ask(alone(3), stages, places(3), time.perf_counter_ns)
    assert asked.answers == [[0], None, [2]]
    assert list(asked.errors) == [1]


def test_too_many_waiting_end_the_stream() -> None:
    asked, stamps = on_virtual_clock([1000 * number for number in range(100)], [10_000] * 100, most_waiting=20)
    assert asked.overloaded
    # When the fourth could start, 31 had arrived: 28 wait.
    assert asked.arrived == 31
    assert (stamps[:3, 3] > 0).all()
    assert not stamps[3:].any()


def test_a_stop_ends_the_stream_with_its_round() -> None:
    stop = memoryview(bytearray(8)).cast("q")
    clock = VirtualClock([1] * 30)
    stamps = places(30)

    def infer(batch: Any) -> Any:
        stop[0] = int(batch[0] >= 12)
        return batch

    stages = Stages(clock.stages.preprocess, infer, clock.stages.postprocess)
    arrivals = Arrivals(range(30), lambda: clock.wait_until, stop=stop, round_ends=[10, 20, 30])
    asked = InFlight(1).ask(alone(30), stages, stamps, clock, arrivals=arrivals)
    assert asked.stopped_at == 20
    assert [answer is not None for answer in asked.answers] == [True] * 20 + [False] * 10


def test_a_request_that_fails_is_an_outcome_and_the_next_goes_on() -> None:
    faults = {2: ServerTimeout("no whole answer"), 4: ServerFault("HTTP 500")}

    def infer(batch: Any) -> Any:
        if batch[0] in faults:
            raise faults[batch[0]]
        return batch

    stamps, first = places(6), []
    asked = InFlight(1).ask(alone(6), Stages(list, infer, list), stamps, time.perf_counter_ns, first)
    found = array(stamps)
    assert [said.partition(":")[0] for said in asked.errors.values()] == ["ServerTimeout", "ServerFault"]
    assert (found[[2, 4], 0] == 0).all()
    assert found[[2, 4], 1].tolist() == [TIMED_OUT, 0]
    assert (found[:, 3] > 0).all()
    assert len(first) == 1


def test_as_many_are_on_their_way_as_may_be_and_no_more() -> None:
    most = 3
    met = threading.Barrier(most, timeout=300)
    count = 4 * most

    def infer(batch: Any) -> Any:
        met.wait()  # it opens only if so many are here at once
        return batch

    threads = InFlight(most)
    stamps = places(count)
    asked = threads.ask(alone(count), Stages(list, infer, list), stamps, time.perf_counter_ns)
    threads.close()
    assert asked.answers == [[number] for number in range(count)]
    found = array(stamps)
    at_once = [int(((found[:, 0] <= moment) & (found[:, 3] > moment)).sum()) for moment in found[:, 0]]
    assert max(at_once) <= most


def test_under_load_every_request_is_sent_at_its_moment_while_others_hang() -> None:
    over = threading.Event()

    def infer(batch: Any) -> Any:
        if batch[0] < 3:
            over.wait(20)
        if batch[0] == 9:
            over.set()
        return batch

    threads, stamps = InFlight(5), places(10)
    origin = time.perf_counter_ns() + 50_000_000
    due = [origin + 2_000_000 * number for number in range(10)]
    arrivals = Arrivals(due, lambda: waiting("sleep", 100_000, gives_way=True))
    threads.ask(alone(10), Stages(list, infer, list), stamps, time.perf_counter_ns, arrivals=arrivals)
    threads.close()
    found = array(stamps)
    assert (found[:, 0] >= due).all()
    assert (found[:3, 3] >= found[9, 0]).all()  # the last was sent before the first three were answered
    assert IN_FLIGHT not in found[:, 3]


def test_what_a_dead_client_left_of_a_round_has_its_outcome_request_by_request() -> None:
    document = document_of(SimpleNamespace(url="http://127.0.0.1:1"), "http_json", 6, server={"in_flight": 3})
    rows = [
        [100, 110, 150, 160], [165, 166, 167, 168], [0, 0, 0, 155], [0, TIMED_OUT, 0, 170], [0, 0, 0, 0], [0, 0, 0, IN_FLIGHT],
    ]  # fmt: skip
    found = Stamps(7, 1_000, 2_000, np.array(rows, dtype=np.int64))
    left = rounds_left(parse_trial(document), found, 7, 6, 0, "timeout", "hung")
    assert left.timings.column("outcome").to_pylist() == ["ok", "ok", "error", "timeout", "lost", "timeout"]
    assert left.errors == {7: {5: "hung"}}
    assert left.timings.column("start_gap_ns").null_count == 6, "requests do not follow one another"
    late = np.array([[100, 110, 150, 160], [105, 111, 140, 190]], dtype=np.int64)
    refuse_impossible(late, 100, 190, together=True)
    for stamps in (late, late[:, ::-1]):
        with pytest.raises(TrialFailed):
            refuse_impossible(stamps, 100, 189, together=True)


def test_a_turn_comes_when_the_answer_before_it_has_come_and_the_user_has_thought() -> None:
    load = {"name": "periodic", "rate_per_s": 200_000, "think_s": 4e-6}
    trial = parse_trial(document_of(SimpleNamespace(url="http://127.0.0.1:1"), "http_json", 6, load=load))
    schedule = schedule_of(trial, 6, 0, turns=[2, 2, 2])  # they begin at 0, 10,000 and 20,000 ns
    clock, stamps = VirtualClock([5_000, 7_000, 3_000, 2_000, 2_000, 2_000]), places(6)
    arrivals = Arrivals(schedule.moments_ns.tolist(), lambda: clock.wait_until, think_ns=4_000)
    InFlight(1).ask(alone(6), clock.stages, stamps, clock, arrivals=arrivals, bounds=schedule.bounds)
    assert array(stamps)[:, 0].tolist() == [0, 9_000, 16_000, 23_000, 25_000, 31_000]
    assert schedule.came(array(stamps), 0, 4_000).moments_ns.tolist() == [0, 9_000, 10_000, 23_000, 20_000, 31_000]
    cut = array(stamps) * (np.arange(6) < 3)[:, None]
    left = rounds_left(trial, Stamps(0, 1, 1, cut), 0, 6, 0, "error", "killed", 0, [2, 2, 2])
    assert sorted(left.timings.column("arrival_ns").to_pylist()) == [0, 9_000, 10_000, 20_000, 20_000, 23_000]


def test_since_when_a_server_was_free() -> None:
    at = np.array([0.0, 1, 2, 3, 4, 20])
    end = np.array([10.0, 5, 11, np.nan, 14, 21])
    assert free_in_lanes(at, end, 2, 100).tolist() == [-np.inf, -np.inf, 5, 10, 11, 14]
