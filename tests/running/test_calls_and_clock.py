"""How many rounds a process is asked for, and the clock that a stopping rule sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from orchestrator.configuration.config import MeasurementConfig
from orchestrator.measurement.failures import TrialFailed
from orchestrator.running.attempt import MOST_AT_ONCE, RoundCalls, rounds_at_once
from orchestrator.running.course import RoundClock
from orchestrator.storage.handover import RoundResult

SECOND = 10**9


class Answers:
    """A session that answers at once with rounds that hold their numbers and what the model raised."""

    def __init__(self, errors: dict[int, dict[int, str]] | None = None) -> None:
        self.asked: list[tuple[int, int]] = []
        self._errors = errors or {}

    def run_rounds(self, first: int, count: int, visit: int) -> Any:
        self.asked.append((first, count))
        return self._Job([self._round(number) for number in range(first, first + count)])

    def _round(self, number: int) -> RoundResult:
        row = pa.RecordBatch.from_pydict({"round": [number]})
        return RoundResult(row, row, errors=self._errors.get(number, {}))

    class _Job:
        def __init__(self, results: Sequence[RoundResult]) -> None:
            self._results = results

        def result(self, timeout: float) -> Sequence[RoundResult]:
            return self._results


def calls(session: Answers, first: int = 0, one_by_one: bool = False, visit_of: int | None = None, **measurement: Any) -> RoundCalls:
    calls = RoundCalls(session, MeasurementConfig(**measurement), first, one_by_one)  # type: ignore[arg-type]
    calls.begin_visit(0, visit_of)
    return calls


def numbers(results: Sequence[RoundResult]) -> list[int]:
    return [result.round.column("round")[0].as_py() for result in results]


@pytest.mark.parametrize(
    ("first", "round_s", "expected"),
    [(0, 1.0, 1), (0, 0.02, 2), (0, 1e-6, MOST_AT_ONCE), (25, 1e-6, 5), (30, 1e-6, MOST_AT_ONCE), (999, 1e-6, 1), (0, 0.0, MOST_AT_ONCE)],
)
def test_short_rounds_come_together_but_never_beyond_a_bound(first: int, round_s: float, expected: int) -> None:
    assert rounds_at_once(first, round_s, MeasurementConfig(min_rounds=30, max_rounds=1000)) == expected


def test_two_calls_are_under_way_until_a_rule_may_stop() -> None:
    session = Answers()
    asked = calls(session, min_rounds=3, max_rounds=9)
    asked.ask_ahead(1.0)
    assert session.asked == [(0, 1), (1, 1)]
    assert numbers(asked.take()) == [0]
    asked.ask_ahead(1.0)
    assert session.asked[2:] == [(2, 1)]
    asked.ask_ahead(1.0)
    assert numbers(asked.take()) == [1]
    asked.ask_ahead(1.0)
    assert session.asked[3:] == []  # round 2 is under way, and the rule may stop after it
    assert numbers(asked.take()) == [2]
    assert not asked
    asked.ask_ahead(1.0)
    assert session.asked[3:] == [(3, 1)]


def test_nothing_is_asked_for_beyond_the_visit() -> None:
    session = Answers()
    asked = calls(session, visit_of=3, min_rounds=30)
    asked.ask_ahead(0.02)
    assert session.asked == [(0, 2), (2, 1)]
    assert not asked.over
    assert [numbers(asked.take()), numbers(asked.take())] == [[0, 1], [2]]
    asked.ask_ahead(0.02)
    assert asked.over
    asked.begin_visit(1, 3)
    asked.ask_ahead(1.0)
    assert session.asked[2:] == [(3, 1), (4, 1)]


def test_where_driver_and_process_share_a_machine_one_round_is_asked_for() -> None:
    session = Answers()
    asked = calls(session, one_by_one=True, min_rounds=30)
    asked.ask_ahead(1e-6)
    assert session.asked == [(0, 1)]


def test_a_fault_belongs_to_the_round_that_was_waited_for_or_to_the_first_error() -> None:
    asked = calls(Answers({5: {3: "cannot read"}, 6: {4: "out of luck"}}), first=5, max_errors=1)
    assert asked.at == 5
    asked.ask_ahead(1.0)
    asked.refuse_too_many_errors(asked.take())
    results = asked.take()
    assert asked.at == 6
    with pytest.raises(TrialFailed, match=r"raised on 2 samples \(measurement\.max_errors=1\), first on sample 3 in round 5: cannot read"):
        asked.refuse_too_many_errors(results)
    assert asked.at == 5


def row(process: int, visit: int | None, began_s: float, duration_s: float) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "process": [process], "visit": pa.array([visit], pa.int32()),
            "started_monotonic_ns": [int(began_s * SECOND)], "duration_ns": [int(duration_s * SECOND)],
        }
    )  # fmt: skip


def test_pauses_within_a_visit_count_and_those_between_two_do_not() -> None:
    clock = RoundClock()
    assert clock.tick(row(0, 0, 100, 2)) == 2
    assert clock.tick(row(0, 0, 103, 2)) == 5  # 1 s between the rounds
    assert clock.tick(row(0, 1, 200, 2)) == 7  # meanwhile other trials had their visits
    assert clock.tick(row(1, 2, 3, 2)) == 9  # another process, another clock
    assert clock.tick(row(1, 2, 8, 2)) == 14


def test_without_visits_pauses_count_and_between_processes_the_one_before_does() -> None:
    clock = RoundClock()
    rounds = [(0, 100), (0, 103), (1, 7), (1, 9)]
    assert [clock.tick(row(process, None, began, 2)) for process, began in rounds] == [2, 5, 8, 10]


def test_a_round_takes_its_share_of_what_lies_between_visits() -> None:
    clock = RoundClock()
    found = []
    for process, visit, began_s in ((0, 0, 100), (0, 0, 102), (0, 1, 116), (0, 1, 118), (1, 2, 5), (1, 3, 21)):
        clock.tick(row(process, visit, began_s, 2))
        found.append(clock.round_s)
    assert found == [2, 2, 6, 5, 2, 9]
