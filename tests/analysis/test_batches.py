from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from built_trials import in_turns, rows_made
from numpy.typing import NDArray
from scipy import stats

from orchestrator.analysis.quality import answers_at_stake, intervals, judge
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import on_time_scores
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics import Answers
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.stats.units import correlation_of_neighbours
from orchestrator.subject.samples import batches_of_round

Build = Callable[..., TrialData]
ANALYSIS = AnalysisConfig(seed=0)


@pytest.fixture
def batched(build: Build) -> Callable[..., TrialData]:
    """Makes a trial of 24 samples from the times of its batches in ms, [R, B]."""

    def make(of_batches: NDArray[np.float64], batch: int, system: str = "cpu", **values: object) -> TrialData:
        total = np.repeat(of_batches, batch, axis=1)[:, :24]
        return build(system, total, measurement={"batch": batch}, **values)

    return make


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
    for _ in range(200):
        times = np.repeat(np.where(random.random((30, 8)) < late, 2.0, 1.0), 8, axis=1)
        curve = judged.curve(times, [1.5])
        [found] = intervals(judged, curve, answers_at_stake(judged, 64, np.arange(64) // 8), np.arange(30) // 2)
        [as_samples] = intervals(judged, curve, answers_at_stake(judged, 64), np.arange(30) // 2)
        covered += found.low <= truth <= found.high
        covered_as_samples += as_samples.low <= truth <= as_samples.high
    assert covered >= 0.93 * 200
    assert covered_as_samples < 0.85 * 200  # three trials in ten see no late batch at all


def test_independent_batches_have_a_variance_ratio_of_about_one(batched: Callable[..., TrialData]) -> None:
    data = batched(20 * np.random.default_rng(2).lognormal(0, 0.1, (400, 6)), 4, right=22)
    rows = [row for row in rows_made("prediction", [data], flags=()) if row["clock"] == "total"]
    assert {row["method"] for row in rows} == {"block-bootstrap", "poisson-binomial"}
    assert all(0.7 < row["variance_ratio"] < 1.4 for row in rows)  # as samples, it was the size of the batch
    for row in rows:
        assert row["predicted_mean"] == pytest.approx(row["observed_mean"], abs=0.05)


def test_samples_of_one_batch_are_drawn_together(batched: Callable[..., TrialData]) -> None:
    random = np.random.default_rng(1)
    fours, sixes = (batched(20 * random.lognormal(0, 0.1, (5, 24 // size)), size, f"by{size}", right=21) for size in (4, 6))
    threshold = Threshold("20 ms", 20_000_000, "absolute")
    both = on_time_scores([fours], [sixes], threshold)
    assert both is not None
    for scores, data in zip(both, (fours, sixes), strict=True):
        assert scores.shape == (5, 2)  # 12 samples each: the least that is whole in batches of 4 and of 6
        assert scores.mean(axis=1) == pytest.approx(data.judged("top1").curve(data.times["total"], [threshold.ns])[0])
    one_size = on_time_scores([fours], [fours], threshold)
    assert one_size is not None
    assert one_size[0].shape == (5, 6)


def test_a_short_last_batch_counts_by_its_samples(build: Build) -> None:
    total = np.repeat([[10.0, 10.0, 30.0]], 4, axis=1)[:, :10]
    data = build("cpu", total, measurement={"batch": 4})
    scores = on_time_scores([data], [data], Threshold("20 ms", 20_000_000, "absolute"))
    assert scores is not None
    assert scores[0].mean() == pytest.approx(0.8)
    weights = data.scores_per_inference()
    assert weights is not None
    assert weights == pytest.approx(np.array([1.2, 1.2, 0.6]))


def test_a_shuffled_order_leaves_samples_apart(build: Build) -> None:
    data = build("cpu", np.full((3, 10), 10.0), measurement={"batch": 4, "order": "shuffled"})
    assert data.batch_of is None
    assert data.scores_per_inference() is None
    scores = on_time_scores([data], [data], Threshold("20 ms", 20_000_000, "absolute"))
    assert scores is not None
    assert scores[0].shape == (3, 10)


def test_where_the_order_is_shuffled_the_batches_of_the_first_round_are_at_stake(build: Build) -> None:
    """The rule of docs/statistics.md: (sum w)^2 / (sum w^2) of what each of them costs, by which limits can be recomputed."""
    data = build("cpu", np.full((3, 25), 10.0), right=20, measurement={"batch": 5, "order": "shuffled"})
    judged = data.judged("top1")
    costs = [sum(float(judged.scores[sample]) for sample in group) for group in batches_of_round(data.record.trial, 25, 0)]
    assert sorted(costs) != [0, 5, 5, 5, 5]  # as they would be in fixed order
    assert data.answers_at_stake(judged, np.ones(25, dtype=bool)) == pytest.approx(sum(costs) ** 2 / sum(cost**2 for cost in costs))


def test_the_median_of_a_round_is_that_of_its_inferences(build: Build) -> None:
    """A second batch of wrong answers that drifts is half of the inferences, and three samples of 24."""
    steady = 20 + np.random.default_rng(3).random((40, 1))
    total = np.hstack([np.repeat(steady, 21, axis=1), np.repeat(30.0 + np.arange(40)[:, None], 3, axis=1)])
    drifting = build("cpu", total, right=21, measurement={"batch": 21})
    singles = build("cpu", total, right=21)
    correlations = [
        float(correlation_of_neighbours(np.log(np.median(data.inferences[PRIMARY_CLOCK], axis=1))[None])[0]) for data in (drifting, singles)
    ]
    assert correlations[0] > 0.8 > 0.5 > correlations[1]


def test_the_least_step_of_a_comparison_is_one_inference(batched: Callable[..., TrialData]) -> None:
    steady = in_turns(batched(np.full((30, 6), ms), 4, f"at{ms}ms") for ms in (10.0, 12.0))
    rows = [row for row in rows_made("comparison", steady, ANALYSIS) if row["scope"] == "this data set"]
    widths = [row["interval_high"] - row["interval_low"] for row in rows]
    error = np.sqrt(2) * (1 / 6 / 2) / 15  # one of 6 batches in a visit of 2 rounds, of 15 visits
    assert max(widths) == pytest.approx(stats.t.isf(0.025, 14) * error)  # all of one is late: the other half is not possible
