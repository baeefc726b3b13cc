"""What a user's own metric does, the program survives and other metrics do not notice; what it returns is quality, or one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.loading import judgeable
from orchestrator.analysis.quality import AskedMetric, MetricBroken, judge, on_scale
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.metrics import METRICS, Answers
from orchestrator.report.result_tables import problem_tables
from orchestrator.running.trial_judge import judge_samples

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


def test_times_cannot_be_written(own: Any) -> None:
    with pytest.raises(MetricBroken, match=rf"^metric mine: .* read-only \({Path(__file__).name}, line \d+, in sorts\); repair"):
        judge(own(curve=sorts), ANSWERS)


def test_times_are_read_only_where_they_are_shown_and_stay_the_program_s_own(own: Any) -> None:
    times = np.array([[3.0, 1.0, 2.0, 4.0]])
    judge(own(), ANSWERS).curve(times, [2.0])
    assert times.flags.writeable


def test_what_it_returns_is_its_own_no_longer(own: Any) -> None:
    buffer = np.zeros((2, 3))

    def reuses(times: Any, thresholds: Any) -> Any:
        buffer[: len(thresholds), : len(times)] = shares(times, thresholds)
        return buffer[: len(thresholds), : len(times)]

    found = judge(own(curve=reuses), ANSWERS).curve(np.ones((1, 4)), [1.0])
    buffer[:] = 7
    assert found.tolist() == [[0.75]]


def raises(error: BaseException) -> Callable[..., Any]:
    def raising(*given: Any) -> Any:
        raise error

    return raising


@pytest.mark.parametrize(
    ("functions", "says"),
    [
        ({"score": raises(KeyError("words"))}, r"raised KeyError: 'words' \(.*, in raising\); repair it, or name another"),
        ({"score": lambda answers: None}, r"returned \[nan\] of shape \(\); it must be finite"),
        ({"score": lambda answers: RIGHT[:, None]}, r"of shape \(4, 1\); it must be finite, .*, of shape \(4,\)"),
        ({"score": lambda answers: RIGHT * np.nan}, r"returned \[nan, nan\] .*; it must be finite"),
        ({"score": lambda answers: -RIGHT}, r"returned \[-1.0, -1.0\] .*; it must be finite, and not negative unless there is `late`"),
        ({"curve": lambda times, thresholds: shares(times, thresholds)[:, :1]}, r"shape \(1, 1\); it must be finite, of shape \(1, 2\)"),
        ({"curve": lambda times, thresholds: shares(times, thresholds) / 0}, r"returned \[inf, nan\] "),
        ({"curve": lambda times, thresholds: 3 * shares(times, thresholds)}, r"\[2.25, 0.0\] .* it must be ideal\(\), 0.75, where all is on time"),
        ({"curve": lambda times, thresholds: shares(times, thresholds).clip(0.1)}, r"\[0.75, 0.1\] .*, and 0 where all is late"),
        ({"curve": lambda times, thresholds: shares(times, thresholds), "late": 9.0}, "and 9 where all is late"),
        ({"curve": lambda times, thresholds: shares(times, thresholds - 1)}, r"returned \[0.0, 0.0\]"),
        ({"ideal": lambda: np.nan}, r"returned \[0.75, 0.0\] .*; it must be NaN, as ideal"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_no_quality_is_one_line(own: Any, functions: dict[str, Any], says: str) -> None:
    with pytest.raises(MetricBroken, match=r"^metric mine: ") as caught:
        judge(own(**functions), ANSWERS)
    assert re.search(says, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_ideal_quality_in_single_precision_is_a_number(own: Any) -> None:
    assert type(judge(own(ideal=lambda: np.float32(0.75)), ANSWERS).ideal()) is float


BOXES = [{"boxes": [[0, 0, 9, 9], [20, 20, 50, 50]], "labels": [1, 2], "scores": [0.9, 0.4]}, {"boxes": [], "labels": [], "scores": []}]
TRUTH = [{"boxes": [[0, 0, 9, 8], [20, 20, 50, 45]], "labels": [1, 2]}, {"boxes": [[5, 5, 200, 200]], "labels": [1]}]


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if "f1:" in metric or "detection:" in metric])
def test_metrics_of_ours_keep_what_is_asked_of_the_user_s(name: str) -> None:
    answers = Answers(BOXES, TRUTH) if name.startswith("map") else Answers(["a", "b", None, "b"], ["a", "b", "a", "a"])
    asked = AskedMetric(name)
    asked.is_ours = False
    judged = asked.call("judge", asked.metric, answers)
    assert on_scale(asked, judged, len(answers.predictions)).ideal() == judged.ideal()


def test_a_trial_is_failed_by_its_metric_and_not_by_its_answers(own: Any, build: Callable[..., TrialData]) -> None:
    samples = pa.table({"prediction": [1, 2], "reference": [1, 2]})
    trial = build("cpu", np.full((3, 2), 5.0)).record.trial
    with pytest.raises(MetricBroken, match=r"^metric mine: .* raised ValueError: no"):
        judge_samples(samples, [own(raises(ValueError("no")))], trial)


def test_trials_that_it_can_judge_are_reported(own: Any, build: Callable[..., TrialData]) -> None:
    def score(answers: Answers) -> Any:
        return np.ones(len(answers.predictions)) if len(answers.predictions) == 4 else 1 / 0

    times = np.random.default_rng(0).lognormal(size=(30, 5))
    names = own(score), "top1"
    trials = [build("one", times[:, :4], metrics=names), build("two", times, metrics=names), build("three", times, metrics=names[::-1])]
    judged, why = judgeable(trials)
    assert [(data.record.trial.system.name, data.record.metrics) for data in judged] == [("one", names), ("three", ("top1",))]
    assert list(why) == [trials[1].trial_id, trials[2].trial_id]
    assert all("raised ZeroDivisionError: division by zero (test_own_metrics.py" in reason for reason in why.values()), why
    with pytest.raises(InputError, match="ZeroDivisionError"):
        judgeable(trials[1:2])
    campaign: Any = SimpleNamespace(trials=(), left_out=())
    results = CampaignAnalysis(campaign, (), AnalysisConfig(), (), {}, unjudged=why)
    assert [table.rows for table in problem_tables(results)] == [[[trial_id, reason] for trial_id, reason in why.items()]]
    assert results.unjudged
