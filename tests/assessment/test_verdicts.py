"""What trials with known times show of each kind of requirement."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from held import hold, measured, only
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


def test_a_mean_is_met_not_met_or_not_shown(quick: Times) -> None:
    trial = measured(quick, right=18)
    easy = only(hold([trial], tail_quality={"threshold": "20 ms", "at_least": 0.9}))
    assert (easy.verdict, easy.figure, easy.missing, easy.unit) == ("met", pytest.approx(0.9), "", "quality")
    assert easy.low >= easy.asked == pytest.approx(0.9 * 0.9)
    hard = only(hold([trial], tail_quality={"threshold": "10 ms", "at_least": 0.9}))
    assert hard.verdict == "not met"
    assert hard.figure == pytest.approx(0.45, abs=0.05)
    near = float(np.mean(quick[:, :18] <= 11.5)) - 0.003
    unsure = only(hold([trial], tail_quality={"threshold": "11.5 ms", "at_least": round(near, 3)}))
    assert unsure.verdict == "not shown"
    assert unsure.more_rounds is not None


def test_an_absolute_bound_and_a_clock_of_its_own(quick: Times) -> None:
    """The inference clock of these trials has half of the total time."""
    trial = measured(quick, right=18)
    absolute = {"threshold": "10 ms", "at_least": 0.8, "of": "absolute"}
    assert hold([trial], tail_quality={**absolute, "clock": "inference"}).verdict == "met"
    assert hold([trial], tail_quality=absolute).verdict == "not met"
    assert hold([trial], tail_quality={**absolute, "at_least": 0.95, "clock": "inference"}).verdict == "not met"


def test_clocks_of_streamed_answers(quick: Times) -> None:
    """First tokens come in a quarter of the time."""
    trial = measured(quick)
    times = {**trial.times, Clock.FIRST_TOKEN: quick * 2.5e5}
    streamed = replace(trial, times=times, inferences=times)
    asked = {"percentile": 90, "within": "4 ms", "clock": "first_token"}
    assert hold([streamed], latency=asked).verdict == "met"
    assert hold([streamed], latency={**asked, "clock": "total"}).verdict == "not met"
    for clock in ("first_token", "response"):  # which a closed loop without streams does not have
        assert hold([trial], latency={**asked, "clock": clock}).verdict == "not shown"


def test_a_stretch_of_late_answers_lasts_as_long_as_the_answers_whatever_clock_they_are_late_by() -> None:
    """By the inference clock, half of the total time: two of 45 ms after four of 5 ms, due from 60 ms on and answered at 225 ms."""
    trial = measured(late_in(60, {number: [4, 5] for number in range(60)}))
    asked = {"threshold": "20 ms", "errors": 0, "clock": "inference"}
    assert hold([trial], late_answers={**asked, "error_after": "165 ms"}).verdict == "met"
    assert hold([trial], late_answers={**asked, "error_after": "164 ms"}).verdict == "not met"


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
    some = {number: [0] for number in (3, 77)}
    assert hold([measured(late_in(140, some))], deadline=asked).verdict == "met"
    many = only(hold([measured(late_in(116, {number: [0] for number in range(0, 116, 3)}))], deadline=asked))
    assert (many.verdict, many.figure) == ("not met", pytest.approx(39 / 116))


def test_a_share_of_rounds_may_be_asked_of_tail_quality() -> None:
    """One of ten samples late keeps 0.9 of quality in that round."""
    times = late_in(60, {number: [0] for number in range(60)})
    asked = {"threshold": "50 ms", "share_of_rounds": 0.9}
    assert hold([measured(times)], tail_quality={**asked, "at_least": 0.9}).verdict == "met"
    assert hold([measured(times)], tail_quality={**asked, "at_least": 0.91}).verdict == "not met"


@pytest.mark.parametrize(
    ("form", "most"),
    [("longest_streak", {"longest_streak": 3}), ("warnings", {"warnings": 2}), ("window", {"at_most": 3, "out_of": 5})],
)
def test_late_answers_are_counted_in_every_round(form: str, most: dict[str, int]) -> None:
    """Each round has 3 late in a row and one alone: a streak of 3, 2 warnings, 3 of any 5."""
    times = late_in(60, {number: [1, 2, 3, 7] for number in range(60)})
    asked = {"threshold": "50 ms", "share_of_rounds": 0.9}
    assert hold([measured(times)], late_answers={**asked, **most}).verdict == "met"
    less = {key: value - 1 if key != "out_of" else value for key, value in most.items()}
    assert hold([measured(times)], late_answers={**asked, **less}).verdict == "not met"


def test_a_streak_goes_on_into_the_next_round_of_a_visit() -> None:
    times = late_in(60, {number: [0, 9] for number in range(60)})
    asked = {"threshold": "50 ms", "longest_streak": 1}
    alone = measured(times)
    assert hold([alone], late_answers=asked).verdict == "met"
    visits = replace(alone, evidence={"visit": np.arange(60) // 2, "process": np.zeros(60), "round": np.arange(60.0)})
    found = only(hold([visits], late_answers=asked))
    assert (found.verdict, found.figure) == ("not met", 1.0)
    in_windows = only(hold([visits], late_answers={"threshold": "50 ms", "at_most": 1, "out_of": 3}))
    assert (in_windows.verdict, in_windows.figure) == ("not met", 1.0)


def test_an_error_is_a_stretch_that_lasts_too_long() -> None:
    """Two late answers of 90 ms after four of 10 ms: the first was due at 90 ms, and the next on time comes at 230 ms."""
    times = late_in(60, {number: [4, 5] for number in range(60)})
    asked = {"threshold": "50 ms", "errors": 0}
    assert hold([measured(times)], late_answers={**asked, "error_after": "140 ms"}).verdict == "met"
    assert hold([measured(times)], late_answers={**asked, "error_after": "139 ms"}).verdict == "not met"
    times[:, 4] = np.inf
    assert hold([measured(times)], late_answers={**asked, "error_after": "900 ms"}).verdict == "not met"


def starting(number: int, first_ms: float, **cold: Any) -> TrialData:
    start = {"load_ns": 10**9, "first_inference_ns": int(first_ms * 1e6), "warmup_rounds_ns": [1], **cold}
    return measured(late_in(4, {}) + number, repeat=number, cold_start=start)


def test_starts_are_fresh_processes() -> None:
    enough = [starting(number, 80) for number in range(5)]
    asked = {"within": "100 ms"}
    assert hold(enough, first_inference=asked).verdict == "met"
    assert hold(enough[:4], first_inference=asked).verdict == "not shown"
    assert hold([starting(number, 200) for number in range(5)], first_inference=asked).verdict == "not met"
    assert hold(enough, cold_start={"within": "1.1 s"}).verdict == "met"
    assert hold(enough, cold_start={"within": "1 s"}).verdict == "not met"


def test_memory_is_the_most_of_start_and_rounds() -> None:
    starts = [starting(number, 80, peak_memory_bytes=2**20) for number in range(6)]
    assert hold(starts, memory={"at_most": "1MiB"}).verdict == "not shown"
    trials = [replace(data, evidence={"process": np.zeros(4), "resident_peak_bytes": np.full(4, 2.0**19)}) for data in starts]
    assert hold(trials, memory={"at_most": "1MiB"}).verdict == "met"
    more = {"process": np.zeros(4), "resident_peak_bytes": np.array([np.nan, 1.0, 3 * 2.0**20, 2.0])}
    assert hold([replace(data, evidence=more) for data in trials], memory={"at_most": "1MiB"}).verdict == "not met"


def test_answers_that_change_between_rounds() -> None:
    trial = measured(late_in(60, {}))
    steady = replace(trial, evidence={"different_answers": np.zeros(60)})
    assert hold([steady], answers={"between": "rounds"}).verdict == "met"
    partly = replace(trial, evidence={"different_answers": np.where(np.arange(60) == 7, np.nan, 0)})
    for unsaid in (trial, partly):
        assert hold([unsaid], answers={"between": "rounds"}).verdict == "not shown"
    changed = replace(steady, evidence={"different_answers": np.full(60, 2.0)})
    assert hold([changed], answers={"between": "rounds", "at_most": 1}).verdict == "not met"
    assert hold([changed], answers={"between": "rounds", "at_most": 2}).verdict == "met"


def test_answers_that_differ_between_systems() -> None:
    one, other = measured(late_in(6, {}), "one"), measured(late_in(6, {}), "two", right=8)
    found = hold([one, other], answers={"between": "systems", "at_most": 1})
    assert [finding.verdict for finding in found.findings] == ["met", "not met"]
    assert found.findings[1].figure == 2
    assert hold([one], answers={"between": "systems"}).verdict == "not shown"


def test_a_slice_is_judged_alone_and_says_that_it_is_small() -> None:
    times = late_in(60, {number: [0, 1] for number in range(60)})
    trial = measured(times, slices={"size": ["large"] * 4 + ["small"] * 6})
    asked = {"threshold": "50 ms", "at_least": 0.9}
    large = only(hold([trial], tail_quality={**asked, "slice": "size=large"}))
    assert (large.verdict, large.figure) == ("not met", pytest.approx(0.5))
    assert hold([trial], tail_quality={**asked, "slice": "size=small"}).verdict == "met"
    assert hold([trial], tail_quality={**asked, "slice": "size=huge"}).verdict == "not shown"


def test_a_slice_of_boxes_is_judged_by_the_boxes_of_all_pictures() -> None:
    """Ten pictures with a small box each, found, and a large one, found in half of them."""
    small, large = [10.0, 10.0, 20.0, 20.0], [100.0, 100.0, 200.0, 200.0]
    right = {"boxes": [small, large], "labels": [1, 2]}
    found = [{"boxes": [small, large][: 1 + number % 2], "labels": [1, 2][: 1 + number % 2]} for number in range(10)]
    answers = [{**each, "scores": [0.9] * len(each["boxes"])} for each in found]
    trial = replace(measured(late_in(60, {}), metrics=("map",)), references=[right] * 10, predictions=answers)
    asked = {"threshold": "50 ms", "at_least": 0.9, "of": "absolute"}
    assert hold([trial], tail_quality={**asked, "slice": "area=small"}).verdict == "met"
    missed = only(hold([trial], tail_quality={**asked, "slice": "area=large"}))
    assert (missed.verdict, missed.figure) == ("not met", pytest.approx(0.5, abs=0.06))


def test_of_several_processes_each_is_held_alone_and_the_worst_speaks(quick: Times) -> None:
    asked = {"threshold": "12 ms", "at_least": 0.8}
    alike = [measured(np.roll(quick, number, axis=1), repeat=number) for number in range(3)]
    found = only(hold(alike, tail_quality=asked))
    assert (found.verdict, found.basis["processes"], found.basis["rounds"]) == ("met", 3, 180)
    one_is_slow = [*alike[:2], measured(quick * 1.5, repeat=2)]
    slow = only(hold(one_is_slow, tail_quality=asked))
    assert (slow.verdict, slow.figure) == ("not met", pytest.approx(np.mean(quick * 1.5 <= 12)))
    share = {"within": "20 ms", "share_of_rounds": 0.5}
    assert hold(alike, deadline=share).verdict == "met"
    assert hold(one_is_slow, deadline={**share, "within": "16 ms"}).verdict == "not met"


def test_every_system_must_meet_it(quick: Times) -> None:
    fast, slow = measured(quick, "fast"), measured(quick * 5, "slow")
    asked = {"threshold": "20 ms", "at_least": 0.9}
    assert hold([fast, slow], tail_quality=asked).verdict == "not met"
    assert hold([fast, slow], tail_quality=asked, trials={"system": "fas?"}).verdict == "met"
    assert hold([fast], tail_quality=asked, trials={"measurement.batch": 1, "model": "n*", "load": "closed"}).verdict == "met"


@pytest.mark.parametrize(
    ("trials", "verdict"),
    [
        ({"system": ["x*", "y"]}, "not shown"),
        ({"system": "one", "model": "other"}, "not shown"),
        ({"model.nam": "net"}, "not shown"),
        ({"measurement.half_width": 0.02, "runtime.autotune": False}, "met"),
        ({"measurement.round_timeout_s": 600, "system.numa": "null"}, "met"),
    ],
)
def test_a_pattern_is_held_against_a_setting_as_it_is_written(trials: dict[str, Any], verdict: str, quick: Times) -> None:
    assert hold([measured(quick)], tail_quality={"threshold": "20 ms", "at_least": 0.9}, trials=trials).verdict == verdict


def test_what_is_named_and_was_not_measured_stands_in_the_way_of_met_and_hides_nothing(quick: Times) -> None:
    asked = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}, "trials": {"system": ["one", "gpu*"]}}
    found = hold([measured(quick)], **asked)
    assert [one.verdict for one in found.findings] == ["met", "not shown"]
    assert found.verdict == "not shown"
    assert hold([measured(quick * 5)], **asked).verdict == "not met"


def test_the_least_evidence_stands_in_the_way_of_met_alone(quick: Times) -> None:
    asked = {"threshold": "20 ms", "at_least": 0.9}
    found = only(hold([measured(quick)], tail_quality=asked, evidence={"rounds": 100, "visits": 100, "processes": 2, "sessions": 2}))
    assert (found.verdict, found.more_rounds) == ("not shown", 40)
    assert hold([measured(quick * 5)], tail_quality=asked, evidence={"rounds": 100}).verdict == "not met"


def test_sessions_are_days_over_all_campaigns(quick: Times) -> None:
    def on(day: int) -> TrialData:
        process = Process(process=0, pid=1, host="h", started_at=datetime(2026, 5, day, 23, tzinfo=UTC))
        return measured(np.roll(quick, day, axis=0), processes=(process,))

    asked = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}, "evidence": {"sessions": 2}}
    assert hold([on(1)], [on(1)], **asked).verdict == "not shown"
    found = only(hold([on(1)], [on(2)], **asked))
    assert (found.verdict, found.basis["sessions"], found.basis["processes"], found.basis["rounds"]) == ("met", 2, 2, 120)


def test_a_flag_stands_in_the_way_until_it_is_accepted_by_name(quick: Times) -> None:
    trial = measured(quick, placement={"pinned": False})
    asked = {"tail_quality": {"threshold": "20 ms", "at_least": 0.9}}
    found = only(hold([trial], **asked))
    assert (found.verdict, found.flags) == ("not shown", ("unpinned",))
    assert hold([trial], **asked, evidence={"accept_flags": "unpin*"}).verdict == "met"
    assert hold([measured(quick * 5, placement={"pinned": False})], **asked).verdict == "not met"


def test_a_metric_that_cannot_judge_one_system_hides_no_other(quick: Times) -> None:
    box = {"boxes": [[10.0, 10.0, 20.0, 20.0]], "labels": [1]}
    boxes = measured(quick, "boxes", metrics=("map",))
    boxes = replace(boxes, references=[box] * 20, predictions=[{**box, "scores": [0.9]}] * 20)
    found = hold([boxes, measured(quick)], tail_quality={"threshold": "20 ms", "at_least": 0.9, "metric": "map"})
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


def test_a_rate_is_sustained_where_it_or_a_higher_one_keeps_quality() -> None:
    """At 40/s all is in time, at 80/s half is late; one system, whatever the rate."""
    kept, lost = at_rate(40, late_in(60, {})), at_rate(80, late_in(60, {number: [0, 2, 4, 6, 8] for number in range(60)}))
    asked = {"threshold": "50 ms", "keep": 0.6}
    accept = {"evidence": {"accept_flags": "*"}}
    low = only(hold([kept, lost], capacity={**asked, "at_least_per_s": 30}, **accept))
    assert (low.verdict, low.figure) == ("met", 1)
    assert hold([kept, lost], capacity={**asked, "at_least_per_s": 80}, **accept).verdict == "not met"
    closed, few = measured(late_in(60, {})), at_rate(40, late_in(30, {}))
    for trials, least in (([kept, lost], 60), ([closed], 60), ([few], 30)):
        assert hold(trials, capacity={**asked, "at_least_per_s": least}, **accept).verdict == "not shown"


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


def test_streaks_under_load_follow_the_arrivals() -> None:
    """Late are the last answer of every round and the first of the next: two in a row where the stream goes on, which counts in both."""
    trial = at_rate(40, late_in(60, {number: [0, 9] for number in range(60)}))
    accept = {"evidence": {"accept_flags": "*"}}
    asked = {"threshold": "50 ms", "clock": "response", "longest_streak": 1, "share_of_rounds": 0.6}
    found = only(hold([trial], late_answers=asked, **accept))
    assert (found.verdict, found.figure) == ("not met", 1.0)
    assert hold([trial], late_answers={**asked, "longest_streak": 2}, **accept).verdict == "met"
