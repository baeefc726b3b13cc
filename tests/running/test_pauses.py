"""No visit begins before its trial's pause is over; the visits of other trials fill it."""

import math
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import null_trials
import pytest
from hypothesis import given
from hypothesis import strategies as st
from null_trials import null_document, planned

from orchestrator.running.inline import InlineJob, InlineSession
from orchestrator.running.pipeline import run_in_visits, shares
from orchestrator.storage.reader import Campaign, open_campaign


class Stop(threading.Event):
    """The user's stop on a clock in ns that moves only where somebody waits or works; it may come within the wait of a number."""

    def __init__(self, in_wait: int | None = None) -> None:
        super().__init__()
        self.now_ns = 1000
        self.waited_ns: list[int] = []
        self._in_wait = in_wait

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if len(self.waited_ns) == self._in_wait:
            self.set()
        else:
            self.waited_ns.append(round(timeout * 1e9))
            self.now_ns += self.waited_ns[-1]
        return self.is_set()


class Visit(NamedTuple):
    trial: str
    number: int
    began_ns: int
    ended_ns: int


class Run:
    """A trial whose visits take times that are given; what `run_in_visits` knows of a `TrialRun`."""

    def __init__(self, trial_id: str, durations_ns: Sequence[int], pause: float, stop: Stop, seen: list[Visit]) -> None:
        self.trial_id, self._durations, self._pause, self._stop, self._seen = trial_id, list(durations_ns), pause, stop, seen
        self.due_ns = self.next_visit = 0
        self.progress = 0.0

    def start(self) -> bool:
        return True

    ready = rest = open = start

    def visit(self, number: int, until_ns: float = math.inf) -> bool:
        if self._stop.is_set():
            return False
        began_ns = self._stop.now_ns
        took_ns = self._durations.pop(0)
        self._stop.now_ns += took_ns
        self._seen.append(Visit(self.trial_id, number, began_ns, self._stop.now_ns))
        self.due_ns = self._stop.now_ns + round(self._pause * took_ns)
        self.progress += 1
        self.next_visit = number + 1
        return bool(self._durations)

    def end_in_time(self) -> None:
        self._durations.clear()

    def close(self) -> None:
        """Nothing was opened."""


def schedule(
    durations: dict[str, Sequence[int]], pause: float = 1.0, stop: Stop | None = None, until_ns: float = math.inf
) -> tuple[list[Visit], Stop]:
    stop, seen = stop or Stop(), []
    runs = [Run(trial_id, of_trial, pause, stop, seen) for trial_id, of_trial in durations.items()]
    run_in_visits(runs, stop, "campaign", lambda: stop.now_ns, until_ns)  # type: ignore[arg-type]
    return seen, stop


def test_two_trials_of_unequal_speed_wait_for_the_slower_one() -> None:
    seen, _ = schedule({"a": [10] * 4, "b": [1] * 4})
    assert [after.began_ns - before.began_ns for before, after in pairwise(one for one in seen if one.trial == "a")] == [20] * 3


def test_the_last_of_one_cycle_lets_another_one_be_first_of_the_next() -> None:
    seen, stop = schedule({name: [5] * 50 for name in "abcd"})
    assert stop.waited_ns == []
    assert len({tuple(one.trial for one in seen[at : at + 4]) for at in range(0, 200, 4)}) > 10


@given(
    durations=st.dictionaries(st.sampled_from("abcde"), st.lists(st.integers(1, 50), min_size=1, max_size=8), min_size=1),
    pause=st.sampled_from([0.0, 0.5, 1.0, 7.0]),
)
def test_no_visit_begins_before_its_pause_is_over_and_nobody_waits_in_vain(durations: dict[str, list[int]], pause: float) -> None:
    seen, stop = schedule(durations, pause)
    assert {name: len([one for one in seen if one.trial == name]) for name in durations} == {
        name: len(of) for name, of in durations.items()
    }
    for name in durations:
        for before, after in pairwise(one for one in seen if one.trial == name):
            assert after.began_ns - before.ended_ns >= round(pause * (before.ended_ns - before.began_ns))
    numbers = [one.number for one in seen]
    assert numbers == sorted(numbers)
    assert stop.now_ns == 1000 + sum(map(sum, durations.values())) + sum(stop.waited_ns)


@pytest.mark.parametrize(
    ("took_ns", "until_ns", "visits"),
    [([5, 15], 1039, 1), ([5, 15], 1040, 2), ([5, 15], 1059, 2), ([5, 15], 2000, 6), ([20], 1039, 1), ([20], 1040, 2)],
)
def test_a_budget_of_time_gives_all_trials_the_same_visits(took_ns: list[int], until_ns: int, visits: int) -> None:
    seen, stop = schedule({str(one): [one] * 6 for one in took_ns}, pause=0, until_ns=until_ns)
    assert [sum(one.trial == str(name) for one in seen) for name in took_ns] == [visits] * len(took_ns)
    assert stop.now_ns == 1000 + 20 * visits


def test_trials_that_follow_one_another_share_what_is_left() -> None:
    now, found = [0], []
    for name, until in shares("abc", [1, 2, 1], 400, lambda: now[0]):
        found.append((name, until))
        now[0] += 60  # the first ends before its time
    assert found == [("a", 100), ("b", pytest.approx(60 + 340 * 2 / 3)), ("c", 400)]


@pytest.mark.parametrize("schedule", ["visits", "sequential"])
def test_a_campaign_ends_in_its_minutes(measure: Callable[..., Campaign], schedule: str) -> None:
    campaign = measure(Stop(), rounds=50, minutes=200 / 60e9, schedule=schedule, pause=0 if schedule == "visits" else 1)
    [trial] = campaign.trials()
    assert (trial.state, trial.stopping and trial.stopping.reason) == ("done", "minutes")
    assert campaign.rounds(trial.trial_id).num_rows == (4 if schedule == "visits" else 5)


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Campaign]:
    """Measure a lone trial, 40 ns a round on the driver's clock, or go on with it."""
    ask = InlineSession.run_rounds

    def run(stop: Stop, rounds: int | None = None, minutes: float | None = None, **measurement: Any) -> Campaign:
        def run_rounds(session: InlineSession, first: int, count: int, visit: int) -> Any:
            def call() -> Any:
                stop.now_ns += 40
                return ask(session, first, count, visit).result()

            return InlineJob(call)

        monkeypatch.setattr(InlineSession, "run_rounds", run_rounds)
        directory = tmp_path / "results"
        document = null_document(measurement={"min_rounds": rounds, "max_rounds": rounds, **measurement}) if rounds else {}
        trials = planned(document) if rounds else open_campaign(directory).record.trials
        return null_trials.measure(directory, trials, stop, minutes=minutes, now_ns=lambda: stop.now_ns)

    return run


@pytest.mark.parametrize(("pause", "waited"), [(1.0, [80, 80]), (0.0, []), (2.5, [200, 200])])
def test_a_trial_pauses_lengths_of_its_last_visit(measure: Callable[..., Campaign], pause: float, waited: list[int]) -> None:
    stop = Stop()
    campaign = measure(stop, rounds=5, pause=pause)
    [trial] = campaign.record.trials
    assert (trial.state, stop.waited_ns) == ("done", waited)
    rounds = campaign.rounds(trial.trial_id)
    assert rounds.column("visit").to_pylist() == [0, 0, 1, 1, 2]
    assert rounds.column("lead_in").to_pylist() == [3, None, 3, None, 3]


def test_a_trial_that_was_stopped_in_its_pause_goes_on_after_the_last_round(measure: Callable[..., Campaign]) -> None:
    campaign = measure(Stop(in_wait=1), rounds=7)
    [trial] = campaign.record.trials
    assert trial.state == "interrupted"
    stop = Stop()
    campaign = measure(stop)
    [trial] = campaign.record.trials
    rounds = campaign.rounds(trial.trial_id)
    assert (trial.state, stop.waited_ns) == ("done", [80])
    assert rounds.column("round").to_pylist() == list(range(7))
    assert rounds.column("process").to_pylist() == [0] * 4 + [1] * 3
    visits = rounds.column("visit").to_pylist()
    assert [visits.count(visit) for visit in sorted(set(visits))] == [2, 2, 2, 1]
