from collections.abc import Callable
from dataclasses import replace

import pytest
from refusals import refused

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.machine.host import Machine
from orchestrator.running.plan import Candidate, check_analysis, make_plan_of, pair_up
from orchestrator.subject.inspection import Inspection

MakeTrial = Callable[..., Trial]


@pytest.fixture
def candidate(make_trial: MakeTrial, inspection: Inspection, machine: Machine) -> Callable[..., Candidate]:
    return lambda **keys: Candidate(make_trial(**keys), inspection, machine)


def test_kinds_that_differ_and_runtimes_that_are_not_offered_are_left_out_once(make_trial: MakeTrial) -> None:
    good = make_trial()
    trials = [
        good,
        make_trial(task__kind="texts", task__name="books"),
        make_trial(task__kind="texts", task__name="books", system__name="other"),
        make_trial(runtime__name="tensorflow"),
    ]
    fitting, left_out = pair_up(trials)
    assert fitting == [good]
    assert [(left.pair, left.reason) for left in left_out] == [
        (("small", "books"), "model small is of kind pictures, task books of kind texts"),
        (("small", "tensorflow"), "model small offers the runtimes torch, onnxruntime, not tensorflow"),
    ]


def test_what_cannot_be_paired_is_refused(make_trial: MakeTrial) -> None:
    with refused("unsupported"):
        pair_up([make_trial(task__kind="texts"), make_trial(runtime__name="tensorflow")])
    with refused("conflict", "task.classes", 1000):
        pair_up([make_trial(model__classes=10, task__classes=1000)])
    pair_up([make_trial(model__classes=10), make_trial(task__classes=10), make_trial(model__classes=10, task__classes=10)])


def test_repeats_come_one_round_of_all_trials_after_another(candidate: Callable[..., Candidate]) -> None:
    plan = make_plan_of(
        [
            candidate(measurement__repeat=2),
            candidate(measurement__batch=2),
            candidate(measurement__batch=4, measurement__repeat=3),
        ]
    )
    order = [(planned.trial.measurement.batch, planned.trial.repeat) for planned in plan.trials]
    assert order == [(1, 0), (2, 0), (4, 0), (1, 1), (4, 1), (4, 2)]
    assert len({planned.trial_id for planned in plan.trials}) == len(plan.trials)


def test_the_same_trial_twice_runs_once(candidate: Callable[..., Candidate]) -> None:
    plan = make_plan_of([candidate(), candidate(measurement__batch=2), candidate()])
    assert [planned.trial.measurement.batch for planned in plan.trials] == [1, 2]
    assert plan.duplicates == 1


def test_different_trials_of_one_id_are_a_mistake(candidate: Callable[..., Candidate]) -> None:
    with refused("conflict", "measurement.round_timeout_s, task.limit"):
        make_plan_of([candidate(), candidate(measurement__round_timeout_s=5, task__limit=20)])


def test_infeasible_trials_stay_in_the_plan_with_their_reason(candidate: Callable[..., Candidate]) -> None:
    plan = make_plan_of([candidate(system__cores=64), candidate()])
    assert [planned.state for planned in plan.trials] == ["infeasible", "planned"]
    assert plan.infeasible == (plan.trials[0],)
    assert str(plan.trials[0].reason).startswith("system.cores=64: ")
    assert plan.trials[1].reason is None


def test_paths_are_absolute_in_what_runs(candidate: Callable[..., Candidate], inspection: Inspection) -> None:
    found = replace(candidate(), inspection=replace(inspection, model_paths={"path": "/here/w.pth"}))
    (planned,) = make_plan_of([found]).trials
    assert planned.trial.task.options["root"] == "/here/data"
    assert planned.trial.model.options["path"] == "/here/w.pth"


def test_trials_that_no_table_could_hold_are_refused_before_they_are_measured(candidate: Callable[..., Candidate]) -> None:
    def judged_by(*metrics: str, **keys: object) -> Candidate:
        found = candidate(**keys)
        return replace(found, inspection=replace(found.inspection, metrics=metrics))

    def check(*candidates: Candidate, **analysis: object) -> None:
        check_analysis(make_plan_of(candidates), AnalysisConfig.model_validate(analysis))

    one = judged_by("top1", "top5")
    check(one, judged_by("top1", measurement__batch=2), judged_by("accuracy", task__name="books"))
    check(one, judged_by("top5", "top1", measurement__batch=2), metrics=["top5"])
    for metrics in (("accuracy",), ("top5", "top1")):
        with refused("incomparable", "task"):
            check(one, judged_by(*metrics, measurement__batch=2))
