from dataclasses import replace
from typing import Any

import pytest
from refusals import refused
from small_cats import INSPECTION, MACHINE, make_trial

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.running.parts import FRAMEWORK_BYTES, SHARE, cycles_of, held_bytes
from orchestrator.running.plan import Candidate, Plan, check_analysis, make_plan_of, pair_up
from orchestrator.storage.records import PlannedTrial


def candidate(**keys: Any) -> Candidate:
    return Candidate(make_trial(**keys), INSPECTION, MACHINE)


def test_kinds_that_differ_and_runtimes_that_are_not_offered_are_left_out_once() -> None:
    good = make_trial()
    trials = [
        good,
        make_trial(task__kind="texts", task__name="books"),
        make_trial(task__kind="texts", task__name="books", system__name="other"),
        make_trial(runtime__name="tensorflow"),
    ]
    fitting, left_out = pair_up(trials)
    assert fitting == [good]
    assert [left.pair for left in left_out] == [("small", "books"), ("small", "tensorflow")]


def test_what_cannot_be_paired_is_refused() -> None:
    with refused("unsupported"):
        pair_up([make_trial(task__kind="texts"), make_trial(runtime__name="tensorflow")])
    with refused("conflict", "task.classes", 1000):
        pair_up([make_trial(model__classes=10, task__classes=1000)])
    pair_up([make_trial(model__classes=10), make_trial(task__classes=10), make_trial(model__classes=10, task__classes=10)])


def test_repeats_come_one_round_of_all_trials_after_another() -> None:
    plan = make_plan_of(
        [
            candidate(measurement__repeat=2),
            candidate(measurement__batch=2),
            candidate(measurement__batch=4, measurement__repeat=3),
        ]
    )
    order = [(planned.trial.measurement.batch, planned.trial.repeat) for planned in plan.trials]
    assert order == [(1, 0), (2, 0), (4, 0), (1, 1), (4, 1), (4, 2)]


def test_the_same_trial_twice_runs_once() -> None:
    plan = make_plan_of([candidate(), candidate(measurement__batch=2), candidate()])
    assert [planned.trial.measurement.batch for planned in plan.trials] == [1, 2]
    assert plan.duplicates == 1


def test_different_trials_of_one_id_are_a_mistake() -> None:
    with refused("conflict", "measurement.round_timeout_s, task.limit"):
        make_plan_of([candidate(), candidate(measurement__round_timeout_s=5, task__limit=20)])


def test_infeasible_trials_stay_in_the_plan_with_their_reason() -> None:
    plan = make_plan_of([candidate(system__cores=64), candidate()])
    assert [planned.state for planned in plan.trials] == ["infeasible", "planned"]
    assert plan.infeasible == (plan.trials[0],)
    assert str(plan.trials[0].reason).startswith("system.cores=64: ")


def test_paths_are_absolute_in_what_runs() -> None:
    found = replace(candidate(), inspection=replace(INSPECTION, model_paths={"path": "/here/w.pth"}))
    (planned,) = make_plan_of([found]).trials
    assert planned.trial.task.options["root"] == "/here/data"
    assert planned.trial.model.options["path"] == "/here/w.pth"


def test_trials_that_no_table_could_hold_are_refused_before_they_are_measured() -> None:
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


def test_a_reference_is_a_trial_that_can_run() -> None:
    made = make_plan_of([candidate(system__cores=64), candidate()])
    check_analysis(made, AnalysisConfig(reference=made.trials[1].match_key))
    with refused("unsupported", "analysis.reference", made.trials[0].trial_id):
        check_analysis(made, AnalysisConfig(reference=made.trials[0].trial_id))
    for key in ("reference", "fallback"):
        with refused("unknown", f"analysis.{key}", "small-dogs"):
            check_analysis(made, AnalysisConfig(**{key: "small-dogs"}))


GIB = 2**30


def plan(models: str, room: float, **keys: Any) -> Plan:
    """Plan trials of models of these names on a machine that holds so many of their processes at once."""
    each = held_bytes(make_trial(), INSPECTION)["memory"]
    there = replace(MACHINE, memory_bytes=round(room * each / SHARE))
    return make_plan_of([Candidate(make_trial(model__name=name, **keys), INSPECTION, there) for name in models])


def parts(plan: Plan) -> list[int]:
    return [planned.part for planned in plan.trials]


TWICE = {"measurement__repeat": 2}
BESIDE = {"system__exclusive": False}


# A repeat that fits into one part is not spread over two, and lanes beside one another load one trial each where not all fit.
@pytest.mark.parametrize(
    ("models", "room", "keys", "expected"),
    [
        ("abc", 3.1, {}, [0, 0, 0]),
        ("abc", 2.5, {}, [0, 0, 1]),
        ("abc", 9, TWICE, [0] * 6),
        ("abc", 4.5, TWICE, [0, 0, 0, 1, 1, 1]),
        ("abc", 3.5, TWICE, [0, 0, 0, 1, 1, 1]),
        ("abc", 2.5, TWICE, [0, 0, 1, 2, 2, 3]),
        ("a", 1000, {"measurement__repeat": 130}, [0] * 64 + [1] * 64 + [2] * 2),
        ("abc", 9, BESIDE, [0, 0, 0]),
        ("abc", 2.5, BESIDE, [0, 1, 2]),
    ],
)
def test_what_the_memory_holds_is_loaded_at_once_and_the_rest_afterwards(
    models: str, room: float, keys: dict[str, Any], expected: list[int]
) -> None:
    made = plan(models, room, **keys)
    assert parts(made) == expected
    assert bool(made.parts) == (expected[-1] > 0), "the plan says so"
    assert ["part" in planned.model_dump() for planned in made.trials] == [part > 0 for part in expected]
    assert [PlannedTrial.model_validate(planned.model_dump()).part for planned in made.trials] == expected


def test_trials_of_one_task_are_measured_together() -> None:
    """Of three and two trials, a part that holds four would leave one without those that it is compared with."""
    there = replace(MACHINE, memory_bytes=round(4.5 * held_bytes(make_trial(), INSPECTION)["memory"] / SHARE))
    of_tasks = [("a", "one"), ("b", "one"), ("c", "one"), ("a", "two"), ("b", "two")]
    trials = [make_trial(model__name=model, task__name=task, measurement__repeat=2) for model, task in of_tasks]
    assert parts(make_plan_of([Candidate(trial, INSPECTION, there) for trial in trials])) == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("models", "room", "keys", "cycles"),
    [
        ("abc", 9, {}, [3, 3, 3]),
        ("abc", 2.5, {}, [2, 2, 2]),
        ("abc", 2.5, {"measurement__pause": 0}, [2, 2, 0]),
        ("a", 9, {"measurement__pause": 0.9}, [0]),
        ("a", 9, {"measurement__pause": 7}, [8]),
        ("a", 9, TWICE, [2, 2]),
        ("a", 9, {"measurement__schedule": "sequential"}, [None]),
    ],
)
def test_a_cycle_has_the_visits_of_all_that_take_turns_or_a_visit_and_its_pause(
    models: str, room: float, keys: dict[str, Any], cycles: list[float | None]
) -> None:
    made = plan(models, room, **keys)
    machines = {key: candidate.machine for key, candidate in made.candidates.items()}
    containers = {key: replace(MACHINE, boot_id="one boot", host=key) for key, machine in machines.items()}
    for of_one_machine in (machines, containers):
        found = cycles_of(made.trials, of_one_machine)
        assert [found.get(planned.trial_id) for planned in made.trials] == cycles


PUBLISHED = {"model__parameters": 10**9, "runtime__dtype": "fp16"}
ON_TWO = dict.fromkeys(["cuda:1", "cuda:0"], FRAMEWORK_BYTES + 2 * 10**9)


@pytest.mark.parametrize(
    ("keys", "held"),
    [
        ({}, {"memory": FRAMEWORK_BYTES + 2 * GIB + 7}),
        (PUBLISHED, {"memory": FRAMEWORK_BYTES + 4 * 10**9 + 7}),
        ({**PUBLISHED, "model__path": "w.pth"}, {"memory": FRAMEWORK_BYTES + 2 * GIB + 7}),
        ({**PUBLISHED, "system__device": "cuda:0"}, {"memory": 2 * FRAMEWORK_BYTES + 7, "cuda:0": FRAMEWORK_BYTES + 4 * 10**9}),
        ({**PUBLISHED, "system__device": "cuda:1,0"}, {"memory": 2 * FRAMEWORK_BYTES + 7, **ON_TWO}),
    ],
)
def test_weights_count_by_parameters_or_by_their_files(keys: dict[str, Any], held: dict[str, int]) -> None:
    assert held_bytes(make_trial(**keys), replace(INSPECTION, model_bytes=GIB, held_bytes=7)) == held


def test_a_gpu_s_memory_bounds_a_part_too() -> None:
    there = replace(MACHINE, memory_bytes=999 * GIB, device_memory={"cuda:0": 2 * GIB})
    candidates = [Candidate(make_trial(model__name=name, system__device="cuda:0"), INSPECTION, there) for name in "abcd"]
    assert parts(make_plan_of(candidates)) == [0, 0, 0, 1]
