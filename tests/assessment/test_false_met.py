"""What would be *met* and shows nothing: each of these was tried on purpose."""

from dataclasses import replace

import numpy as np
import pytest
from held import hold, measured, only
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData

Times = NDArray[np.float64]


def test_a_system_keeps_its_own_percentile_however_slow_it_is(quick: Times) -> None:
    for slower in (1, 100):
        found = only(hold([measured(quick * slower)], tail_quality={"threshold": "p95", "at_least": 0.9}))
        assert found.verdict == "not shown"


def test_another_system_may_be_held_to_the_percentile_of_the_reference(quick: Times) -> None:
    reference, faster, slower = measured(quick, "one"), measured(quick / 2, "two"), measured(quick * 2, "three")
    asked = {"threshold": "p95", "at_least": 0.9}
    trials = [reference, faster, slower]
    assert hold(trials, tail_quality=asked, trials={"system": "two"}).verdict == "met"
    assert hold(trials, tail_quality=asked, trials={"system": "three"}).verdict == "not met"
    assert hold(trials, tail_quality=asked, trials={"system": "one"}).verdict == "not shown"
    assert hold(trials, late_answers={"threshold": "p95", "warnings": 9}, trials={"system": "one"}).verdict == "not shown"


@pytest.mark.parametrize("at_least", [0, -0.5])
def test_no_quality_at_all_is_not_asked_for(at_least: float, quick: Times) -> None:
    found = only(hold([measured(quick * 1000)], tail_quality={"threshold": "1 ms", "at_least": at_least, "of": "absolute"}))
    assert found.verdict == "not shown"


@pytest.mark.parametrize("score", [np.nan, np.inf, 0.0])
def test_scores_that_are_no_quality(score: float, quick: Times) -> None:
    trial = measured(quick, metrics=("own",))
    trial = replace(trial, scores={"own": np.append(np.full(19, score if score == 0 else 1.0), score)})
    for asked in ({"at_least": 0.5}, {"at_least": 0.5, "of": "absolute"}, {"at_least": 0.5, "share_of_rounds": 0.5}):
        assert hold([trial], tail_quality={"threshold": "50 ms", **asked}).verdict == "not shown"


def paused(firsts_ns: Times, looks: tuple[int, ...] = ()) -> TrialData:
    """Return a trial in visits of two rounds with these first inferences, of which that of the process counts not."""
    rounds = np.arange(2 * firsts_ns.size)
    begins = rounds % 2 == 0
    leads = np.where(begins, np.repeat(firsts_ns, 2), np.nan)
    evidence = {"visit": rounds // 2, "process": np.zeros(rounds.size), "lead_in": np.where(begins, 3.0, np.nan), "lead_in_first_ns": leads}
    trial = replace(
        measured(np.full((rounds.size, 20), 10 + 0.01 * firsts_ns.size)),
        evidence={name: of.astype(np.float64) for name, of in evidence.items()},
    )
    return replace(trial, record=trial.record.model_copy(update={"looks": looks}))


def test_a_first_inference_that_the_model_raised_on_was_in_no_time() -> None:
    """Of 36 visits every second one has no time of its first inference."""
    found = only(hold([paused(np.tile([5e6, np.nan], 18))], first_inference={"within": "6 ms", "state": "warm", "share_of_starts": 0.9}))
    assert found.verdict == "not met"


@pytest.mark.parametrize(
    "changed",
    [{"flags": ("overloaded",)}, {"flags": ("schedule not kept",)}, {"origin": "imported"}, {"state": "failed"}, {"state": "interrupted"}],
)
def test_a_flag_stands_in_the_way(changed: dict[str, object], quick: Times) -> None:
    trial = measured(np.concatenate([quick, quick * 1.001]))
    trial = replace(trial, record=trial.record.model_copy(update=changed))
    for asked in (
        {"tail_quality": {"threshold": "50 ms", "at_least": 0.5}},
        {"latency": {"percentile": 90, "within": "50 ms"}},
        {"deadline": {"within": "50 ms"}},
        {"late_answers": {"threshold": "50 ms", "longest_streak": 1}},
    ):
        found = only(hold([trial], **asked))
        assert found.verdict == "not shown"
        assert found.flags


@pytest.mark.parametrize("visit_rounds", [1, 2, 20])
@pytest.mark.parametrize(
    "form",
    [
        {"longest_streak": 0},
        {"longest_streak": 25},
        {"longest_streak": 10**6},
        {"at_most": 1, "out_of": 10},
        {"at_most": 29, "out_of": 30},
        {"warnings": 0},
        {"warnings": 10},
        {"errors": 0, "error_after": "500 ms"},
        {"errors": 2, "error_after": "3600 s"},
    ],
    ids=str,
)
def test_a_system_that_is_late_on_every_answer_keeps_no_bound(form: dict[str, object], visit_rounds: int) -> None:
    """A permanent failure is one stretch of each visit; it is late in every round all the same."""
    rounds = np.arange(420)
    evidence = {"visit": rounds // visit_rounds, "process": np.zeros(420)}
    trial = replace(measured(np.full((420, 20), 505.0)), visits=(rounds // visit_rounds).astype(np.int32))
    trial = replace(trial, evidence={name: np.asarray(of, dtype=np.float64) for name, of in evidence.items()})
    for share in (0.1, 0.9):
        found = hold([trial], late_answers={"threshold": "100 ms", "share_of_rounds": share, **form})
        assert found.verdict != "met"
        if not (form.get("warnings") == 10 or visit_rounds * 20 <= form.get("longest_streak", form.get("at_most", 0))):  # type: ignore[operator]
            assert found.verdict == "not met"


def test_a_stretch_of_late_answers_counts_in_every_round_that_it_reaches(quick: Times) -> None:
    """In visits of ten rounds, of 20 answers, all are late but the first of the visit."""
    rounds = np.arange(240)
    times = np.full((240, 20), 505.0)
    times[::10, 0] = 5.0
    trial = replace(measured(times), visits=(rounds // 10).astype(np.int32))
    trial = replace(trial, evidence={"visit": (rounds // 10).astype(np.float64), "process": np.zeros(240)})
    for form in ({"warnings": 0}, {"errors": 0, "error_after": "500 ms"}):
        found = only(hold([trial], late_answers={"threshold": "100 ms", **form}))
        assert (found.verdict, found.figure) == ("not met", 1.0)


def in_visits(times: Times, visit_rounds: int = 2) -> TrialData:
    visits = np.arange(len(times)) // visit_rounds
    return replace(measured(times), visits=visits.astype(np.int32))


def long_after(times: Times, rounds: int, visit_rounds: int = 2) -> TrialData:
    """Return a trial of so many rounds in visits, each of them of other times."""
    return in_visits(np.concatenate([times * (1 + number / 1000) for number in range(-(-rounds // len(times)))])[:rounds], visit_rounds)


@pytest.mark.parametrize(
    "asked", [{"tail_quality": {"threshold": "50 ms", "at_least": 0.95}}, {"latency": {"percentile": 95, "within": "50 ms"}}]
)
def test_a_mean_is_met_once_its_visits_could_have_shown_bad_ones(asked: dict[str, object], quick: Times) -> None:
    """0.95^58 > 0.05 > 0.95^59: where one visit in twenty is late throughout, 59 visits have one, but for a chance of 5 %."""
    few = only(hold([long_after(quick, 116)], **asked))
    assert (few.verdict, few.more_rounds) == ("not shown", 2)
    assert hold([long_after(quick, 118)], **asked).verdict == "met"


@pytest.mark.parametrize("asked", [{"deadline": {"within": "50 ms"}}, {"late_answers": {"threshold": "50 ms", "longest_streak": 1}}])
def test_a_share_of_rounds_takes_visits_that_could_have_shown_bad_ones(asked: dict[str, object], quick: Times) -> None:
    """0.9^28 > 0.05 > 0.9^29."""
    few = only(hold([long_after(quick, 112, 4)], **asked))
    assert (few.verdict, few.more_rounds) == ("not shown", 4)
    assert hold([long_after(quick, 116, 4)], **asked).verdict == "met"


@pytest.mark.parametrize(
    "asked", [{"tail_quality": {"threshold": "50 ms", "at_least": 0.4}}, {"deadline": {"within": "50 ms", "share_of_rounds": 0.5}}]
)
@pytest.mark.parametrize("slower", [1, 100])
def test_one_stretch_and_few_visits_show_nothing(asked: dict[str, object], slower: float, quick: Times) -> None:
    stretch = only(hold([measured(quick * slower, visits=None)], **asked, evidence={"accept_flags": "*"}))
    assert stretch.verdict == "not shown"
    few = only(hold([in_visits(quick[:57] * slower, 3)], **asked, evidence={"accept_flags": "*"}))
    assert (few.verdict, few.more_rounds) == ("not shown", 3 if slower == 1 else None)
    assert hold([in_visits(quick * slower, 3)], **asked).verdict == ("met" if slower == 1 else "not met")


def test_fewer_rounds_than_were_fixed_beforehand_are_not_met_and_may_be_not_met(quick: Times) -> None:
    def of(times: Times) -> TrialData:
        trial = in_visits(times)
        measurement = trial.record.trial.measurement.model_copy(update={"certify_rounds": 80})
        return replace(
            trial, record=trial.record.model_copy(update={"trial": trial.record.trial.model_copy(update={"measurement": measurement})})
        )

    asked = {"deadline": {"within": "50 ms", "share_of_rounds": 0.5}}
    few = only(hold([of(quick)], **asked))
    assert (few.verdict, few.more_rounds) == ("not shown", 20)
    assert hold([of(quick * 100)], **asked).verdict == "not met"
    assert hold([of(np.concatenate([quick, quick]))], **asked).verdict == "met"


def test_each_extension_is_a_look_that_costs_confidence(quick: Times) -> None:
    """A trial that was extended until it was just so met has not shown it: 0.9^59 < 0.05, and half of that risk takes 72 visits."""
    asked = {"latency": {"percentile": 95, "within": "50 ms"}}
    for visits, looks, verdict in ((59, (), "met"), (71, (40,), "not shown"), (72, (40,), "met"), (72, (40, 60), "not shown")):
        trial = long_after(quick, visits, 1)
        assert hold([replace(trial, record=trial.record.model_copy(update={"looks": looks}))], **asked).verdict == verdict


def test_looks_before_the_rounds_that_were_fixed_beforehand_cost_a_share_of_rounds_nothing() -> None:
    """Sixty rounds count as 30, or at half of the error as 24: 0.05^(1/30) > 0.9 > 0.025^(1/24)."""
    trial = in_visits(np.full((60, 20), 10.0), 1)
    asked = {"deadline": {"within": "50 ms"}}
    for certify, looks, verdict in ((60, (40,), "met"), (40, (40,), "not shown"), (40, (30,), "met")):
        measurement = trial.record.trial.measurement.model_copy(update={"certify_rounds": certify})
        record = trial.record.model_copy(
            update={"looks": looks, "trial": trial.record.trial.model_copy(update={"measurement": measurement})}
        )
        assert hold([replace(trial, record=record)], **asked).verdict == verdict


def test_first_inferences_after_a_pause_are_one_per_visit() -> None:
    """The first visit of a process comes after no pause: 60 others count as 30 independent ones, 0.05^(1/30) > 0.9."""
    asked = {"within": "6 ms", "state": "warm", "share_of_starts": 0.9}
    assert hold([paused(np.full(61, 5e6))], first_inference=asked).verdict == "met"
    assert hold([paused(np.full(50, 5e6))], first_inference=asked).verdict == "not shown"
    assert hold([paused(np.full(61, 7e6))], first_inference=asked).verdict == "not met"
    slow = replace(paused(np.full(62, 7e6)), record=paused(np.full(62, 7e6)).record.model_copy(update={"trial_id": "net-one-r1"}))
    assert hold([paused(np.full(61, 5e6)), slow], first_inference=asked).verdict == "not met"


def test_of_several_processes_each_must_have_visits_enough(quick: Times) -> None:
    many, few = long_after(quick, 120), in_visits(quick * 0.9)
    few = replace(few, record=few.record.model_copy(update={"trial_id": "net-one-r1"}))
    asked = {"latency": {"percentile": 95, "within": "50 ms"}}
    assert [hold(trials, **asked).verdict for trials in ([many], [many, few])] == ["met", "not shown"]
