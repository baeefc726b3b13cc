"""How many rounds a process is asked for, and the clock that a stopping rule sees."""

import threading
from typing import Any

import pyarrow as pa
import pytest
from null_trials import null_trial

from orchestrator.measurement.failures import TrialFailed
from orchestrator.running.attempt import MOST_AT_ONCE, RoundCalls, rounds_at_once
from orchestrator.running.course import RoundClock
from orchestrator.storage.handover import Rounds

SECOND = 10**9


class Answers:
    """A session that answers at once with rounds that hold their numbers and what the model raised."""

    shares_machine = False

    def __init__(self, errors: dict[int, dict[int, str]] | None = None) -> None:
        self.asked: list[tuple[int, int]] = []
        self._errors = errors or {}

    def run_rounds(self, first: int, count: int, visit: int) -> Any:
        self.asked.append((first, count))
        rows = pa.RecordBatch.from_pydict({"round": range(first, first + count)})
        return self._Job(
            Rounds(rows, rows, errors={number: self._errors[number] for number in rows[0].to_pylist() if number in self._errors})
        )

    class _Job:
        def __init__(self, rounds: Rounds) -> None:
            self._rounds = rounds

        def result(self, timeout: float) -> Rounds:
            return self._rounds


def calls(session: Answers, first: int = 0, visit_of: int | None = None, **measurement: Any) -> RoundCalls:
    trial = null_trial(measurement={"rule": "settled", "min_rounds": 30, "max_rounds": 1000, **measurement})
    found = RoundCalls(session, trial, first, 20, threading.Event())  # type: ignore[arg-type]
    found.begin_visit(0, visit_of)
    return found


@pytest.mark.parametrize(
    ("first", "round_s", "expected"),
    [(0, 1.0, 1), (0, 0.08, 2), (0, 1e-6, MOST_AT_ONCE), (25, 1e-6, 5), (30, 1e-6, MOST_AT_ONCE), (999, 1e-6, 1), (0, 0.0, MOST_AT_ONCE)],
)
def test_short_rounds_come_together_but_never_beyond_a_bound(first: int, round_s: float, expected: int) -> None:
    assert rounds_at_once(first, round_s, may_stop_at=30, most=1000) == expected


def test_nothing_is_asked_for_beyond_the_visit() -> None:
    session = Answers()
    asked = calls(session, visit_of=3)
    asked.ask_ahead(0.08, 30)
    assert session.asked == [(0, 2), (2, 1)]
    assert not asked.over
    assert [asked.take().numbers, asked.take().numbers] == [[0, 1], [2]]
    asked.ask_ahead(0.08, 30)
    assert asked.over
    asked.begin_visit(1, 3)
    asked.ask_ahead(1.0, 30)
    assert session.asked[2:] == [(3, 1), (4, 1)]


def test_where_driver_and_process_share_a_machine_one_round_is_asked_for() -> None:
    session = Answers()
    session.shares_machine = True
    asked = calls(session)
    asked.ask_ahead(1e-6, 30)
    assert session.asked == [(0, 1)]


def test_a_fault_belongs_to_the_round_that_was_waited_for_or_to_the_first_error() -> None:
    asked = calls(Answers({5: {3: "cannot read"}, 6: {4: "out of luck"}}), first=5, max_errors=1)
    assert asked.at == 5
    asked.ask_ahead(1.0, 30)
    asked.refuse_too_many_errors(asked.take())
    results = asked.take()
    assert asked.at == 6
    with pytest.raises(TrialFailed, match="first on sample 3 in round 5: cannot read"):
        asked.refuse_too_many_errors(results)
    assert asked.at == 5


def tick(clock: RoundClock, process: int, visit: int | None, began_s: float, duration_s: float) -> float:
    return clock.tick(process, visit, int(began_s * SECOND), int(duration_s * SECOND))


def test_pauses_within_a_visit_count_and_those_between_two_do_not() -> None:
    clock = RoundClock()
    assert tick(clock, 0, 0, 100, 2) == 2
    assert tick(clock, 0, 0, 103, 2) == 5  # 1 s between the rounds
    assert tick(clock, 0, 1, 200, 2) == 7  # meanwhile other trials had their visits
    assert tick(clock, 1, 2, 3, 2) == 9  # another process, another clock
    assert tick(clock, 1, 2, 8, 2) == 14


def test_without_visits_pauses_count_and_between_processes_the_one_before_does() -> None:
    clock = RoundClock()
    rounds = [(0, 100), (0, 103), (1, 7), (1, 9)]
    assert [tick(clock, process, None, began, 2) for process, began in rounds] == [2, 5, 8, 10]


def test_a_round_takes_its_share_of_what_lies_between_visits() -> None:
    clock = RoundClock()
    found = []
    for process, visit, began_s in ((0, 0, 100), (0, 0, 102), (0, 1, 116), (0, 1, 118), (1, 2, 5), (1, 3, 21)):
        tick(clock, process, visit, began_s, 2)
        found.append(clock.round_s)
    assert found == [2, 2, 6, 5, 2, 9]
