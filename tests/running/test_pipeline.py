import re
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count, groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import null_trials
import numpy as np
import pytest
from null_trials import OPTIONS, null_document, planned
from scipy.stats import chisquare
from virtual_clock import NoisyClock, SteppingClock

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.measurement.failures import Stamps
from orchestrator.measurement.worker import Worker
from orchestrator.running import course
from orchestrator.running.executor import SessionLost
from orchestrator.running.inline import InlineSession, open_inline
from orchestrator.running.pipeline import order_of_cycle
from orchestrator.running.trial_judge import kernel_flags
from orchestrator.stats.stopping import RoundObservation
from orchestrator.storage.handover import Rounds
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import PlannedTrial

Measure = Callable[..., Campaign]


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measure trials into one folder, up to a number of rounds of all of them; where the folder is there already, its campaign goes on."""
    begins_ns = count(0, 10**12)
    run_rounds = Worker.run_rounds
    left: list[int] = []
    stop = threading.Event()

    def counted(worker: Worker, first: int, count: int, visit: int) -> Rounds:
        left.append(left.pop() - 1)
        if left == [0]:
            stop.set()
        return run_rounds(worker, first, count, visit)

    def run(trials: list[PlannedTrial], rounds: int = -1, clock: Any = None, **more: Any) -> Campaign:
        clock = clock or SteppingClock()
        began_ns = next(begins_ns)  # by a clock of the machine, which goes on while that of the times begins anew
        left[:] = [rounds]
        stop.clear()
        with open_inline(tmp_path / "cache", clock, lambda: began_ns + clock.now()) as executor:
            return null_trials.measure(tmp_path / "results", trials, stop, executor, **more)

    monkeypatch.setattr(Worker, "run_rounds", counted)
    return run


def rounds_of(rounds: int, **measurement: Any) -> dict[str, Any]:
    return null_document(measurement={"min_rounds": rounds, "max_rounds": rounds, **measurement})


def test_every_round_is_stored_with_exact_times_and_scores(measure: Measure) -> None:
    (trial,) = planned(null_document(model={"wrong": [3, 7]}))
    campaign = measure([trial])
    timings = campaign.timings(trial.trial_id)
    assert timings.num_rows == 3 * 20
    for column in ("preprocess_ns", "inference_ns", "postprocess_ns"):
        assert set(timings.column(column).to_pylist()) == {1_000_000}
    record = campaign.trial(trial.trial_id)
    assert (record.state, record.ideal) == ("done", {"top1": 0.9, "top5": 0.9})
    assert min(record.environment["kernel"][name] for name in ("before_ns", "after_ns")) > 0
    assert record.placement["other_threads"] == 0 < len(record.placement["computing_threads"])
    assert campaign.warmup(trial.trial_id).num_rows == 2 * 20
    rounds = campaign.rounds(trial.trial_id)
    assert rounds.column("round").to_pylist() == [0, 1, 2]
    assert len(set(rounds.column("prediction_digest").to_pylist())) == 1
    scores = campaign.samples(trial.trial_id).column("score_top1").to_pylist()
    assert [number for number, score in enumerate(scores) if score == 0] == [3, 7]
    assert not list(campaign.directory.rglob("traceback.txt"))


def test_batches_share_their_times_and_a_shuffled_order_reaches_every_sample(measure: Measure) -> None:
    batched, shuffled = planned(rounds_of(3, batch=8), rounds_of(3, batch=3, order="shuffled"))
    campaign = measure([batched, shuffled])
    gaps = campaign.timings(batched.trial_id).column("start_gap_ns").to_pylist()
    assert gaps[:20] == [None] * 8 + [1_000_000] * 12
    assert campaign.timings(shuffled.trial_id).column("sample").to_pylist() == [*range(20)] * 3
    assert set(campaign.rounds(shuffled.trial_id).column("different_answers").to_pylist()) == {0}


def test_a_model_that_fails_to_load_is_a_failed_trial_and_the_others_go_on(measure: Measure) -> None:
    campaign = measure(planned(null_document(model={"fails_to_load": True}), null_document()))
    failed, done = campaign.record.trials
    assert (failed.state, done.state) == ("failed", "done")
    assert re.search(r"OSError: weights are gone \(null_targets.py, line \d+, in load\)$", failed.reason or "")
    text = (campaign.directory / "trials" / failed.trial_id / "traceback.txt").read_text()
    assert text.startswith("==================== process 0, load failed\nTraceback (most recent call last):\n")
    assert text.count("====================") == 1, "the second process raised the same"


def test_a_model_may_raise_on_as_many_samples_as_allowed(measure: Measure) -> None:
    raises = {"raises_on": [5], "wrong": [3, 7]}
    campaign = measure(planned(null_document(model=raises, measurement={"max_errors": 1}), null_document(model={"raises_on": [5]})))
    allowed, failed = campaign.record.trials
    assert (allowed.state, failed.state) == ("done", "failed")
    outcomes = np.array(campaign.timings(allowed.trial_id).column("outcome").to_pylist()).reshape(3, 20)
    assert (outcomes[:, 5] == "error").all()
    assert (np.delete(outcomes, 5, axis=1) == "ok").all()
    record = campaign.trial(allowed.trial_id)
    assert re.fullmatch(r"RuntimeError: cannot read \[5\] \(null_targets.py, line \d+, in infer\)", record.errors[0].message)
    assert record.ideal["top1"] == 17 / 20
    text = (campaign.directory / "trials" / allowed.trial_id / "traceback.txt").read_text()
    assert text.startswith("==================== round 0, first sample that the model raised on\n")
    assert text.count("RuntimeError: cannot read [5]") == 1


def test_a_stop_finishes_the_round_and_keeps_it(measure: Measure) -> None:
    campaign = measure(planned(rounds_of(3, schedule="sequential"), rounds_of(3, schedule="sequential", batch=2)), rounds=1)
    first, second = campaign.record.trials
    assert (first.state, second.state) == ("interrupted", "planned")
    assert campaign.rounds(first.trial_id).num_rows == 1


def stretches(campaign: Campaign) -> list[tuple[int, int, int]]:
    """The trial (0, 1, ...), the visit and the number of rounds of each stretch of rounds that followed one another."""
    rows = [
        (row["started_monotonic_ns"], place, row["visit"])
        for place, trial in enumerate(campaign.record.trials)
        for row in campaign.rounds(trial.trial_id).to_pylist()
    ]
    return [(*of, len(list(rounds))) for of, rounds in groupby((place, visit) for _, place, visit in sorted(rows))]


def test_trials_take_turns_in_visits(measure: Measure) -> None:
    trials = planned(rounds_of(7, visit_rounds=3), rounds_of(4, visit_rounds=3, batch=2))
    campaign = measure(trials)
    found = stretches(campaign)
    assert [sorted(found[:2]), sorted(found[2:4]), found[4:]] == [[(0, 0, 3), (1, 0, 3)], [(0, 1, 3), (1, 1, 1)], [(0, 2, 1)]]
    rounds = campaign.rounds(trials[0].trial_id)
    assert rounds.column("lead_in").to_pylist() == [3, None, None, 3, None, None, 3]
    assert rounds.column("lead_in_first_ns").to_pylist() == [3_000_000, None, None, 3_000_000, None, None, 3_000_000]
    assert len(campaign.trial(trials[0].trial_id).processes) == 1


@pytest.mark.parametrize(
    ("trials", "pause", "schedule", "units"),
    [(1, 1, "visits", {0, 1}), (1, 0.9, "visits", {None}), (2, 0, "visits", {0, 1}), (2, 1, "sequential", {None})],
)
def test_visits_are_units_of_the_rule_where_another_trial_or_a_pause_lies_between(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, trials: int, pause: float, schedule: str, units: set[int | None]
) -> None:
    seen: set[int | None] = set()
    monkeypatch.setattr(course, "RoundObservation", lambda *values: seen.add(values[4]) or RoundObservation(*values))
    measure(planned(*(rounds_of(4, visit_rounds=2, pause=pause, schedule=schedule, batch=batch + 1) for batch in range(trials))))
    assert seen == units


@pytest.mark.slow
def test_rule_settled_has_the_half_width_of_the_interval_that_is_reported(measure: Measure) -> None:
    measurement = {"rule": "settled", "min_rounds": 40, "max_rounds": 40}
    trials = planned(*(null_document(model={"wrong": wrong}, measurement=measurement) for wrong in ([3], [3, 7], [1, 2, 3])))
    campaign = measure(trials, clock=NoisyClock())
    rows = analyse(campaign, AnalysisConfig()).tables["tail_quality"].to_pylist()
    for trial in trials:
        stopping = campaign.trial(trial.trial_id).stopping
        assert stopping is not None
        check = stopping.checks[-1]
        wanted = {
            "trial": trial.trial_id, "metric": "top1", "clock": "total", "threshold_origin": "own",
            "threshold_ns": check["primary_threshold_ns"],
        }  # fmt: skip
        row = next(row for row in rows if wanted.items() <= row.items())  # two own thresholds may be equal
        assert check["quality_mean"] == pytest.approx(row["mean"], rel=1e-12)
        assert check["half_width"] == pytest.approx((row["interval_high"] - row["interval_low"]) / 2, rel=1e-12)
        assert dict(row["interval_parameters"])["units"] == 15


def test_every_cycle_has_an_order_of_its_own_and_always_the_same() -> None:
    names = ["a", "b", "c", "d"]
    orders = [order_of_cycle(names, "2026-11-26", number) for number in range(2000)]
    assert orders == [order_of_cycle(reversed(names), "2026-11-26", number) for number in range(2000)]
    counts = Counter(map(tuple, orders))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 0.001  # the digests are given, so this is no matter of chance
    assert orders != [order_of_cycle(names, "2026-11-27", number) for number in range(2000)]


def test_what_was_interrupted_is_balanced_and_goes_on_with_those_behind(measure: Measure) -> None:
    campaign = measure(planned(rounds_of(9, visit_rounds=3), rounds_of(9, visit_rounds=3, batch=2)), rounds=9)
    assert {trial.state for trial in campaign.record.trials} == {"interrupted"}
    before = stretches(campaign)
    assert [sorted(before[:2]), before[2][1:]] == [[(0, 0, 3), (1, 0, 3)], (1, 3)]
    behind = 1 - before[2][0]
    campaign = measure(list(campaign.record.trials))
    found = stretches(campaign)
    assert found[:3] == before
    assert [found[3], sorted(found[4:])] == [(behind, 2, 3), [(0, 3, 3), (1, 3, 3)]]
    assert {trial.state for trial in campaign.record.trials} == {"done"}


@pytest.mark.parametrize(
    ("error", "fault", "kept", "outcomes"),
    [
        (SessionLost("gone", cause="process"), ("process killed", "gone"), True, {"ok": 101, "error": 1, "lost": 18}),
        (TimeoutError("no answer"), ("hang", "no answer"), True, {"ok": 101, "timeout": 1, "lost": 18}),
        (SessionLost("gone", cause="machine"), ("host lost", "SessionLost: gone"), False, {"ok": 120}),
    ],
)
def test_a_fault_ends_its_visit_and_the_next_one_has_a_fresh_process(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, error: Exception, fault: tuple[str, str], kept: bool, outcomes: dict[str, int]
) -> None:
    gone = iter([False] * 4 + [True])  # the model's process is lost in the fifth round of all, in its second sample
    ask = InlineSession.run_rounds

    def run_rounds(session: InlineSession, first: int, count: int, visit: int) -> Any:
        def lost(timeout: float) -> Any:
            raise error

        return SimpleNamespace(result=lost) if next(gone, False) else ask(session, first, count, visit)

    left = Stamps(1, 1, 1, np.array([[1, 2, 3, 4], *[[0] * 4] * 19], dtype=np.int64))
    monkeypatch.setattr(InlineSession, "run_rounds", run_rounds)
    monkeypatch.setattr(InlineSession, "abandon", lambda session: session.close() or left)
    campaign = measure(planned(rounds_of(6, visit_rounds=3), rounds_of(6, visit_rounds=3, warmup_rounds=3)))
    faulty = max(campaign.trials(), key=lambda trial: len(trial.processes))
    rounds = campaign.rounds(faulty.trial_id)
    assert rounds.column("visit").to_pylist() == [0, *([0, 1, 1, 1, 2] if kept else [1, 1, 1, 2, 2])]
    assert rounds.column("process").to_pylist() == [0, 0 if kept else 1, 1, 1, 1, 1]
    assert Counter(campaign.timings(faulty.trial_id).column("outcome").to_pylist()) == outcomes
    assert (faulty.state, [(one.name, one.message) for one in faulty.faults]) == ("done", [fault])


@pytest.mark.parametrize(
    ("blocks", "flag"),
    [
        ({"system": {"exclusive": False}}, "machine shared with other trials"),
        ({"model": {"wrong": list(range(20))}}, "no answer is right even without a threshold"),
    ],
)
def test_a_trial_earns_its_flag(measure: Measure, blocks: dict[str, Any], flag: str) -> None:
    (trial,) = planned(null_document(**blocks))
    assert flag in measure([trial]).trial(trial.trial_id).flags


@pytest.mark.parametrize("answer", ["cat", {"label": 1}, [float("nan")]])
def test_answers_of_another_form_fail_their_trial_alone(measure: Measure, answer: object) -> None:
    odd = null_document(model={**OPTIONS, "target": "null_targets:OddModel", "answer": answer})
    assert [trial.state for trial in measure(planned(odd, null_document())).record.trials] == ["failed", "done"]


def test_a_change_of_speed_is_flagged_beyond_a_tenth() -> None:
    assert kernel_flags(100, 109) == kernel_flags(100, 91) == ()
    assert kernel_flags(100, 112) == ("machine slower at the end",)
    assert kernel_flags(100, 88) == ("machine faster at the end",)
