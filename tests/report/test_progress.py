import io
import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from null_trials import named
from rich.console import Console

from orchestrator.commands.progress import Pace, Progress, time_left, time_left_of
from orchestrator.storage.records import PlannedTrial, TrialRecord


def planned(name: str) -> PlannedTrial:
    return named(f"{name}-r0", measurement={"min_rounds": 6, "max_rounds": 6})


def shown(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(progress._drawn_lines())
    return capture.get()


def test_the_live_line_is_that_of_the_trial_whose_turn_it_is() -> None:
    first, second = planned("first"), planned("second")
    progress = Progress(2, io.StringIO())
    progress.round_done(first, 3, 0.5)
    assert "first-r0: round 3 of 6, 0.5 s" in shown(progress)
    progress.round_done(second, 1, 0.5)
    assert "second-r0: round 1 of 6, " in shown(progress)
    assert "first-r0" not in shown(progress)
    progress.trial_ended(second, "done", None)
    assert "second-r0: round" not in shown(progress)


def test_a_trial_that_waits_says_for_whom_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream, trial = io.StringIO(), planned("late")
    progress = Progress(1, stream)
    for _ in range(3):
        progress.turn_awaited(trial, "the campaign of process 7")
        now[0] += 6.0
    assert len(stream.getvalue().splitlines()) == 2
    assert progress.waited_s == 12


def test_what_is_left_follows_from_the_pace() -> None:
    assert time_left([Pace(10, 10)], 5.0) is None
    done = Pace(10, 10, done=10, timed=10, round_s=0.1)
    assert time_left([Pace(10, 10, done=4, timed=2, round_s=1.0), done], 6.0) == pytest.approx((12.0, 12.0))
    assert time_left([Pace(10, 1000, extra_s=3.0, done=8, timed=8, round_s=1.0)], 8.0) == pytest.approx((2.0, 5.0))
    assert time_left([Pace(10, 1000, extra_s=3.0, done=12, timed=12, round_s=1.0)], 12.0) == pytest.approx((0.0, 1.0))


def test_status_counts_no_time_before_all_that_go_on_had_begun() -> None:
    def rounds(first_s: float, every_s: float, count: int, process: int = 0) -> pa.Table:
        started = [datetime.fromtimestamp(first_s + number * every_s, UTC) for number in range(count)]
        return pa.table({"process": [process] * count, "started_at": started, "duration_ns": [int(1e9)] * count})

    def record(name: str, state: str) -> TrialRecord:
        return TrialRecord.from_plan(planned(name)).model_copy(update={"state": state})

    done, early, late = record("a", "done"), record("b", "running"), record("c", "running")
    resumed = pa.concat_tables([rounds(0, 2, 2), rounds(1000, 40, 1, 1), rounds(1040, 2, 1, 1)])
    stored = {done.trial_id: rounds(0, 2, 6), early.trial_id: resumed, late.trial_id: rounds(1041, 2, 1)}
    # Since the last of them began, 1 s of rounds took 1 s: 2 and 5 rounds of 1 s are left.
    assert time_left_of([done, early, late], stored) == pytest.approx((7.0, 7.0))
    assert time_left_of([done], {done.trial_id: rounds(0, 2, 6)}) == pytest.approx((0.0, 0.0))
    assert time_left_of([late], {}) is None
