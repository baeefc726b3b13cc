import pytest
from null_trials import null_trial

from orchestrator.configuration.config import Trial
from orchestrator.running.course import visits_are_units
from orchestrator.running.pipeline import turns
from orchestrator.storage.records import PlannedTrial


def planned(name: str, cores: list[int], exclusive: bool = True, schedule: str = "sequential") -> PlannedTrial:
    trial = null_trial(system={"cores": cores, "exclusive": exclusive}, measurement={"schedule": schedule})
    return PlannedTrial(trial_id=f"{name}-r0", match_key=name, trial=trial)


def cores_of(trial: Trial) -> tuple[int, ...]:
    assert isinstance(trial.system.cores, tuple)
    return trial.system.cores


def names(*trials: PlannedTrial) -> list[list[list[list[str]]]]:
    return [[[[one.match_key for one in unit] for unit in lane] for lane in stage] for stage in turns(trials, cores_of)]


def shared(**cores: list[int]) -> list[PlannedTrial]:
    return [planned(name, of, exclusive=False) for name, of in cores.items()]


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([planned("a", [0]), planned("b", [1])], [[[["a"], ["b"]]]]),
        (shared(a=[0], b=[1], c=[0], d=[2, 3]), [[[["b"]], [["a"], ["c"]], [["d"]]]]),  # disjoint cores are timed at once
        (shared(a=[0], b=[1], c=[0, 1]), [[[["a"], ["b"], ["c"]]]]),  # a and b overlap through c
        ([*shared(a=[0]), planned("b", [1])], [[[["b"]]], [[["a"]]]]),  # who wants the machine alone comes first
    ],
)
def test_trials_take_turns_on_their_cores(trials: list[PlannedTrial], expected: list[list[list[list[str]]]]) -> None:
    assert names(*trials) == expected


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
