from __future__ import annotations

import numpy as np
import pytest

from orchestrator.analysis.quality import answers_at_stake, intervals, judge
from orchestrator.metrics import Answers
from orchestrator.stats.tail_quality import quality_curve


def subjects(sizes: list[int]) -> Answers:
    names = [f"s{index}" for index, size in enumerate(sizes) for _ in range(size)]
    return Answers(["A"] * len(names), ["A"] * len(names), {"subject": names})


def test_answers_that_weigh_alike_are_counted() -> None:
    for metric, kind in (("top1", [[1, 2, 3, 4, 5]] * 8 + [[2, 1, 3, 4, 5]] * 2), ("f1_micro", [1] * 8 + [2] * 2)):
        answers = Answers(kind, [1] * 10)
        assert answers_at_stake(judge(metric, answers), 10) == pytest.approx(8)


def test_heavy_answers_count_as_few() -> None:
    weights = np.array([0.5] + [0.5 / 99] * 99)
    found = answers_at_stake(judge("subject_accuracy", subjects([1, 99])), 100)
    assert found == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_a_round_can_lose_one_answer_at_least() -> None:
    assert answers_at_stake(judge("top1", Answers([[2, 1, 3, 4, 5]], [1])), 1) == 1


@pytest.mark.parametrize("late_share", [0.003, 0.01])
def test_intervals_of_unequal_weights_cover(late_share: float) -> None:
    random = np.random.default_rng(3)
    judged = judge("subject_accuracy", subjects([1, 99]))
    answers = answers_at_stake(judged, 100)
    covered = 0
    for _ in range(300):
        late = random.random((30, 100)) < late_share
        quality = judged.curve(np.where(late, 2.0, 1.0), [1.5])[0]
        [found] = intervals(judged, quality[None], answers, np.arange(30) // 2)
        covered += found.low <= 1 - late_share <= found.high
    assert covered >= 0.93 * 300


def test_scores_of_a_mean_metric_make_the_curve() -> None:
    answers = subjects([2, 8])
    judged = judge("subject_accuracy", answers)
    times = np.random.default_rng(0).uniform(1, 2, (5, 10))
    scores = np.array([10 / (2 * 2)] * 2 + [10 / (2 * 8)] * 8)
    np.testing.assert_allclose(judged.curve(times, [1.5]), quality_curve(scores, times, [1.5]))
