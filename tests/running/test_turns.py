from __future__ import annotations

from typing import Any

from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.running.course import visits_are_units
from orchestrator.running.pipeline import turns
from orchestrator.storage.records import PlannedTrial


def planned(name: str, cores: list[int], exclusive: bool = True, schedule: str = "sequential") -> PlannedTrial:
    target = {"kind": "k", "target": "a:B"}
    document: dict[str, Any] = {
        "model": {"name": name, "runtimes": ["r"], **target},
        "task": {"name": "t", **target},
        "system": {"name": "s", "cores": cores, "exclusive": exclusive},
        "runtime": {"name": "r"},
        "measurement": {"schedule": schedule},
    }
    return PlannedTrial(trial_id=f"{name}-r0", match_key=name, trial=parse_trial(document))


def cores_of(trial: Trial) -> tuple[int, ...]:
    assert isinstance(trial.system.cores, tuple)
    return trial.system.cores


def names(*trials: PlannedTrial) -> list[list[list[list[str]]]]:
    return [[[[one.match_key for one in unit] for unit in lane] for lane in stage] for stage in turns(trials, cores_of)]


def test_trials_take_turns_in_their_order() -> None:
    assert names(planned("a", [0]), planned("b", [1])) == [[[["a"], ["b"]]]]


def test_without_exclusiveness_disjoint_cores_time_at_once() -> None:
    shared = [planned(name, cores, exclusive=False) for name, cores in {"a": [0], "b": [1], "c": [0], "d": [2, 3]}.items()]
    assert names(*shared) == [[[["b"]], [["a"], ["c"]], [["d"]]]]


def test_cores_that_overlap_through_a_third_share_a_lane() -> None:
    shared = [planned(name, cores, exclusive=False) for name, cores in {"a": [0], "b": [1], "c": [0, 1]}.items()]
    assert names(*shared) == [[[["a"], ["b"], ["c"]]]]


def test_whoever_wants_the_machine_alone_comes_first() -> None:
    assert names(planned("a", [0], exclusive=False), planned("b", [1])) == [[[["b"]]], [[["a"]]]]


def test_trials_of_one_part_that_run_in_visits_are_one_unit() -> None:
    in_visits = [planned(name, [0], schedule=schedule) for name, schedule in {"b": "visits", "d": "interleaved", "e": "visits"}.items()]
    trials = [planned("a", [0]), in_visits[0], planned("c", [0]), *in_visits[1:]]
    assert names(*trials) == [[[["a"], ["b", "d", "e"], ["c"]]]]
    trials[-1] = trials[-1].model_copy(update={"part": 1})
    assert names(*trials) == [[[["a"], ["b", "d"], ["c"], ["e"]]]]


def test_visits_are_units_of_the_stopping_rule_where_others_or_a_pause_lie_between_them() -> None:
    trial = planned("a", [0], schedule="visits").trial
    short = trial.model_copy(update={"measurement": trial.measurement.model_copy(update={"pause": 0.9})})
    assert visits_are_units(trial, among_others=False)
    assert [visits_are_units(short, among_others=among) for among in (True, False)] == [True, False]
    assert not visits_are_units(planned("a", [0]).trial, among_others=True)
