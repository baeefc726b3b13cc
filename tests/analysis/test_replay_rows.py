"""Rows of a replay against the same thing done by hand, arrival by arrival."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made

from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, better_of_each
from orchestrator.analysis.replay import FEW_STREAMS, OVERLOADED, Question, replay_rows
from orchestrator.analysis.replay_streams import Arrivals, Rule, can_play, play, schedule_of, services_of, streams_of
from orchestrator.analysis.tables.replay import REPLAY
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.load import LoadConfig
from orchestrator.metrics import Answers, find_metric
from orchestrator.stats.queueing import POLICIES, AnyPolicy, serve
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock
from orchestrator.storage.schema import LABELS, schema_of
from orchestrator.storage.stored_form import table_of

LIMIT = Threshold("25 ms", 25_000_000, "absolute")
POISSON = Arrivals("poisson", seed=3)


@pytest.fixture
def data(noise: Any) -> TrialData:
    """Thirty rounds of 20 samples of about 15 ms, of which 16 are right, in 15 visits."""
    return build_trial("a", noise(30, 20, 15), right=16, visits=np.arange(30) // 2)


def rows(data: TrialData, *rates: float, **more: Any) -> list[Any]:
    found = list(replay_rows(data, Question(**{"law": POISSON, "rates_per_s": rates, "rule": Rule(), **more}), LIMIT, ()))
    assert table_of(found, schema_of((*LABELS, *REPLAY))).num_rows == len(found)
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_kept_is_counted_arrival_by_arrival(data: TrialData, policy: AnyPolicy) -> None:
    [row] = rows(data, 50.0, rule=Rule(policy))
    times, right, kept, late = data.times["total"], np.array([1.0] * 16 + [0.0] * 4), [], []
    for number, stored in enumerate(streams_of(data)):
        schedule = schedule_of(POISSON, 50.0, stored.size, 20, number)
        own = times[stored[schedule.places], schedule.samples].astype(int)
        waits = serve(schedule.moments_ns, own, policy, LIMIT.ns if policy == "skip_late" else None)
        on_time = ((waits >= 0) & (waits + own <= LIMIT.ns))[schedule.ramp :]
        kept.append((on_time * right[schedule.samples[schedule.ramp :]]).mean())
        late.extend(~on_time)
    assert row["mean"] == pytest.approx(np.mean(kept))
    assert row["late"] == pytest.approx(np.mean(late))
    assert (row["arrivals"], row["streams"]) == (600, 15)
    assert row["interval_low"] <= row["mean"] <= row["interval_high"] <= row["ideal"]
    assert row["closed_mean"] == pytest.approx(((times <= LIMIT.ns) * right).mean())
    assert (row["mean"] < row["closed_mean"], row["utilisation"]) == (True, pytest.approx(50 * times.mean() / 1e9))


def test_little_load_is_the_closed_loop_and_too_much_is_told(data: TrialData) -> None:
    low, high = rows(data, 0.5, 200.0)
    assert low["mean"] == pytest.approx(low["closed_mean"], abs=0.02)
    assert (low["flags"], high["flags"], high["mean"] < 0.1) == ([], [OVERLOADED], True)
    just_above = rows(data, 1.02e9 / float(data.times["total"].mean()))[0]
    assert just_above["flags"] == [OVERLOADED], "the wait has no end, though streams of 40 arrivals do not show that it grows"
    assert OVERLOADED not in rows(data, 200.0, rule=Rule("newest"))[0]["flags"]
    assert FEW_STREAMS in rows(replace(data, turns=np.arange(30) // 5), 10.0)[0]["flags"]
    assert len(streams_of(replace(data, turns=None))) == 12


def test_a_fallback_answers_what_is_late(data: TrialData) -> None:
    fast = build_trial("b", np.full((30, 20), 1.0), right=10)
    alone, together = rows(data, 55.0)[0], rows(data, 55.0, fallback=fast)[0]
    assert together["mean"] == alone["mean"]
    assert alone["mean"] < together["fallback_mean"] < alone["ideal"]  # type: ignore[operator]
    nothing = rows(data, 55.0, fallback=build_trial("c", np.full((30, 20), 900.0)))[0]
    assert nothing["fallback_mean"] == pytest.approx(alone["mean"])


def test_answers_of_two_trials_are_worth_the_better_of_each() -> None:
    first, second = np.array([1.0, 0.0, 0.5]), np.array([0.0, 0.25, 1.0])
    assert better_of_each(JudgedMean(first), JudgedMean(second)).ideal() == pytest.approx(2.25 / 3)
    error = 1.0  # a smaller score is the better one, and 1.5 is worse than none
    judged = better_of_each(JudgedMean(first, error), JudgedSignedMean(np.array([1.5, 0.25, 1.0]), error))
    assert isinstance(judged, JudgedSignedMean)
    assert judged.raw.tolist() == [1.0, 0.0, 0.5]


def test_a_failed_sample_takes_as_long_as_the_longest_and_a_torn_round_is_left_out(data: TrialData) -> None:
    times = data.times["total"].copy()
    times[0, 3] = np.inf
    torn = replace(data, times={**data.times, "total": times}, incomplete=np.arange(30) == 5)
    assert services_of(torn)[0, 3] == int(times[0][np.isfinite(times[0])].max())
    assert 5 not in np.concatenate(streams_of(torn))
    row = rows(torn, 1.0)[0]
    assert (row["rounds"], row["late"] > 0) == (29, True)


def test_only_a_closed_loop_of_single_samples_is_played(data: TrialData, noise: Any) -> None:
    assert can_play(data)
    assert not can_play(replace(data, times={**data.times, "response": data.times["total"]}))
    assert not can_play(build_trial("a", noise(4, 20, 15), measurement={"batch": 4}))


def held_by_hand(data: TrialData, streams: list[tuple[Any, Any, Any, int]]) -> float:
    """Mean quality over streams of (samples, moments, responses, ramp): the newest answer there is when one is due stands for it."""
    metric, means = find_metric("top1"), []
    for samples, moments, responses, ramp in streams:
        scores = []
        for number, sample in enumerate(samples):
            there = [at for at in range(number + 1) if moments[at] + responses[at] <= moments[number] + LIMIT.ns]
            answers = [Answers([data.predictions[samples[at]]], [data.references[sample]]) for at in there[-1:]]
            scores.append(sum(float(metric.score(one)[0]) for one in answers))  # type: ignore[union-attr]
        means.append(np.mean(scores[ramp:]))
    return float(np.mean(means))


def test_what_was_measured_under_the_same_load_stands_beside(data: TrialData) -> None:
    load = LoadConfig(name="poisson", rate_per_s=20.0, stream_s=3.0)
    record = data.record.model_copy(update={"trial_id": "loaded-r0", "trial": data.record.trial.model_copy(update={"load": load})})
    slower: dict[Clock, Any] = {clock: times * 1.25 for clock, times in data.times.items()}
    # Every arrival but each tenth finds the server idle; that one waits, and its answer is late.
    arrivals = np.tile(np.arange(40).reshape(2, 20) * 50e6, (15, 1))
    waits = np.where(np.arange(20) % 10 == 9, 30e6, 0.0)
    answered = slower | {Clock.RESPONSE: slower[Clock.TOTAL] + waits}
    loaded = replace(
        data, record=record, times=answered, inferences=answered, arrivals=arrivals, streams=np.arange(30) // 2,
        incomplete=np.zeros(30, dtype=bool), outcome=np.zeros((30, 20), dtype=np.int8),
    )  # fmt: skip
    question = Question(POISSON, (20.0, 21.0), Rule())
    same, other = replay_rows(data, question, LIMIT, (), [data, loaded])
    assert (same["measured"], other["measured"]) == ("loaded-r0", None)
    on_time = slower["total"] + waits <= LIMIT.ns
    assert same["measured_mean"] == pytest.approx((on_time * ([1.0] * 16 + [0.0] * 4)).mean())
    reported = rows_made("tail_quality", [loaded], AnalysisConfig(seed=3, thresholds_ms=(LIMIT.ns / 1e6,)))
    [row] = [row for row in reported if (row["clock"], row["threshold"]) == ("response", LIMIT.label)]
    assert [same[f"measured_{name}"] for name in ("low", "mean", "high")] == [  # type: ignore[literal-required]
        row["interval_low"], row["mean"], row["interval_high"],
    ], "one measured figure has one interval, that of the report"  # fmt: skip
    assert same["service_change"] == pytest.approx(0.25)
    assert same["idle_penalty"] == pytest.approx(0.25, abs=0.03)
    assert other["service_change"] is other["idle_penalty"] is None
    assert (other["held_mean"] > 0, other["measured_held"]) == (True, None)
    of_streams = [(np.tile(np.arange(20), 2), np.arange(40) * 50e6, one, 0) for one in np.split((slower["total"] + waits).ravel(), 15)]
    assert same["measured_held"] == pytest.approx(held_by_hand(data, of_streams))
    played = []
    for number, stored in enumerate(streams_of(data)):
        schedule = schedule_of(POISSON, 20.0, stored.size, 20, number)
        served = play(data, services_of(data), stored, schedule, Rule(), LIMIT.ns)
        played.append((schedule.samples, schedule.moments_ns, served.response_ns, schedule.ramp))
    assert same["held_mean"] == pytest.approx(held_by_hand(data, played))
    assert same["held_mean"] >= same["mean"]
    for changed in ({"policy": "newest"}, {"group": 2}, {"queue_limit": 3}):
        elsewhere = record.model_copy(update={"trial": record.trial.model_copy(update={"load": load.model_copy(update=changed)})})
        assert next(replay_rows(data, question, LIMIT, (), [replace(loaded, record=elsewhere)]))["measured"] is None
