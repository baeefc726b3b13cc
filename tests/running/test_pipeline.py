from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.commands.progress import Progress
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import parse_trial
from orchestrator.machine.host import read_machine
from orchestrator.measurement.worker import Worker
from orchestrator.running.executor import SessionLost
from orchestrator.running.inline import InlineJob, InlineSession, open_inline
from orchestrator.running.pipeline import order_of_cycle, own_rule, run_trials
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.running.trial_judge import kernel_flags
from orchestrator.stats.stopping import StoppingRule, make_rule
from orchestrator.storage.handover import Rounds
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import Inspector

MODEL = {
    "name": "null",
    "kind": "image_classification",
    "target": "null_targets:NullModel",
    "runtimes": ["torch"],
    "sleep_ms": 0,
    "wrong": [3, 7],
    "raises_on": [],
    "fails_to_load": False,
    "dies": False,
}
TASK = {"name": "numbers", "kind": "image_classification", "target": "null_targets:Numbers", "count": 20}


class FakeClock:
    """Each reading is 1 ms after the last one, so every stage takes exactly 1 ms."""

    def __init__(self) -> None:
        self._now = 0

    def __call__(self) -> int:
        self._now += 1_000_000
        return self._now

    def now(self) -> int:
        """Return the last reading."""
        return self._now


class NoisyClock(FakeClock):
    """Readings 10 ms +- 30 % apart."""

    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(3)

    def __call__(self) -> int:
        self._now += int(1e7 * self._random.lognormal(0, 0.3))
        return self._now


class StopsAfter(FakeClock):
    """Stops a campaign during its round of a number, counted over all of its trials from 1; warm-up rounds and lead-ins do not count."""

    def __init__(self, stop: threading.Event, rounds: int) -> None:
        super().__init__()
        self._stop, self._left = stop, rounds

    def round_begins(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._stop.set()


def planned(**changes: dict[str, object]) -> list[PlannedTrial]:
    document = {
        "model": MODEL | changes.get("model", {}),
        "task": TASK | changes.get("task", {}),
        "system": {"name": "cpu_all"} | changes.get("system", {}),
        "runtime": {"name": "torch"},
        "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3} | changes.get("measurement", {}),
    }
    trial = parse_trial(document)
    return list(make_plan_of([Candidate(trial, Inspector().open(trial).inspection, read_machine())]).trials)


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Campaign]:
    """Measure trials into one folder; where that is there already, its campaign is gone on with."""

    def run(
        trials: list[PlannedTrial], stop: threading.Event | None = None, clock: FakeClock | None = None, rule_of: Any = own_rule
    ) -> Campaign:
        directory, clock = tmp_path / "results", clock or FakeClock()
        began_ns = next(begins_ns)  # by a clock of the machine, which goes on while that of the times begins anew
        record = CampaignRecord(code_version="test", name="test", trials=tuple(trials))
        going_on = directory.exists()
        with (
            CampaignWriter.reopen(directory) if going_on else CampaignWriter.create(directory, record) as writer,
            open_inline(tmp_path / "cache", clock, lambda: began_ns + clock.now()) as executor,
        ):
            run_trials(trials, executor, writer, Progress(len(trials), None), stop or threading.Event(), rule_of=rule_of)
        return open_campaign(directory)

    begins_ns = count(0, 10**12)
    run_rounds = Worker.run_rounds

    def told(worker: Worker, first: int, count: int, visit: int) -> Rounds:
        if isinstance(worker._clock, StopsAfter):
            worker._clock.round_begins()
        return run_rounds(worker, first, count, visit)

    monkeypatch.setattr(Worker, "run_rounds", told)
    return run


def test_every_round_is_stored_with_exact_times(measure: Callable[..., Campaign]) -> None:
    trials = planned()
    campaign = measure(trials)

    timings = campaign.timings(trials[0].trial_id)
    assert timings.num_rows == 3 * 20
    for column in ("preprocess_ns", "inference_ns", "postprocess_ns"):
        assert set(timings.column(column).to_pylist()) == {1_000_000}
    record = campaign.trial(trials[0].trial_id)
    assert record.state == "done"
    assert record.ideal == {"top1": 0.9, "top5": 0.9}
    assert campaign.warmup(trials[0].trial_id).num_rows == 2 * 20
    rounds = campaign.rounds(trials[0].trial_id)
    assert rounds.column("round").to_pylist() == [0, 1, 2]
    assert len(set(rounds.column("prediction_digest").to_pylist())) == 1


def test_a_short_trial_takes_few_bytes(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement={"rule": "rounds", "min_rounds": 34, "max_rounds": 34})
    campaign = measure(trials, clock=NoisyClock())
    stored = {path: path.stat().st_size for path in (campaign.directory / "trials").rglob("*.parquet")}
    of_evidence = sum(size for path, size in stored.items() if path.parent.name == "rounds")
    assert campaign.timings(trials[0].trial_id).num_rows == 34 * 20
    assert (sum(stored.values()) - of_evidence) / (34 * 20) <= 21
    assert of_evidence / 34 <= 300  # of a busy machine it has more digits


def test_samples_carry_their_scores(measure: Callable[..., Campaign]) -> None:
    trials = planned()
    samples = measure(trials).samples(trials[0].trial_id)
    wrong = [number for number, score in enumerate(samples.column("score_top1").to_pylist()) if score == 0]
    assert wrong == [3, 7]


def test_batches_share_their_times(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement={"batch": 8})
    timings = measure(trials).timings(trials[0].trial_id)
    assert timings.num_rows == 60
    gaps = timings.column("start_gap_ns").to_pylist()[:20]
    assert gaps == [None] * 8 + [1_000_000] * 12


def test_a_shuffled_order_reaches_every_sample(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement={"order": "shuffled", "batch": 3})
    campaign = measure(trials)
    timings = campaign.timings(trials[0].trial_id)
    assert timings.column("sample").to_pylist() == [*range(20)] * 3
    assert set(campaign.rounds(trials[0].trial_id).column("different_answers").to_pylist()) == {0}


def test_a_model_that_fails_to_load_is_a_failed_trial_and_the_others_go_on(measure: Callable[..., Campaign]) -> None:
    trials = planned(model={"fails_to_load": True}) + planned()
    campaign = measure(trials)
    states = {trial.trial_id: (trial.state, trial.reason) for trial in campaign.record.trials}
    state, reason = states[trials[0].trial_id]
    assert state == "failed"
    assert re.fullmatch(r"model null raised while loading: OSError: weights are gone \(null_targets.py, line \d+, in load\)", reason)
    assert states[trials[1].trial_id] == ("done", None)


def test_a_model_may_raise_on_as_many_samples_as_allowed(measure: Callable[..., Campaign]) -> None:
    trials = planned(model={"raises_on": [5]}, measurement={"max_errors": 1})
    campaign = measure(trials)
    assert campaign.record.trials[0].state == "done"
    outcomes = np.array(campaign.timings(trials[0].trial_id).column("outcome").to_pylist()).reshape(3, 20)
    assert (outcomes[:, 5] == "error").all()
    assert (np.delete(outcomes, 5, axis=1) == "ok").all()
    message = campaign.trial(trials[0].trial_id).errors[0].message
    assert re.fullmatch(r"RuntimeError: cannot read \[5\] \(null_targets.py, line \d+, in infer\)", message)
    assert campaign.trial(trials[0].trial_id).ideal["top1"] == 17 / 20


def test_one_sample_more_fails_the_trial(measure: Callable[..., Campaign]) -> None:
    trials = planned(model={"raises_on": [5]})
    reason = measure(trials).record.trials[0].reason
    assert reason is not None
    assert reason.startswith("model null raised on 1 of 20 samples of the warm-up (measurement.max_errors=0), first on number-5")


def test_a_stop_finishes_the_round_and_keeps_it(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement={"schedule": "sequential"}) + planned(measurement={"schedule": "sequential", "batch": 2})
    stop = threading.Event()
    campaign = measure(trials, stop, StopsAfter(stop, rounds=1))
    first, second = campaign.record.trials
    assert (first.state, first.reason) == ("interrupted", "stopped by the user after 1 rounds")
    assert campaign.rounds(first.trial_id).num_rows == 1
    assert second.state == "planned"


def test_repeats_are_trials_of_their_own(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement={"repeat": 2})
    campaign = measure(trials)
    assert [trial.trial_id[-3:] for trial in campaign.record.trials] == ["-r0", "-r1"]
    assert len({trial.match_key for trial in campaign.record.trials}) == 1
    assert all(trial.state == "done" for trial in campaign.record.trials)


def rounds_of(rounds: int, **measurement: object) -> dict[str, object]:
    return {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, **measurement}


def sequence(campaign: Campaign) -> list[tuple[int, int]]:
    """The trial (0, 1, ...) and the visit of each round, in the order they were timed."""
    rows = [
        (row["started_monotonic_ns"], place, row["visit"])
        for place, trial in enumerate(campaign.record.trials)
        for row in campaign.rounds(trial.trial_id).to_pylist()
    ]
    return [(place, visit) for _, place, visit in sorted(rows)]


def stretches(campaign: Campaign) -> list[tuple[int, int, int]]:
    """The trial, the visit and the number of rounds of each stretch of rounds that followed one another."""
    return [(*of, len(list(rounds))) for of, rounds in groupby(sequence(campaign))]


def test_trials_take_turns_in_visits(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement=rounds_of(7, visit_rounds=3)) + planned(measurement=rounds_of(4, visit_rounds=3, batch=2))
    campaign = measure(trials)
    found = stretches(campaign)
    assert sorted(found[:2]) == [(0, 0, 3), (1, 0, 3)]
    assert sorted(found[2:4]) == [(0, 1, 3), (1, 1, 1)]
    assert found[4:] == [(0, 2, 1)]
    rounds = campaign.rounds(trials[0].trial_id)
    assert rounds.column("lead_in").to_pylist() == [3, None, None, 3, None, None, 3]
    assert rounds.column("lead_in_first_ns").to_pylist() == [3_000_000, None, None, 3_000_000, None, None, 3_000_000]
    assert {trial.state for trial in campaign.record.trials} == {"done"}
    assert rounds.column("visit").to_pylist() == [0, 0, 0, 1, 1, 1, 2]
    assert len(campaign.trial(trials[0].trial_id).processes) == 1


def test_rule_settled_has_the_half_width_of_the_interval_that_is_reported(measure: Callable[..., Campaign]) -> None:
    measurement = {"rule": "settled", "min_rounds": 40, "max_rounds": 40}
    trials = [one for wrong in ([3], [3, 7], [1, 2, 3]) for one in planned(model={"wrong": wrong}, measurement=measurement)]
    campaign = measure(trials, clock=NoisyClock())
    rows = analyse(campaign, AnalysisConfig()).tables["tail_quality"].to_pylist()
    for trial in trials:
        stopping = campaign.trial(trial.trial_id).stopping
        assert stopping is not None
        check = stopping.checks[-1]
        [row] = [
            row
            for row in rows
            if (row["trial"], row["metric"], row["clock"]) == (trial.trial_id, "top1", "total")
            and (row["threshold_origin"], row["threshold_ns"]) == ("own", check["primary_threshold_ns"])
        ]
        assert check["quality_mean"] == pytest.approx(row["mean"], rel=1e-12)
        assert check["half_width"] == pytest.approx((row["interval_high"] - row["interval_low"]) / 2, rel=1e-12)
        assert dict(row["interval_parameters"])["units"] == 15


def test_interleaved_trials_have_visits_of_one_round(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement=rounds_of(3, schedule="interleaved")) + planned(measurement=rounds_of(2, schedule="interleaved", batch=2))
    found = sequence(measure(trials))
    assert [sorted(found[:2]), sorted(found[2:4]), found[4:]] == [[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(0, 2)]]


def test_a_sequential_trial_is_one_visit(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement=rounds_of(3, schedule="sequential")) + planned(measurement=rounds_of(2, schedule="sequential", batch=2))
    assert stretches(measure(trials)) == [(0, 0, 3), (1, 0, 2)]


def test_every_cycle_has_an_order_of_its_own_and_always_the_same() -> None:
    names = ["a", "b", "c", "d"]
    orders = [order_of_cycle(names, "2026-11-26", number) for number in range(2000)]
    assert orders == [order_of_cycle(reversed(names), "2026-11-26", number) for number in range(2000)]
    counts = Counter(map(tuple, orders))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 0.001  # the digests are given, so this is no matter of chance
    assert orders != [order_of_cycle(names, "2026-11-27", number) for number in range(2000)]


def test_what_was_interrupted_is_balanced_and_goes_on_with_those_behind(measure: Callable[..., Campaign]) -> None:
    trials = planned(measurement=rounds_of(9, visit_rounds=3)) + planned(measurement=rounds_of(9, visit_rounds=3, batch=2))
    stop = threading.Event()
    campaign = measure(trials, stop, StopsAfter(stop, rounds=9))
    assert {trial.state for trial in campaign.record.trials} == {"interrupted"}
    before = stretches(campaign)
    assert [sorted(before[:2]), before[2][1:]] == [[(0, 0, 3), (1, 0, 3)], (1, 3)]
    behind = 1 - before[2][0]

    campaign = measure(list(campaign.record.trials))
    found = stretches(campaign)
    assert found[:3] == before
    assert [found[3], sorted(found[4:])] == [(behind, 2, 3), [(0, 3, 3), (1, 3, 3)]]
    assert {trial.state for trial in campaign.record.trials} == {"done"}


def test_an_extension_is_spread_over_all_trials_whatever_they_have(measure: Callable[..., Campaign], tmp_path: Path) -> None:
    trials = planned(measurement=rounds_of(9, visit_rounds=3)) + planned(measurement=rounds_of(3, visit_rounds=3, batch=2))
    before = stretches(measure(trials))
    with CampaignWriter.reopen(tmp_path / "results") as writer:
        for trial, rounds in zip(writer.record.trials, (9, 3), strict=True):
            writer.note(trial.trial_id, [], rounds + 6)
            writer.set_state(trial.trial_id, "planned", None)
        trials = list(writer.record.trials)

    def until(planned: PlannedTrial, primary: str | None) -> StoppingRule:
        rounds = planned.trial.measurement.min_rounds + 6
        return make_rule("rounds", min_rounds=rounds, max_rounds=rounds)

    found = stretches(measure(trials, rule_of=until))[len(before) :]
    assert [sorted(found[:2]), sorted(found[2:])] == [[(0, 3, 3), (1, 3, 3)], [(0, 4, 3), (1, 4, 3)]]


def test_a_fault_ends_its_visit_and_the_next_one_has_a_fresh_process(measure: Callable[..., Campaign]) -> None:
    gone = iter([False] * 4 + [True])  # the model's process is lost in the fifth round of all
    trials = planned(measurement=rounds_of(6, visit_rounds=3)) + planned(measurement=rounds_of(6, visit_rounds=3, batch=2))
    ask = InlineSession.run_rounds

    def run_rounds(session: InlineSession, first: int, count: int, visit: int) -> Any:
        def lost() -> Any:
            raise SessionLost("gone", cause="process")

        return InlineJob(lost) if next(gone, False) else ask(session, first, count, visit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InlineSession, "run_rounds", run_rounds)
        campaign = measure(trials)
    whole, faulty = sorted(campaign.record.trials, key=lambda trial: len(campaign.trial(trial.trial_id).processes))
    assert campaign.rounds(whole.trial_id).column("visit").to_pylist() == [0, 0, 0, 1, 1, 1]
    rounds = campaign.rounds(faulty.trial_id)
    assert rounds.column("visit").to_pylist() == [0, 1, 1, 1, 2, 2]
    assert rounds.column("process").to_pylist() == [0, 1, 1, 1, 1, 1]
    assert [fault.name for fault in campaign.trial(faulty.trial_id).faults] == ["process killed"]
    assert faulty.state == "done"


def test_the_machine_s_own_speed_is_stored_before_and_after(measure: Callable[..., Campaign]) -> None:
    trials = planned()
    kernel = measure(trials).trial(trials[0].trial_id).environment["kernel"]
    assert set(kernel) == {"before_ns", "after_ns"}
    assert min(kernel.values()) > 0


def test_trials_that_share_their_machine_are_flagged(measure: Callable[..., Campaign]) -> None:
    trials = planned(system={"exclusive": False})
    assert "machine shared with other trials" in measure(trials).trial(trials[0].trial_id).flags


def test_a_model_that_is_never_right_is_flagged(measure: Callable[..., Campaign]) -> None:
    trials = planned(model={"wrong": list(range(20))})
    assert "no answer is right even without a threshold" in measure(trials).trial(trials[0].trial_id).flags


@pytest.mark.parametrize("answer", ["cat", ["cat"], {"label": 1}, [float("nan")]])
def test_answers_of_another_form_are_in_one_line(measure: Callable[..., Campaign], answer: object) -> None:
    trials = planned(model={"target": "null_targets:OddModel", "answer": answer}) + planned()
    first, second = measure(trials).record.trials
    assert first.state == "failed"
    assert first.reason is not None
    assert "docs/tasks.md shows" in first.reason
    assert second.state == "done"


def test_a_change_of_speed_is_flagged_beyond_a_tenth() -> None:
    assert kernel_flags(100, 109) == kernel_flags(100, 91) == ()
    assert kernel_flags(100, 112) == ("machine slower at the end",)
    assert kernel_flags(100, 88) == ("machine faster at the end",)


def test_what_the_user_s_code_raised_is_kept_with_the_way_there(measure: Callable[..., Campaign]) -> None:
    trials = planned(model={"fails_to_load": True}) + planned(model={"raises_on": [5]}, measurement={"max_errors": 1})
    campaign = measure(trials)
    failed, done = (campaign.directory / "trials" / trial.trial_id / "traceback.txt" for trial in trials)
    text = failed.read_text()
    assert text.startswith("==================== process 0, load failed\nTraceback (most recent call last):\n")
    assert text.count("====================") == 1, "the second process raised the same"
    assert re.search(r'null_targets.py", line \d+, in load\n    raise OSError\("weights are gone"\)', text)
    text = done.read_text()
    assert text.startswith("==================== round 0, first sample that the model raised on\n")
    assert text.count("RuntimeError: cannot read [5]") == 1
    assert campaign.rounds(trials[1].trial_id).num_rows == 3


def test_a_trial_that_raises_nothing_has_no_traceback(measure: Callable[..., Campaign]) -> None:
    campaign = measure(planned())
    assert not list(campaign.directory.rglob("traceback.txt"))


def test_a_metric_that_raises_says_where(measure: Callable[..., Campaign], monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(name: str, answers: object) -> object:
        raise ValueError("no such form")

    monkeypatch.setattr("orchestrator.running.trial_judge.judge", raising)
    trials = planned()
    campaign = measure(trials)
    reason = campaign.record.trials[0].reason or ""
    assert re.search(r"\(ValueError: no such form \(test_pipeline.py, line \d+, in raising\)\); docs/tasks.md shows", reason)
    assert "in raising" in (campaign.directory / "trials" / trials[0].trial_id / "traceback.txt").read_text()
