"""Something that nobody expects is raised in one step of one trial's life: that trial alone has failed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import null_trials
import numpy as np
import pytest

from orchestrator.commands.progress import Progress
from orchestrator.measurement.failures import Stamps
from orchestrator.running import course
from orchestrator.running.attempt import RoundCalls
from orchestrator.running.executor import SessionLost
from orchestrator.running.inline import InlineExecutor, InlineJob, InlineSession
from orchestrator.running.pipeline import own_rule
from orchestrator.stats.stopping import StoppingRule
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import PlannedTrial
from orchestrator.storage.trial_writer import TrialWriter
from orchestrator.storage.writer import CampaignWriter

VICTIMS_SAMPLES = 7


class Breaks(LookupError):
    """What nobody expects."""


def three_trials(schedule: str) -> tuple[PlannedTrial, ...]:
    """The second one is the victim; it has another number of samples."""
    counts = {"first": 20, "victim": VICTIMS_SAMPLES, "third": 20}
    of_all = {"schedule": schedule, "visit_rounds": 2}
    documents = [
        null_trials.null_document(model={"name": name}, task={"count": count}, measurement=of_all) for name, count in counts.items()
    ]
    return tuple(null_trials.planned(*documents))


def concerns(victim: PlannedTrial, argument: Any) -> bool:
    """Whether an argument of a call belongs to the victim."""
    for path in (("trial_id",), ("_folder", "path", "name"), ("_worker", "_trial"), ("_session", "_worker", "_trial")):
        found = argument
        for name in path:
            found = getattr(found, name, None)
        if found is not None and found in (victim.trial_id, victim.trial):
            return True
    if isinstance(argument, str | type(victim.trial)):
        return argument in (victim.trial_id, victim.trial)
    return getattr(argument, "num_rows", None) == VICTIMS_SAMPLES


@pytest.fixture
def campaign(null_targets: Path, tmp_path: Path) -> Callable[..., tuple[Campaign, list[str]]]:
    """Run three trials; return what is stored, and how each trial ended by what the observer was told."""

    def run_all(trials: tuple[PlannedTrial, ...], rule_of: Any = own_rule) -> tuple[Campaign, list[str]]:
        told: list[str] = []

        class Listens(Progress):
            def trial_ended(self, planned: PlannedTrial, state: Any, reason: str | None) -> None:
                told.append(f"{planned.trial.model.name} {state} {reason}")
                super().trial_ended(planned, state, reason)

        return null_trials.measure(tmp_path / "results", trials, progress=Listens(len(trials), None), rule_of=rule_of), told

    return run_all


def break_for(monkeypatch: pytest.MonkeyPatch, victim: PlannedTrial, owner: Any, name: str, error: Exception | None = None) -> None:
    original = getattr(owner, name)

    def breaking(*arguments: Any, **named: Any) -> Any:
        if any(concerns(victim, argument) for argument in (*arguments, *named.values())):
            raise error or Breaks("broken")
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, breaking)


def lose_process(monkeypatch: pytest.MonkeyPatch, victim: PlannedTrial) -> None:
    """The victim's first process is lost in its first round, of which one sample was measured."""
    ask, lost = InlineSession.run_rounds, []

    def run_rounds(session: InlineSession, first: int, count: int, visit: int) -> Any:
        def gone() -> Any:
            lost.append(session)
            raise SessionLost("gone", cause="process")

        return ask(session, first, count, visit) if lost or not concerns(victim, session) else InlineJob(gone)

    stamps = np.zeros((VICTIMS_SAMPLES, 4), dtype=np.int64)
    stamps[0] = [1, 2, 3, 4]
    monkeypatch.setattr(InlineSession, "run_rounds", run_rounds)
    if "abandon" not in vars(monkeypatch):
        monkeypatch.setattr(InlineSession, "abandon", lambda session: session.close() or Stamps(2, 1, 1, stamps))


STEPS: list[tuple[Any, str, str]] = [
    (InlineExecutor, "machine_of", ""),
    (CampaignWriter, "trial", ""),
    (CampaignWriter, "read_trial", "machine"),
    (TrialWriter, "stored_samples", ""),
    (InlineExecutor, "open", ""),
    (InlineSession, "identify", ""),
    (InlineSession, "take_turn", ""),
    (InlineSession, "prepare", ""),
    (course, "judge_samples", ""),
    (TrialWriter, "write_samples", ""),
    (TrialWriter, "write_warmup", ""),
    (course, "placement_flags", ""),
    (RoundCalls, "ask_ahead", ""),
    (InlineSession, "run_rounds", ""),
    (RoundCalls, "take", ""),
    (TrialWriter, "append", ""),
    (InlineSession, "read_back", ""),
    (InlineSession, "kernel_ns", ""),
    (TrialWriter, "write_record", ""),
    (CampaignWriter, "set_state", "unstored"),
    (TrialWriter, "finish", ""),
    (InlineSession, "close", ""),
    (Progress, "trial_started", ""),
    (Progress, "trial_prepared", ""),
    (Progress, "round_done", ""),
    (InlineSession, "host_answers", "lost"),
    (InlineSession, "abandon", "lost"),
    (course, "rounds_left", "lost"),
    (Progress, "fault_seen", "lost"),
]


@pytest.mark.parametrize(
    ("owner", "name", "how", "schedule"),
    [pytest.param(*step, "visits", marks=() if step[2] == "lost" else pytest.mark.slow) for step in STEPS]
    + [pytest.param(*step, "sequential", marks=pytest.mark.slow) for step in STEPS[::6]],
)
def test_whatever_breaks_in_one_trial_ends_it_alone(
    campaign: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, how: str, schedule: str
) -> None:
    trials = three_trials(schedule)
    victim = next(planned for planned in trials if planned.trial.model.name == "victim")
    if how == "lost":
        lose_process(monkeypatch, victim)
    break_for(monkeypatch, victim, owner, name)
    stored, told = campaign(trials)

    states = {planned.trial.model.name: (planned.state, planned.reason) for planned in stored.record.trials}
    if how == "machine":  # what an earlier driver has left must be known before anything is timed on that machine
        assert {state for state, _ in states.values()} == {"failed"}
        return
    for planned in stored.record.trials:
        if planned.trial_id != victim.trial_id:
            assert planned.state == "done"
            assert stored.rounds(planned.trial_id).num_rows == 3
    (ended,) = [line for line in told if line.startswith("victim ")]
    assert ended.startswith("victim failed")
    assert "Breaks: broken" in ended
    if how == "unstored":
        return
    state, reason = states["victim"]
    assert state == "failed"
    assert "in the driver: Breaks: broken (test_contained.py, line " in reason
    assert stored.trial(victim.trial_id).state == "failed"
    if how == "lost":
        assert reason.startswith("gone; then, in the driver: ")
        assert [fault.name for fault in stored.trial(victim.trial_id).faults] == ([] if name == "host_answers" else ["process killed"])


@pytest.mark.parametrize("schedule", ["sequential", "visits"])
@pytest.mark.parametrize("when", ["made", "asked"])
def test_a_rule_that_breaks_ends_its_trial_alone(campaign: Any, when: str, schedule: str) -> None:
    trials = three_trials(schedule)

    def rule_of(planned: PlannedTrial, primary: str | None) -> StoppingRule:
        rule = own_rule(planned, primary)
        if planned.trial.model.name == "victim":
            if when == "made":
                raise SystemExit("broken")
            rule.update = lambda *observed: (_ for _ in ()).throw(RuntimeError("broken"))  # type: ignore[method-assign]
        return rule

    stored, _ = campaign(trials, rule_of)
    expected = "SystemExit" if when == "made" else "RuntimeError"
    for planned in stored.record.trials:
        if planned.trial.model.name == "victim":
            assert planned.state == "failed"
            assert f"in the driver: {expected}: broken" in (planned.reason or "")
        else:
            assert planned.state == "done"


def test_a_full_disk_is_the_trouble_of_all(campaign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = three_trials("sequential")
    victim = next(planned for planned in trials if planned.trial.model.name == "victim")
    break_for(monkeypatch, victim, TrialWriter, "append", OSError(28, "No space left on device", "part"))
    with pytest.raises(OSError, match="No space left"):
        campaign(trials)
