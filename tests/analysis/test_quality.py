"""Quality of rounds and its intervals, of samples and batches, and of the user's own metrics."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from built_trials import build_trial, in_turns, rows_made
from numpy.typing import NDArray
from scipy import stats

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.loading import judgeable
from orchestrator.analysis.quality import JudgedMean, MetricBroken, answers_at_stake, intervals, judge
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import on_time_scores, possible
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.metrics import METRICS, Answers
from orchestrator.report.result_tables import problem_tables
from orchestrator.stats.pair import ANYWHERE
from orchestrator.stats.thresholds import Threshold
from orchestrator.subject.samples import batches_of_round


def subjects(sizes: list[int]) -> Answers:
    names = [f"s{index}" for index, size in enumerate(sizes) for _ in range(size)]
    return Answers(["A"] * len(names), ["A"] * len(names), {"subject": names})


def test_answers_that_weigh_alike_are_counted() -> None:
    for metric, kind in (("top1", [[1, 2, 3, 4, 5]] * 8 + [[2, 1, 3, 4, 5]] * 2), ("f1_micro", [1] * 8 + [2] * 2)):
        answers = Answers(kind, [1] * 10)
        assert answers_at_stake(judge(metric, answers), 10) == pytest.approx(8)


@pytest.mark.parametrize("late_share", [0.003, 0.01])
def test_intervals_of_unequal_weights_cover(late_share: float) -> None:
    random = np.random.default_rng(3)
    judged = judge("subject_accuracy", subjects([1, 99]))
    answers = answers_at_stake(judged, 100)
    covered = 0
    for _ in range(150):
        late = random.random((30, 100)) < late_share
        quality = judged.curve(np.where(late, 2.0, 1.0), [1.5])[0]
        [found] = intervals(judged, quality[None], answers, np.arange(30) // 2)
        covered += found.low <= 1 - late_share <= found.high
    assert covered >= 0.93 * 150


ANALYSIS = AnalysisConfig(seed=0)


def batched(of_batches: NDArray[np.float64], batch: int, system: str = "cpu", **values: object) -> TrialData:
    """Make a trial of 24 samples from the times of its batches in ms, [R, B]."""
    return build_trial(system, np.repeat(of_batches, batch, axis=1)[:, :24], measurement={"batch": batch}, **values)


def test_answers_at_stake_are_inferences() -> None:
    answers = Answers([[1, 2, 3, 4, 5]] * 20 + [[2, 1, 3, 4, 5]] * 4, [1] * 24)
    of = np.arange(24) // 4
    assert answers_at_stake(judge("top1", answers), 24, of) == pytest.approx(5)
    assert answers_at_stake(judge("f1_micro", Answers([1] * 20 + [2] * 4, [1] * 24)), 24, of) == pytest.approx(5)


@pytest.mark.parametrize("metric", ["top1", "f1_micro"])
def test_intervals_without_losses_are_as_wide_as_so_many_inferences_allow(metric: str) -> None:
    predictions: list[object] = [[1, 2, 3, 4, 5]] * 64 if metric == "top1" else [1] * 64
    judged = judge(metric, Answers(predictions, [1] * 64))
    late, covered, covered_as_samples = 0.005, 0, 0
    random = np.random.default_rng(0)
    exact = [judged.curve(np.where(np.arange(64) // 8 < count, 2.0, 1.0)[None], [1.5])[0, 0] for count in range(9)]
    shares = np.array([(1 - late) ** (8 - k) * late**k * w for k, w in enumerate([1, 8, 28, 56, 70, 56, 28, 8, 1])])
    truth = float(shares @ np.array(exact))
    for _ in range(100):
        times = np.repeat(np.where(random.random((30, 8)) < late, 2.0, 1.0), 8, axis=1)
        curve = judged.curve(times, [1.5])
        [found] = intervals(judged, curve, answers_at_stake(judged, 64, np.arange(64) // 8), np.arange(30) // 2)
        [as_samples] = intervals(judged, curve, answers_at_stake(judged, 64), np.arange(30) // 2)
        covered += found.low <= truth <= found.high
        covered_as_samples += as_samples.low <= truth <= as_samples.high
    assert covered >= 0.93 * 100
    assert covered_as_samples < 0.85 * 100  # three trials in ten see no late batch at all


def test_independent_batches_have_a_variance_ratio_of_about_one() -> None:
    data = batched(20 * np.random.default_rng(2).lognormal(0, 0.1, (400, 6)), 4, right=22)
    rows = [row for row in rows_made("prediction", [data], flags=()) if row["clock"] == "total"]
    assert {row["method"] for row in rows} == {"block-bootstrap", "poisson-binomial"}
    assert all(0.7 < row["variance_ratio"] < 1.4 for row in rows)  # as samples, it was the size of the batch
    for row in rows:
        assert row["predicted_mean"] == pytest.approx(row["observed_mean"], abs=0.05)


def test_samples_of_one_batch_are_drawn_together() -> None:
    random = np.random.default_rng(1)
    fours, sixes = (batched(20 * random.lognormal(0, 0.1, (5, 24 // size)), size, f"by{size}", right=21) for size in (4, 6))
    threshold = Threshold("20 ms", 20_000_000, "absolute")
    both = on_time_scores([fours], [sixes], threshold)
    for scores, data in zip(both, (fours, sixes), strict=True):
        assert scores.shape == (5, 2)  # 12 samples each: the least that is whole in batches of 4 and of 6
        assert scores.mean(axis=1) == pytest.approx(data.judged("top1").curve(data.times["total"], [threshold.ns])[0])
    one_size = on_time_scores([fours], [fours], threshold)
    assert one_size[0].shape == (5, 6)


def test_where_the_order_is_shuffled_the_batches_of_the_first_round_are_at_stake() -> None:
    """The rule of docs/statistics.md: (sum w)^2 / (sum w^2) of what each of them costs, by which limits can be recomputed."""
    data = build_trial("cpu", np.full((3, 25), 10.0), right=20, measurement={"batch": 5, "order": "shuffled"})
    judged = data.judged("top1")
    costs = [sum(float(judged.scores[sample]) for sample in group) for group in batches_of_round(data.record.trial, 25, 0)]
    assert sorted(costs) != [0, 5, 5, 5, 5]  # as they would be in fixed order
    assert data.answers_at_stake(judged, np.ones(25, dtype=bool)) == pytest.approx(sum(costs) ** 2 / sum(cost**2 for cost in costs))


def test_the_least_step_of_a_comparison_is_one_inference() -> None:
    steady = in_turns(batched(np.full((30, 6), ms), 4, f"at{ms}ms") for ms in (10.0, 12.0))
    found = rows_made("comparison", steady, ANALYSIS)
    widths = (row["interval_high"] - row["interval_low"] for row in found if row["scope"] == "this data set")
    # Of one of 6 batches in a visit of 2 rounds, of 15 visits. All of one is late: the other half is not possible.
    assert max(widths) == pytest.approx(stats.t.isf(0.025, 15 * 14 / 16 - 1) * np.sqrt(2) * (1 / 6 / 2) / 15)


def test_where_answers_change_limits_may_exceed_the_ideal_that_was_observed() -> None:
    by_round = np.repeat([[0.4], [0.6]] * 10, 20, axis=1)
    changing, fixed = JudgedMean(by_round.mean(axis=0), None, by_round), JudgedMean(by_round.mean(axis=0))
    assert intervals(changing, by_round.mean(axis=1)[None], 10.0)[0].high > 0.5
    changes, stays = (cast(TrialData, SimpleNamespace(metric="m", judged=lambda _, one=one: one)) for one in (changing, fixed))
    assert possible(stays, stays) == pytest.approx((-0.5, 0.5))
    assert possible(stays, changes) == ANYWHERE


RIGHT = np.array([1.0, 0.0, 1.0, 1.0])
ANSWERS = Answers([[1], [2], [3], [4]], [[1], [9], [3], [4]], {"group": ["a", "a", "b", None]})


def shares(times: Any, thresholds: Any) -> NDArray[np.float64]:
    return np.asarray((RIGHT * (times[None] <= thresholds[:, None, None])).mean(axis=2))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return the name of a metric that has these functions."""

    def made(
        score: Callable[[Answers], Any] | None = None,
        ideal: Callable[[], Any] = lambda: 0.75,
        curve: Callable[[Any, Any], Any] = shares,
        **attributes: Any,
    ) -> str:
        judged = type("Judged", (), {"ideal": lambda self: ideal(), "curve": lambda self, times, thresholds: curve(times, thresholds)})
        asked = {"judge": lambda self, answers: judged()} if score is None else {"score": lambda self, answers: score(answers)}
        made = type("Mine", (), {"name": "mine", **asked, **attributes, "__module__": __name__})
        monkeypatch.setattr(sys.modules[__name__], "Mine", made, raising=False)
        monkeypatch.setitem(METRICS, "mine", f"{__name__}:Mine")
        return "mine"

    return made


def sorts(times: Any, thresholds: Any) -> Any:
    times.sort(axis=0)
    return shares(times, thresholds)


@pytest.mark.parametrize(
    "functions",
    [
        {"score": lambda answers: answers.slices["words"]},
        {"score": lambda answers: None},
        {"score": lambda answers: RIGHT[:, None]},
        {"score": lambda answers: RIGHT * np.nan},
        {"score": lambda answers: -RIGHT},
        {"curve": lambda times, thresholds: shares(times, thresholds)[:, :1]},
        {"curve": lambda times, thresholds: shares(times, thresholds) / 0},
        {"curve": lambda times, thresholds: 3 * shares(times, thresholds)},
        {"curve": lambda times, thresholds: shares(times, thresholds).clip(0.1)},
        {"curve": lambda times, thresholds: shares(times, thresholds), "late": 9.0},
        {"curve": lambda times, thresholds: shares(times, thresholds - 1)},
        {"ideal": lambda: np.nan},
        {"curve": sorts},
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_no_quality_is_refused_in_one_line(own: Any, functions: dict[str, Any]) -> None:
    with pytest.raises(MetricBroken, match=r"^metric mine: ") as caught:
        judge(own(**functions), ANSWERS)
    assert "\n" not in str(caught.value)


def test_trials_that_it_can_judge_are_reported(own: Any) -> None:
    def score(answers: Answers) -> Any:
        return np.ones(len(answers.predictions)) if len(answers.predictions) == 4 else 1 / 0

    times = np.random.default_rng(0).lognormal(size=(30, 5))
    names = own(score), "top1"
    trials = [
        build_trial("one", times[:, :4], metrics=names),
        build_trial("two", times, metrics=names),
        build_trial("three", times, metrics=names[::-1]),
    ]
    judged, why = judgeable(trials)
    assert [(data.record.trial.system.name, data.record.metrics) for data in judged] == [("one", names), ("three", ("top1",))]
    assert list(why) == [trials[1].trial_id, trials[2].trial_id]
    with pytest.raises(InputError):
        judgeable(trials[1:2])
    campaign: Any = SimpleNamespace(trials=(), left_out=())
    results = CampaignAnalysis(campaign, (), AnalysisConfig(), (), {}, unjudged=why)
    assert [table.rows for table in problem_tables(results)] == [[[trial_id, reason] for trial_id, reason in why.items()]]
