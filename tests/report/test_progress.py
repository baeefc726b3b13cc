from __future__ import annotations

import doctest
import io
import time
from collections.abc import Mapping

import pyarrow as pa
import pytest
from rich.console import Console

from orchestrator.commands import progress as progress_module
from orchestrator.commands.progress import Pace, Progress, left_in_words, time_left
from orchestrator.configuration.config import parse_trial
from orchestrator.stats.stopping import Decision
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import PlannedTrial

GOES_ON = Decision(False, None, None)


def planned(name: str, measurement: Mapping[str, object] | None = None) -> PlannedTrial:
    target = {"kind": "k", "target": "a:B"}
    document = {
        "model": {"name": name, "runtimes": ["r"], **target},
        "task": {"name": "t", **target},
        "system": {"name": "s"},
        "runtime": {"name": "r"},
        "measurement": measurement or {"min_rounds": 6, "max_rounds": 6},
    }
    return PlannedTrial(trial_id=f"{name}-r0", match_key=name, trial=parse_trial(document))


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
    progress.trial_ended(first, "done", None)
    assert "second-r0" in shown(progress)
    progress.trial_ended(second, "done", None)
    assert "second-r0: round" not in shown(progress)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"rule": "settled"}, "round 30 of at most 40, "),
        ({"rule": "rounds", "max_seconds": 9}, "round 30 of at most 40, "),
        ({"rule": "rounds"}, "round 30 of 40, "),
    ],
)
def test_the_bound_of_rounds_is_that_of_the_rule(rule: dict[str, object], said: str) -> None:
    progress = Progress(1, io.StringIO())
    progress.round_done(planned("a", {"min_rounds": 14, "max_rounds": 40, **rule}), 30, 0.5)
    assert said in shown(progress)


def test_nothing_is_said_after_the_last_word() -> None:
    stream, trial = io.StringIO(), planned("late")
    progress = Progress(1, stream)
    progress.trial_started(trial)
    said = stream.getvalue()
    progress.fall_silent()
    progress.round_done(trial, 3, 0.5)
    progress.trial_ended(trial, "interrupted", "stopped by the user after 3 rounds")
    assert said == stream.getvalue() == "late-r0: loading\n"


def test_a_trial_is_called_by_its_name() -> None:
    stream = io.StringIO()
    Progress(2, stream, {"second-r0": "second"}).trial_started(planned("second"))
    assert stream.getvalue() == "second: loading\n"


def test_a_trial_that_waits_says_for_whom_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream, trial = io.StringIO(), planned("late")
    progress = Progress(1, stream)
    for _ in range(3):
        progress.turn_awaited(trial, "the campaign of process 7")
        now[0] += 6.0
    first, later = stream.getvalue().splitlines()
    assert first == "late-r0: waits: the campaign of process 7 measures on that machine"
    assert later == "late-r0: waits 12 s so far: the campaign of process 7 measures on that machine"
    assert progress.waited_s == 12
    progress.trial_prepared(trial, Prepared({}, {}, {}, {}, {"load_ns": 10**9}, {}, pa.record_batch({}), pa.table({}), ("top1",)))
    now[0] += 500
    for _ in range(2):
        progress.turn_awaited(trial, "the campaign of process 8")
        now[0] += 6.0
    assert progress.waited_s == 18


def test_a_quiet_campaign_says_once_for_whom_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(2, None)
    for name in ("first", "first", "second"):
        progress.turn_awaited(planned(name), "user 54321")
    assert capsys.readouterr().err == "first-r0: waits: user 54321 measures on that machine\n"


def test_it_says_what_is_left() -> None:
    stream = io.StringIO()
    progress, trials = Progress(0, stream), [planned("first"), planned("second"), planned("third")]
    progress.add(trials, {})
    for trial, took_s in zip(trials, (0.5, 0.5, 86.0), strict=True):
        progress.round_done(trial, 1, took_s)
    said = stream.getvalue()
    assert "first-r0: round 1 of" in said
    assert "left" in shown(progress).splitlines()[0]
    for trial in trials:
        progress.trial_ended(trial, "done", None)
    assert "left" not in shown(progress)


def test_what_is_left_follows_from_the_pace() -> None:
    assert doctest.testmod(progress_module).failed == 0
    assert time_left([Pace(10, 10)], 5.0) is None
    done = Pace(10, 10, done=10, timed=10, round_s=0.1)
    assert time_left([Pace(10, 10, done=4, timed=2, round_s=1.0), done], 6.0) == pytest.approx((12.0, 12.0))
    assert time_left([Pace(10, 1000, extra_s=3.0, done=8, timed=8, round_s=1.0)], 8.0) == pytest.approx((2.0, 5.0))
    assert time_left([Pace(10, 1000, extra_s=3.0, done=12, timed=12, round_s=1.0)], 12.0) == pytest.approx((0.0, 1.0))
    assert left_in_words((60.0, 61.0)) == "about 1 min 01 s left"
    assert left_in_words((60.0, 600.0), 120.0) == "1 min 00 s to 2 min 00 s left"
