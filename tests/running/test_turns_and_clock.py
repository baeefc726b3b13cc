"""Which trials take turns, how many rounds are asked for at once, and the clock that a stopping rule sees."""

import pyarrow as pa
import pytest
from null_trials import null_trial

from orchestrator.configuration.config import Trial
from orchestrator.running.attempt import MOST_AT_ONCE, rounds_at_once
from orchestrator.running.course import RoundClock
from orchestrator.running.pipeline import turns
from orchestrator.running.trial_judge import judge_samples
from orchestrator.storage.records import PlannedTrial

SECOND = 10**9


@pytest.mark.parametrize(
    ("first", "round_s", "expected"),
    [(0, 1.0, 1), (0, 0.08, 2), (0, 1e-6, MOST_AT_ONCE), (25, 1e-6, 5), (30, 1e-6, MOST_AT_ONCE), (999, 1e-6, 1), (0, 0.0, MOST_AT_ONCE)],
)
def test_short_rounds_come_together_but_never_beyond_a_bound(first: int, round_s: float, expected: int) -> None:
    assert rounds_at_once(first, round_s, may_stop_at=30, most=1000) == expected


def tick(clock: RoundClock, process: int, visit: int | None, began_s: float, duration_s: float) -> float:
    return clock.tick(process, visit, int(began_s * SECOND), int(duration_s * SECOND))


def test_pauses_within_a_visit_count_and_those_between_two_do_not() -> None:
    clock = RoundClock()
    assert tick(clock, 0, 0, 100, 2) == 2
    assert tick(clock, 0, 0, 103, 2) == 5  # 1 s between the rounds
    assert tick(clock, 0, 1, 200, 2) == 7  # meanwhile other trials had their visits
    assert tick(clock, 1, 2, 3, 2) == 9  # another process, another clock
    assert tick(clock, 1, 2, 8, 2) == 14


def test_without_visits_pauses_count_and_between_processes_the_one_before_does() -> None:
    clock = RoundClock()
    rounds = [(0, 100), (0, 103), (1, 7), (1, 9)]
    assert [tick(clock, process, None, began, 2) for process, began in rounds] == [2, 5, 8, 10]


def test_a_round_takes_its_share_of_what_lies_between_visits() -> None:
    clock = RoundClock()
    found = []
    for process, visit, began_s in ((0, 0, 100), (0, 0, 102), (0, 1, 116), (0, 1, 118), (1, 2, 5), (1, 3, 21)):
        tick(clock, process, visit, began_s, 2)
        found.append(clock.round_s)
    assert found == [2, 2, 6, 5, 2, 9]


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


def test_of_a_metric_that_is_no_mean_every_inference_counts() -> None:
    samples = pa.table({"prediction": [[0], [1], [1]], "reference": [0, 1, 1]})
    judged = judge_samples(samples, ["f1_macro"], null_trial(measurement={"batch": 2}))
    assert (judged.answers, judged.ideals, judged.lates) == (2.0, {"f1_macro": 1.0}, {})
    assert judge_samples(samples.slice(0, 1), ["f1_macro"], null_trial()).answers == 1.0
