"""What would be *met* and shows nothing: each of these was tried on purpose."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from held import QUICK, Case, by_law, check, hold, measured, only
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData

Times = NDArray[np.float64]


def paused(firsts_ns: Times) -> TrialData:
    """Return a trial in visits of two rounds with these first inferences, of which that of the process counts not."""
    rounds = np.arange(2 * firsts_ns.size)
    begins = rounds % 2 == 0
    leads = np.where(begins, np.repeat(firsts_ns, 2), np.nan)
    evidence = {"visit": rounds // 2, "process": np.zeros(rounds.size), "lead_in": np.where(begins, 3.0, np.nan), "lead_in_first_ns": leads}
    trial = measured(np.full((rounds.size, 20), 10 + 0.01 * firsts_ns.size))
    return replace(trial, evidence={name: of.astype(np.float64) for name, of in evidence.items()})


@pytest.mark.parametrize(
    "changed",
    [{"flags": ("overloaded",)}, {"flags": ("schedule not kept",)}, {"origin": "imported"}, {"state": "failed"}, {"state": "interrupted"}],
)
def test_a_flag_stands_in_the_way(changed: dict[str, object]) -> None:
    trial = recorded(measured(np.concatenate([QUICK, QUICK * 1.001])), **changed)
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


def in_visits(times: Times, visit_rounds: int = 2) -> TrialData:
    visits = np.arange(len(times)) // visit_rounds
    return replace(measured(times), visits=visits.astype(np.int32))


def long_after(times: Times, rounds: int, visit_rounds: int = 2) -> TrialData:
    """Return a trial of so many rounds in visits, each of them of other times."""
    return in_visits(np.concatenate([times * (1 + number / 1000) for number in range(-(-rounds // len(times)))])[:rounds], visit_rounds)


def recorded(data: TrialData, **changes: Any) -> TrialData:
    return replace(data, record=data.record.model_copy(update=changes))


def fixed(trial: TrialData, certify_rounds: int) -> TrialData:
    """Return a trial for which so many rounds were fixed beforehand."""
    measurement = trial.record.trial.measurement.model_copy(update={"certify_rounds": certify_rounds})
    return recorded(trial, trial=trial.record.trial.model_copy(update={"measurement": measurement}))


def scored(score: float) -> TrialData:
    """Return a trial whose last score, or each where it is 0, is this one."""
    return replace(measured(QUICK, metrics=("own",)), scores={"own": np.append(np.full(19, score if score == 0 else 1.0), score)})


def late_but_the_first() -> TrialData:
    """Return a trial in visits of ten rounds, of 20 answers, all of which are late but the first of the visit."""
    times = np.full((240, 20), 505.0)
    times[::10, 0] = 5.0
    visits = np.arange(240) // 10
    return replace(in_visits(times, 10), evidence={"visit": visits.astype(np.float64), "process": np.zeros(240)})


OWN = {"threshold": "p95", "at_least": 0.9}
THREE = [measured(QUICK, "one"), measured(QUICK / 2, "two"), measured(QUICK * 2, "three")]
PERCENTILE = {"latency": {"percentile": 95, "within": "50 ms"}}
HALF = {"deadline": {"within": "50 ms", "share_of_rounds": 0.5}}
DEADLINE = {"deadline": {"within": "50 ms"}}
COLD, START = {"first_inference_ns": 5_000_000}, {"within": "6 ms"}
WARM = {"within": "6 ms", "state": "warm", "share_of_starts": 0.9}
ANY_FLAG = {"evidence": {"accept_flags": "*"}}
SIXTY_VISITS = in_visits(np.full((60, 20), 10.0), 1)
MANY, FEW = long_after(QUICK, 120), recorded(in_visits(QUICK * 0.9), trial_id="net-one-r1")

LAWS = {
    "a system keeps its own percentile however slow it is": [
        Case([measured(QUICK * slower)], {"tail_quality": OWN}, "not shown") for slower in (1, 100)
    ],
    "another system may be held to the percentile of the reference": [
        Case(THREE, {"tail_quality": OWN, "trials": {"system": "two"}}, "met"),
        Case(THREE, {"tail_quality": OWN, "trials": {"system": "three"}}, "not met"),
        Case(THREE, {"tail_quality": OWN, "trials": {"system": "one"}}, "not shown"),
        Case(THREE, {"late_answers": {"threshold": "p95", "warnings": 9}, "trials": {"system": "one"}}, "not shown"),
    ],
    "no quality at all is not asked for": [
        Case([measured(QUICK * 1000)], {"tail_quality": {"threshold": "1 ms", "at_least": least, "of": "absolute"}}, "not shown")
        for least in (0, -0.5)
    ],
    "scores that are no quality": [
        Case([scored(score)], {"tail_quality": {"threshold": "50 ms", "at_least": 0.5, **more}}, "not shown")
        for score in (np.nan, np.inf, 0.0)
        for more in ({}, {"of": "absolute"}, {"share_of_rounds": 0.5})
    ],
    "a first inference that the model raised on was in no time: every second one of 36 visits": [
        Case([paused(np.tile([5e6, np.nan], 18))], {"first_inference": WARM}, "not met"),
    ],
    "a stretch of late answers counts in every round that it reaches": [
        Case([late_but_the_first()], {"late_answers": {"threshold": "100 ms", **form}}, "not met", {"figure": 1.0})
        for form in ({"warnings": 0}, {"errors": 0, "error_after": "500 ms"})
    ],
    # 0.95^58 > 0.05 > 0.95^59: where one visit in twenty is late throughout, 59 visits have one, but for a chance of 5 %.
    "a mean is met once its visits could have shown bad ones": [
        Case([long_after(QUICK, rounds)], asked, verdict, figures)
        for asked in ({"tail_quality": {"threshold": "50 ms", "at_least": 0.95}}, PERCENTILE)
        for rounds, verdict, figures in ((116, "not shown", {"more_rounds": 2}), (118, "met", {}))
    ],
    "a share of rounds takes visits that could have shown bad ones: 0.9^28 > 0.05 > 0.9^29": [
        Case([long_after(QUICK, rounds, 4)], asked, verdict, figures)
        for asked in (DEADLINE, {"late_answers": {"threshold": "50 ms", "longest_streak": 1}})
        for rounds, verdict, figures in ((112, "not shown", {"more_rounds": 4}), (116, "met", {}))
    ],
    "one stretch and few visits show nothing": [
        Case([trial], {**asked, **ANY_FLAG}, verdict, figures)
        for asked in ({"tail_quality": {"threshold": "50 ms", "at_least": 0.4}}, HALF)
        for slower, more_rounds, enough in ((1, 3, "met"), (100, None, "not met"))
        for trial, verdict, figures in (
            (measured(QUICK * slower, visits=None), "not shown", {}),
            (in_visits(QUICK[:57] * slower, 3), "not shown", {"more_rounds": more_rounds}),
            (in_visits(QUICK * slower, 3), enough, {}),
        )
    ],
    "fewer rounds than were fixed beforehand are not met, and may be not met": [
        Case([fixed(in_visits(QUICK), 80)], HALF, "not shown", {"more_rounds": 20}),
        Case([fixed(in_visits(QUICK * 100), 80)], HALF, "not met"),
        Case([fixed(in_visits(np.concatenate([QUICK, QUICK])), 80)], HALF, "met"),
    ],
    # A trial that was extended until it was just so met has not shown it: 0.9^59 < 0.05, and half of that risk takes 72 visits.
    "each extension is a look that costs confidence": [
        Case([recorded(long_after(QUICK, visits, 1), looks=looks)], PERCENTILE, verdict)
        for visits, looks, verdict in ((59, (), "met"), (71, (40,), "not shown"), (72, (40,), "met"), (72, (40, 60), "not shown"))
    ],
    # An extension is a fresh process: 0.5^5 < 0.05, and half of that risk takes 6 starts.
    "each extension costs a share of starts, too": [
        Case([recorded(measured(QUICK), cold_start=COLD | {"earlier": [COLD] * (starts - 1)}, looks=looks)], {"first_inference": START}, verdict)
        for starts, looks, verdict in ((5, (), "met"), (5, (40,), "not shown"), (6, (40,), "met"))
    ],
    # Sixty rounds count as 30, or at half of the error as 24: 0.05^(1/30) > 0.9 > 0.025^(1/24).
    "looks before the rounds that were fixed beforehand cost a share of rounds nothing": [
        Case([recorded(fixed(SIXTY_VISITS, rounds), looks=(look,))], DEADLINE, verdict)
        for rounds, look, verdict in ((60, 40, "met"), (40, 40, "not shown"), (40, 30, "met"))
    ],
    # The first visit of a process comes after no pause: 60 others count as 30 independent ones, 0.05^(1/30) > 0.9.
    "first inferences after a pause are one per visit": [
        Case([paused(np.full(61, 5e6))], {"first_inference": WARM}, "met"),
        Case([paused(np.full(50, 5e6))], {"first_inference": WARM}, "not shown"),
        Case([paused(np.full(61, 7e6))], {"first_inference": WARM}, "not met"),
        Case(
            [paused(np.full(61, 5e6)), recorded(paused(np.full(62, 7e6)), trial_id="net-one-r1")], {"first_inference": WARM}, "not met",
        ),
    ],
    "of several processes each must have visits enough": [
        Case([MANY], PERCENTILE, "met"),
        Case([MANY, FEW], PERCENTILE, "not shown"),
    ],
}  # fmt: skip


@by_law(LAWS)
def test_the_verdict(case: Case) -> None:
    check(case)


def test_rounds_beyond_those_fixed_beforehand_take_a_new_campaign() -> None:
    within, beyond = (
        only(hold([trial], **asked)).missing
        for trial, asked in ((fixed(in_visits(QUICK), 80), HALF), (long_after(QUICK, 112, 4), DEADLINE))
    )
    assert "certify_rounds" not in within
    assert "measurement.certify_rounds=116" in beyond
