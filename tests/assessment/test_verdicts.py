"""What trials with known times show of each kind of requirement."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from held import QUICK, Case, by_law, check, hold, measured, only
from numpy.typing import NDArray
from scipy import stats

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats.times import Clock
from orchestrator.storage.records import Process

Times = NDArray[np.float64]


def late_in(rounds: int, late: dict[int, list[int]], samples: int = 10) -> Times:
    """Times of 10 ms, of 90 ms for these samples of these rounds."""
    times = np.full((rounds, samples), 10.0)
    for number, some in late.items():
        times[number, some] = 90.0
    return times


def test_a_mean_is_met_not_met_or_not_shown() -> None:
    trial = measured(QUICK, right=18)
    easy = only(hold([trial], tail_quality={"threshold": "20 ms", "at_least": 0.9}))
    assert (easy.verdict, easy.figure, easy.missing, easy.unit) == ("met", pytest.approx(0.9), "", "quality")
    assert easy.low >= easy.asked == pytest.approx(0.9 * 0.9)
    hard = only(hold([trial], tail_quality={"threshold": "10 ms", "at_least": 0.9}))
    assert hard.verdict == "not met"
    assert hard.figure == pytest.approx(0.45, abs=0.05)
    near = float(np.mean(QUICK[:, :18] <= 11.5)) - 0.003
    unsure = only(hold([trial], tail_quality={"threshold": "11.5 ms", "at_least": round(near, 3)}))
    assert unsure.verdict == "not shown"
    assert unsure.more_rounds is not None


def test_a_deadline_needs_as_many_rounds_as_its_share() -> None:
    """Rounds count as many times less as Student's t of 3 degrees of freedom is wider: 58 as 29, 0.05^(1/29) > 0.9."""
    asked = {"within": "20 ms", "share_of_rounds": 0.9}
    enough = 60
    worth = enough * (stats.t.ppf(0.95, enough - 1) / stats.t.ppf(0.95, 3)) ** 2
    assert 0.05 ** (1 / worth) > 0.9
    assert hold([measured(late_in(enough, {}))], deadline=asked).verdict == "met"
    few = only(hold([measured(late_in(50, {}))], deadline=asked))
    assert few.verdict == "not shown"
    assert hold([measured(late_in(50 + few.more_rounds, {}))], deadline=asked).verdict == "met"


def starting(number: int, first_ms: float, **cold: Any) -> TrialData:
    start = {"load_ns": 10**9, "first_inference_ns": int(first_ms * 1e6), "warmup_rounds_ns": [1], **cold}
    return measured(late_in(4, {}) + number, repeat=number, cold_start=start)


def test_answers_that_differ_between_systems() -> None:
    one, other = measured(late_in(6, {}), "one"), measured(late_in(6, {}), "two", right=8)
    found = hold([one, other], answers={"between": "systems", "at_most": 1})
    assert [finding.verdict for finding in found.findings] == ["met", "not met"]
    assert found.findings[1].figure == 2
    assert hold([one], answers={"between": "systems"}).verdict == "not shown"


def test_what_is_named_and_was_not_measured_stands_in_the_way_of_met_and_hides_nothing() -> None:
    asked = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}, "trials": {"system": ["one", "gpu*"]}}
    found = hold([measured(QUICK)], **asked)
    assert [one.verdict for one in found.findings] == ["met", "not shown"]
    assert found.verdict == "not shown"


def test_sessions_are_days_over_all_campaigns() -> None:
    def on(day: int) -> TrialData:
        process = Process(process=0, pid=1, host="h", started_at=datetime(2026, 5, day, 23, tzinfo=UTC))
        return measured(np.roll(QUICK, day, axis=0), processes=(process,))

    asked = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}, "evidence": {"sessions": 2}}
    assert hold([on(1)], [on(1)], **asked).verdict == "not shown"
    found = only(hold([on(1)], [on(2)], **asked))
    assert (found.verdict, found.basis["sessions"], found.basis["processes"], found.basis["rounds"]) == ("met", 2, 2, 120)


def test_a_metric_that_cannot_judge_one_system_hides_no_other() -> None:
    box = {"boxes": [[10.0, 10.0, 20.0, 20.0]], "labels": [1]}
    boxes = measured(QUICK, "boxes", metrics=("map",))
    boxes = replace(boxes, references=[box] * 20, predictions=[{**box, "scores": [0.9]}] * 20)
    found = hold([boxes, measured(QUICK)], tail_quality={"threshold": "20 ms", "at_least": 0.9, "metric": "map"})
    assert [one.verdict for one in found.findings] == ["met", "not shown"]


def at_rate(rate: float, response_ms: Times) -> TrialData:
    """A trial under load, in streams of three rounds: 60 have 20."""
    rounds = len(response_ms)
    made = measured(response_ms, measurement={"rule": "rounds"})
    trial = made.record.trial.model_copy(update={"load": LoadConfig(name="periodic", rate_per_s=rate)})
    streams = np.arange(rounds, dtype=np.int32) // 3
    key = f"net-one-{rate:g}"
    record = made.record.model_copy(update={"trial": trial, "trial_id": f"{key}-r0", "match_key": key})
    times = {**made.times, "response": response_ms * 1e6}
    arrivals = np.tile(np.arange(3 * response_ms.shape[1]) * 1e9 / rate, rounds // 3).reshape(response_ms.shape)
    return replace(
        made, record=record, times=times, inferences=times, visits=streams, streams=streams, arrivals=arrivals,
        outcome=np.zeros(response_ms.shape, dtype=np.int8), incomplete=np.zeros(rounds, dtype=bool),
    )  # fmt: skip


def test_systems_of_equal_names_and_other_settings_do_not_speak_for_each_other() -> None:
    """One of two options of a model keeps quality at 40/s, the other one was measured at 20/s alone, where it keeps it."""
    quick, other = at_rate(40, late_in(60, {})), at_rate(20, late_in(60, {}))
    asked = {"threshold": "50 ms", "keep": 0.6, "at_least_per_s": 30}
    accept = {"evidence": {"accept_flags": "*"}}
    assert hold([quick, other], capacity=asked, **accept).verdict == "met"
    trial = other.record.trial
    for changed in (
        {"trial": trial.model_copy(update={"model": trial.model.model_copy(update={"options": {"width": 2}})})},
        {"trial": trial.model_copy(update={"runtime": trial.runtime.model_copy(update={"dtype": "bf16"})})},
        {"digests": {"data": "d", "model": "other weights"}},
    ):
        apart = replace(other, record=other.record.model_copy(update=changed))
        found = hold([quick, apart], capacity=asked, **accept)
        assert [one.verdict for one in found.findings] == ["met", "not shown"]
    stopped = trial.model_copy(update={"measurement": trial.measurement.model_copy(update={"max_rounds": 500, "repeat": 2})})
    alike = replace(other, record=other.record.model_copy(update={"trial": stopped}))
    assert only(hold([quick, alike], capacity=asked, **accept)).verdict == "met"


def in_all(late: list[int], rounds: int = 60) -> Times:
    """Times in which these of ten samples are late in every round."""
    return late_in(rounds, dict.fromkeys(range(rounds), late))


def beside(trial: TrialData, **columns: Any) -> TrialData:
    """Return a trial with these columns of evidence, each a value of every round or one for all."""
    rounds = len(trial.times["total"])
    return replace(trial, evidence={name: np.broadcast_to(np.asarray(of, dtype=np.float64), rounds) for name, of in columns.items()})


SMALL, LARGE = [10.0, 10.0, 20.0, 20.0], [100.0, 100.0, 200.0, 200.0]


def with_boxes() -> TrialData:
    """Ten pictures with a small box each, found, and a large one, found in half of them."""
    found = [{"boxes": [SMALL, LARGE][: 1 + number % 2], "labels": [1, 2][: 1 + number % 2]} for number in range(10)]
    answers = [{**each, "scores": [0.9] * len(each["boxes"])} for each in found]
    references = [{"boxes": [SMALL, LARGE], "labels": [1, 2]}] * 10
    return replace(measured(late_in(60, {}), metrics=("map",)), references=references, predictions=answers)


def streamed() -> TrialData:
    """First tokens come in a quarter of the time."""
    trial = measured(QUICK)
    times = {**trial.times, Clock.FIRST_TOKEN: QUICK * 2.5e5}
    return replace(trial, times=times, inferences=times)


STEADY = measured(late_in(60, {}))
PLAIN, RIGHT_18 = measured(QUICK), measured(QUICK, right=18)
FAST, SLOW = measured(QUICK, "fast"), measured(QUICK * 5, "slow")
UNPINNED = {"placement": {"pinned": False}}
ALIKE = [measured(np.roll(QUICK, number, axis=1), repeat=number) for number in range(3)]
ONE_IS_SLOW = [*ALIKE[:2], measured(QUICK * 1.5, repeat=2)]
STARTS = [starting(number, 80) for number in range(5)]
IN_MEMORY = [starting(number, 80, peak_memory_bytes=2**20) for number in range(6)]
BOTH_ENDS = measured(in_all([0, 9]))
IN_VISITS = beside(BOTH_ENDS, visit=np.arange(60) // 2, process=0, round=np.arange(60))
KEPT, LOST = at_rate(40, late_in(60, {})), at_rate(80, in_all([0, 2, 4, 6, 8]))
ANY_FLAG = {"evidence": {"accept_flags": "*"}}
QUALITY = {"threshold": "20 ms", "at_least": 0.9}
ABSOLUTE = {"threshold": "10 ms", "at_least": 0.8, "of": "absolute"}
FIRST_TOKEN = {"percentile": 90, "within": "4 ms", "clock": "first_token"}
LATE = {"threshold": "50 ms", "share_of_rounds": 0.9}
MOST_ROUNDS = {"within": "20 ms", "share_of_rounds": 0.9}
BOXES = {"threshold": "50 ms", "at_least": 0.9, "of": "absolute"}
RATE = {"threshold": "50 ms", "keep": 0.6}

LAWS = {
    "an absolute bound and a clock of its own: the inference clock of these trials has half of the total time": [
        Case([RIGHT_18], {"tail_quality": {**ABSOLUTE, "clock": "inference"}}, "met"),
        Case([RIGHT_18], {"tail_quality": ABSOLUTE}, "not met"),
        Case([RIGHT_18], {"tail_quality": {**ABSOLUTE, "at_least": 0.95, "clock": "inference"}}, "not met"),
    ],
    "streamed answers have clocks that a closed loop without streams does not have": [
        Case([streamed()], {"latency": FIRST_TOKEN}, "met"),
        Case([streamed()], {"latency": {**FIRST_TOKEN, "clock": "total"}}, "not met"),
        Case([PLAIN], {"latency": FIRST_TOKEN}, "not shown"),
        Case([PLAIN], {"latency": {**FIRST_TOKEN, "clock": "response"}}, "not shown"),
    ],
    # Two of 45 ms after four of 5 ms, due from 60 ms on and answered at 225 ms.
    "a stretch of late answers lasts as long as the answers, whatever clock they are late by": [
        Case([measured(in_all([4, 5]))], {"late_answers": {"threshold": "20 ms", "errors": 0, "clock": "inference", "error_after": after}}, verdict)
        for after, verdict in (("165 ms", "met"), ("164 ms", "not met"))
    ],
    "a deadline allows for a share of rounds": [
        Case([measured(late_in(140, {3: [0], 77: [0]}))], {"deadline": MOST_ROUNDS}, "met"),
        Case(
            [measured(late_in(116, {number: [0] for number in range(0, 116, 3)}))],
            {"deadline": MOST_ROUNDS}, "not met", {"figure": pytest.approx(39 / 116)},
        ),
    ],
    "a share of rounds may be asked of tail quality: one of ten samples late keeps 0.9 in that round": [
        Case([measured(in_all([0]))], {"tail_quality": {**LATE, "at_least": least}}, verdict)
        for least, verdict in ((0.9, "met"), (0.91, "not met"))
    ],
    # A streak of 3, 2 warnings, 3 of any 5.
    "late answers are counted in every round: three in a row and one alone": [
        Case([measured(in_all([1, 2, 3, 7]))], {"late_answers": {**LATE, **most}}, verdict)
        for most, verdict in (
            ({"longest_streak": 3}, "met"), ({"longest_streak": 2}, "not met"),
            ({"warnings": 2}, "met"), ({"warnings": 1}, "not met"),
            ({"at_most": 3, "out_of": 5}, "met"), ({"at_most": 2, "out_of": 5}, "not met"),
        )
    ],
    "a streak goes on into the next round of a visit": [
        Case([BOTH_ENDS], {"late_answers": {"threshold": "50 ms", "longest_streak": 1}}, "met"),
        Case([IN_VISITS], {"late_answers": {"threshold": "50 ms", "longest_streak": 1}}, "not met", {"figure": 1.0}),
        Case([IN_VISITS], {"late_answers": {"threshold": "50 ms", "at_most": 1, "out_of": 3}}, "not met", {"figure": 1.0}),
    ],
    # Two late answers of 90 ms after four of 10 ms: the first was due at 90 ms, and the next on time comes at 230 ms.
    "an error is a stretch that lasts too long": [
        Case([measured(times)], {"late_answers": {"threshold": "50 ms", "errors": 0, "error_after": after}}, verdict)
        for times, after, verdict in (
            (in_all([4, 5]), "140 ms", "met"),
            (in_all([4, 5]), "139 ms", "not met"),
            (np.where(np.arange(10) == 4, np.inf, in_all([4, 5])), "900 ms", "not met"),
        )
    ],
    "starts are fresh processes": [
        Case(STARTS, {"first_inference": {"within": "100 ms"}}, "met"),
        Case(STARTS[:4], {"first_inference": {"within": "100 ms"}}, "not shown"),
        Case([starting(number, 200) for number in range(5)], {"first_inference": {"within": "100 ms"}}, "not met"),
        Case(STARTS, {"cold_start": {"within": "1.1 s"}}, "met"),
        Case(STARTS, {"cold_start": {"within": "1 s"}}, "not met"),
    ],
    "memory is the most of start and rounds": [
        Case(trials, {"memory": {"at_most": "1MiB"}}, verdict)
        for trials, verdict in (
            (IN_MEMORY, "not shown"),
            ([beside(data, process=0, resident_peak_bytes=2.0**19) for data in IN_MEMORY], "met"),
            ([beside(data, process=0, resident_peak_bytes=[np.nan, 1.0, 3 * 2.0**20, 2.0]) for data in IN_MEMORY], "not met"),
        )
    ],
    "answers may change between rounds, as far as every round says so": [
        Case([beside(STEADY, different_answers=0)], {"answers": {"between": "rounds"}}, "met"),
        Case([STEADY], {"answers": {"between": "rounds"}}, "not shown"),
        Case([beside(STEADY, different_answers=np.where(np.arange(60) == 7, np.nan, 0))], {"answers": {"between": "rounds"}}, "not shown"),
        Case([beside(STEADY, different_answers=2)], {"answers": {"between": "rounds", "at_most": 1}}, "not met"),
        Case([beside(STEADY, different_answers=2)], {"answers": {"between": "rounds", "at_most": 2}}, "met"),
    ],
    "a slice is judged alone": [
        Case(
            [measured(in_all([0, 1]), slices={"size": ["large"] * 4 + ["small"] * 6})],
            {"tail_quality": {"threshold": "50 ms", "at_least": 0.9, "slice": f"size={size}"}}, verdict, figures,
        )
        for size, verdict, figures in (
            ("large", "not met", {"figure": pytest.approx(0.5)}), ("small", "met", {}), ("huge", "not shown", {}),
        )
    ],
    "a slice of boxes is judged by the boxes of all pictures": [
        Case([with_boxes()], {"tail_quality": {**BOXES, "slice": "area=small"}}, "met"),
        Case([with_boxes()], {"tail_quality": {**BOXES, "slice": "area=large"}}, "not met", {"figure": pytest.approx(0.5, abs=0.06)}),
    ],
    "of several processes each is held alone, and the worst speaks": [
        Case(ONE_IS_SLOW, {"tail_quality": {"threshold": "12 ms", "at_least": 0.8}}, "not met", {"figure": pytest.approx(np.mean(QUICK * 1.5 <= 12))}),
        Case(ALIKE, {"deadline": {"within": "20 ms", "share_of_rounds": 0.5}}, "met"),
        Case(ONE_IS_SLOW, {"deadline": {"within": "16 ms", "share_of_rounds": 0.5}}, "not met"),
    ],
    "every system must meet it": [
        Case([FAST, SLOW], {"tail_quality": QUALITY}, "not met"),
        Case([FAST, SLOW], {"tail_quality": QUALITY, "trials": {"system": "fas?"}}, "met"),
    ],
    "a pattern is held against a setting as it is written": [
        Case([PLAIN], {"tail_quality": QUALITY, "trials": trials}, verdict)
        for trials, verdict in (
            ({"measurement.batch": 1, "model": "n*", "load": "closed"}, "met"),
            ({"system": ["x*", "y"]}, "not shown"),
            ({"system": "one", "model": "other"}, "not shown"),
            ({"model.nam": "net"}, "not shown"),
            ({"measurement.half_width": 0.02, "runtime.autotune": False}, "met"),
            ({"measurement.round_timeout_s": 600, "system.numa": "null"}, "met"),
        )
    ],
    "what is named and was not measured hides nothing": [
        Case([measured(QUICK * 5)], {"tail_quality": QUALITY, "trials": {"system": ["one", "gpu*"]}}, "not met"),
    ],
    "the least evidence stands in the way of met alone": [
        Case(
            [PLAIN], {"tail_quality": QUALITY, "evidence": {"rounds": 100, "visits": 100, "processes": 2, "sessions": 2}},
            "not shown", {"more_rounds": 40},
        ),
        Case([measured(QUICK * 5)], {"tail_quality": QUALITY, "evidence": {"rounds": 100}}, "not met"),
    ],
    "a flag stands in the way until it is accepted by name": [
        Case([measured(QUICK, **UNPINNED)], {"tail_quality": QUALITY}, "not shown", {"flags": ("unpinned",)}),
        Case([measured(QUICK, **UNPINNED)], {"tail_quality": QUALITY, "evidence": {"accept_flags": "unpin*"}}, "met"),
        Case([measured(QUICK * 5, **UNPINNED)], {"tail_quality": QUALITY}, "not met"),
    ],
    # At 40/s all is in time, at 80/s half is late; one system, whatever the rate.
    "a rate is sustained where it or a higher one keeps quality": [
        Case([KEPT, LOST], {"capacity": {**RATE, "at_least_per_s": 30}, **ANY_FLAG}, "met", {"figure": 1}),
        Case([KEPT, LOST], {"capacity": {**RATE, "at_least_per_s": 80}, **ANY_FLAG}, "not met"),
        Case([KEPT, LOST], {"capacity": {**RATE, "at_least_per_s": 60}, **ANY_FLAG}, "not shown"),
        Case([STEADY], {"capacity": {**RATE, "at_least_per_s": 60}, **ANY_FLAG}, "not shown"),
        Case([at_rate(40, late_in(30, {}))], {"capacity": {**RATE, "at_least_per_s": 30}, **ANY_FLAG}, "not shown"),
    ],
    # Late are the last answer of every round and the first of the next: two in a row where the stream goes on, which counts in both.
    "streaks under load follow the arrivals": [
        Case(
            [at_rate(40, in_all([0, 9]))],
            {"late_answers": {"threshold": "50 ms", "clock": "response", "longest_streak": most, "share_of_rounds": 0.6}, **ANY_FLAG}, verdict, figures,
        )
        for most, verdict, figures in ((1, "not met", {"figure": 1.0}), (2, "met", {}))
    ],
}  # fmt: skip


@by_law(LAWS)
def test_the_verdict(case: Case) -> None:
    check(case)


def test_processes_and_rounds_of_repeats_count_together() -> None:
    found = only(hold(ALIKE, tail_quality={"threshold": "12 ms", "at_least": 0.8}))
    assert (found.verdict, found.basis["processes"], found.basis["rounds"]) == ("met", 3, 180)
