"""What would be *met* and shows nothing: each of these was tried on purpose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from built_trials import build_trial
from held import hold, hold_all, only
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.storage.records import Process

Times = NDArray[np.float64]


def measured(times: Times, system: str = "one", **how: object) -> TrialData:
    """A trial whose number of rounds was fixed beforehand, each a visit of its own."""
    rounds = len(times)
    measurement = {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds}
    how.setdefault("visits", np.arange(rounds, dtype=np.int32))
    return build_trial(system, times, measurement=measurement, stopped="max_rounds", **how)  # type: ignore[arg-type]


def test_a_system_keeps_its_own_percentile_however_slow_it_is(quick: Times) -> None:
    for slower in (1, 100):
        found = only(hold([measured(quick * slower)], tail_quality={"threshold": "p95", "at_least": 0.9}))
        assert (found.verdict, found.missing) == (
            "not shown",
            "p95 is that of net-one-r0, which is this very system: ask for a time, such as 50 ms",
        )


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
    assert (found.verdict, found.missing) == ("not shown", "an answer that is late is worth as much as what is asked for: ask for more")


@pytest.mark.parametrize(
    ("score", "told"), [(np.nan, "ideal quality is nan"), (np.inf, "ideal quality is inf"), (0.0, "no answer is right")]
)
def test_scores_that_are_no_quality(score: float, told: str, quick: Times) -> None:
    trial = measured(quick, metrics=("own",))
    trial = replace(trial, scores={"own": np.append(np.full(19, score if score == 0 else 1.0), score)})
    for asked in ({"at_least": 0.5}, {"at_least": 0.5, "of": "absolute"}, {"at_least": 0.5, "share_of_rounds": 0.5}):
        found = only(hold([trial], tail_quality={"threshold": "50 ms", **asked}))
        assert found.verdict == "not shown"
        assert found.missing.startswith(told)


def test_a_slice_of_one_sample_says_so(quick: Times) -> None:
    trial = measured(quick, slices={"weather": ["rain", *["sun"] * 19]})
    found = only(hold([trial], tail_quality={"threshold": "50 ms", "at_least": 0.5, "slice": "weather=rain"}))
    assert ", of only 1 sample, asked" in found.said


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
    assert "at most any time in 35 visits; 18 of them break the bound" in found.said


def test_first_inferences_after_a_pause_take_visits_enough_each_look_and_process_its_own() -> None:
    """Of visits that are all quick: 39 that came after a pause, and more for a high share, or after other looks.

    0.9 (1 - 0.2 x 0.1)^223 < 0.01: so seldom 224 visits hold no slow one where each is like the last with a probability of 0.8.
    """
    half = {"within": "6 ms", "state": "warm"}
    quick, few = paused(np.full(40, 5e6)), paused(np.full(30, 5e6))
    assert hold([quick], first_inference=half).verdict == "met"
    assert only(hold([few], first_inference=half)).missing == "29 more visits: so few may hold none of slow ones that come in spells"
    assert (
        hold([quick, replace(few, record=few.record.model_copy(update={"trial_id": "net-one-r1"}))], first_inference=half).verdict != "met"
    )
    most = {**half, "share_of_starts": 0.9}
    enough = np.full(225, 5e6)
    assert [hold([paused(enough[1:])], first_inference=most).verdict, hold([paused(enough)], first_inference=most).verdict] == [
        "not shown",
        "met",
    ]
    assert hold([paused(enough, looks=(20,))], first_inference=most).verdict == "not shown"


def test_visits_that_resemble_their_neighbours_say_little_of_first_inferences() -> None:
    """Of 48 visits 12 are slow: one in four of them all along, or all in two spells."""
    spread, spells = np.tile([5e6, 9e6, 5e6, 5e6], 12), np.repeat([5e6, 9e6, 5e6, 9e6, 5e6], [9, 6, 18, 6, 10])
    asked = {"within": "6 ms", "state": "warm"}
    assert hold([paused(np.append(5e6, spread))], first_inference=asked).verdict == "met"
    assert hold([paused(spells)], first_inference=asked).verdict == "not shown"


@pytest.mark.parametrize(
    "changed",
    [{"flags": ("overloaded",)}, {"flags": ("schedule not kept",)}, {"origin": "imported"}, {"state": "failed"}, {"state": "interrupted"}],
)
def test_a_flag_stands_in_the_way(changed: dict[str, object], quick: Times) -> None:
    trial = measured(quick)
    trial = replace(trial, record=trial.record.model_copy(update=changed))
    for asked in (
        {"tail_quality": {"threshold": "50 ms", "at_least": 0.5}},
        {"latency": {"percentile": 90, "within": "50 ms"}},
        {"deadline": {"within": "50 ms"}},
        {"late_answers": {"threshold": "50 ms", "longest_streak": 1}},
    ):
        found = only(hold([trial], **asked))
        assert found.verdict == "not shown"
        assert found.missing.startswith("flagged: ")


def test_sessions_of_several_machines_are_said(quick: Times) -> None:
    def on(day: int, host: str) -> TrialData:
        processes = tuple(Process(process=one, pid=1, host=host, started_at=datetime(2026, 5, day, one, tzinfo=UTC)) for one in range(2))
        return measured(np.roll(quick, day, axis=0), processes=processes)

    asked = {"tail_quality": {"threshold": "50 ms", "at_least": 0.5}, "evidence": {"sessions": 2}}
    assert hold_all([[on(1, "bench")], [on(2, "bench")]], **asked).remarks == ()
    found = hold_all([[on(1, "bench")], [on(2, "car")]], **asked)
    assert found.remarks == ("one system was measured on several machines (bench, car): processes and sessions are those of all of them",)


def test_each_extension_is_a_look_that_costs_confidence(quick: Times) -> None:
    """A trial that was extended until it was just so met has not shown it: 0.9^38 < 0.02, and an eighth of that risk takes 57 visits."""
    trial = measured(quick[:56])
    looks = replace(trial, record=trial.record.model_copy(update={"looks": (40,)}))
    for asked in ({"tail_quality": {"threshold": "50 ms", "at_least": 0.9}}, {"deadline": {"within": "50 ms"}}):
        assert [hold([of], **asked).verdict for of in (trial, looks)] == ["met", "not shown"]
    interval = {"threshold": "11 ms", "at_least": 0.5}
    once, again = (only(hold([of], tail_quality=interval)) for of in (trial, looks))
    assert again.figure == once.figure
    assert again.low is not None
    assert once.low is not None
    assert again.low < once.low


@pytest.mark.parametrize("visit_rounds", [1, 2, 14, 30])
@pytest.mark.parametrize(
    "form",
    [
        {"longest_streak": 0},
        {"longest_streak": 2},
        {"longest_streak": 25},
        {"longest_streak": 10**6},
        {"at_most": 1, "out_of": 10},
        {"at_most": 29, "out_of": 30},
        {"warnings": 0},
        {"warnings": 1},
        {"warnings": 10},
        {"errors": 0, "error_after": "500 ms"},
        {"errors": 0, "error_after": "1 ms"},
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
    rounds = np.arange(120)
    times = np.full((120, 20), 505.0)
    times[::10, 0] = 5.0
    trial = replace(measured(times), visits=(rounds // 10).astype(np.int32))
    trial = replace(trial, evidence={"visit": (rounds // 10).astype(np.float64), "process": np.zeros(120)})
    for form in ({"warnings": 0}, {"errors": 0, "error_after": "500 ms"}):
        found = only(hold([trial], late_answers={"threshold": "100 ms", **form}))
        assert (found.verdict, found.figure) == ("not met", 1.0)


def in_visits(times: Times, visit_rounds: int = 2) -> TrialData:
    visits = np.arange(len(times)) // visit_rounds
    return replace(measured(times), visits=visits.astype(np.int32))


def test_a_mean_is_met_once_its_visits_could_have_shown_bad_ones(quick: Times) -> None:
    """0.95^76 > 0.02 > 0.95^77: where one visit in twenty is late throughout, 77 visits have one, but for a chance of 2 %."""
    long = np.concatenate([quick] * 3)
    for asked in ({"tail_quality": {"threshold": "50 ms", "at_least": 0.95}}, {"latency": {"percentile": 95, "within": "50 ms"}}):
        few = only(hold([in_visits(long[:152])], **asked))
        assert (few.verdict, few.more_rounds) == ("not shown", 82)  # a second look risks an eighth as much: 0.95^117 < 0.0025
        assert few.missing == "76 visits do not rule out bad ones that are too rare to be among them: 41 more like these, 82 rounds"
        assert hold([in_visits(long[:154])], **asked).verdict == "met"
    assert hold([in_visits(quick)], tail_quality={"threshold": "50 ms", "at_least": 0.5}).verdict == "met"


@pytest.mark.parametrize("asked", [{"deadline": {"within": "50 ms"}}, {"late_answers": {"threshold": "50 ms", "longest_streak": 1}}])
def test_a_share_of_rounds_takes_visits_that_could_have_shown_bad_ones(asked: dict[str, object], quick: Times) -> None:
    """0.9^37 > 0.02 > 0.9^38."""
    rounds = np.concatenate([quick] * 3)
    assert hold([in_visits(rounds[:111], 3)], **asked).verdict == "not shown"
    assert hold([in_visits(rounds[:114], 3)], **asked).verdict == "met"


def test_one_stretch_counts_as_few_visits(quick: Times) -> None:
    """Ten rounds in a row count as one visit: 60 of them do not rule out that half of all spells are slow, as 0.5^6 = 0.0156 would."""
    asked = {"tail_quality": {"threshold": "50 ms", "at_least": 0.6}}
    few = only(hold([measured(quick, visits=None)], **asked))
    assert few.verdict == "not shown"
    assert few.missing.startswith("one stretch tells as little of slow spells as 6 visits of 10 rounds: ")
    assert few.missing.endswith(" more rounds, or longer pauses between its visits (more trials that take turns with it)")
    trial = measured(quick, visits=None)
    in_a_row = trial.record.trial.model_copy(
        update={"measurement": trial.record.trial.measurement.model_copy(update={"schedule": "sequential"})}
    )
    trial = replace(trial, record=trial.record.model_copy(update={"trial": in_a_row}))
    assert only(hold([trial], **asked)).missing.endswith(" more rounds, or visits (measurement.schedule=visits)")
    assert hold([measured(np.concatenate([quick, quick]), visits=None)], **asked).verdict == "met"


def test_visits_of_one_round_count_as_visits(quick: Times) -> None:
    """0.95^76 > 0.02 > 0.95^77, and where rounds follow each other's speed the mean is known less well than of independent ones."""
    asked = {"tail_quality": {"threshold": "50 ms", "at_least": 0.95}}
    times = np.concatenate([quick, quick * 1.001])
    single = [measured(times[:rounds], visits=np.arange(rounds, dtype=np.int32)) for rounds in (76, 77)]
    few, enough = (only(hold([data], **asked)) for data in single)
    assert (few.verdict, few.basis.visits) == ("not shown", 76)
    assert few.missing == "76 visits do not rule out bad ones that are too rare to be among them: 41 more like these, 41 rounds"
    assert (enough.verdict, enough.basis.visits) == ("met", 77)


def test_of_several_processes_each_must_have_visits_enough(quick: Times) -> None:
    many, few = in_visits(np.concatenate([quick] * 3)), in_visits(quick * 0.9)
    few = replace(few, record=few.record.model_copy(update={"trial_id": "net-one-r1"}))
    asked = {"latency": {"percentile": 95, "within": "50 ms"}}
    assert [hold(trials, **asked).verdict for trials in ([many], [many, few])] == ["met", "not shown"]
