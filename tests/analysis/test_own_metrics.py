"""What a user's own metric does, the program survives and other metrics do not notice; what it returns is quality, or one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import orchestrator
from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.own_metrics import AskedMetric, MetricBroken, OwnJudged
from orchestrator.analysis.quality import judge
from orchestrator.analysis.trial_data import TrialData, judgeable
from orchestrator.commands.report import exit_code
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
        monkeypatch.setitem(METRICS, "mine", type("Mine", (), {"name": "mine", **asked, **attributes}))
        return "mine"

    return made


def sorts(times: Any, thresholds: Any) -> Any:
    times.sort(axis=0)
    return shares(times, thresholds)


def doubles(times: Any, thresholds: Any) -> Any:
    thresholds *= 2
    return shares(times, thresholds)


@pytest.mark.parametrize("writes", [sorts, doubles])
def test_times_and_thresholds_cannot_be_written(own: Any, writes: Any) -> None:
    with pytest.raises(
        MetricBroken, match=rf"^metric mine: .* read-only \({Path(__file__).name}, line \d+, in {writes.__name__}\); let it"
    ):
        judge(own(curve=writes), ANSWERS)


def test_times_are_read_only_where_they_are_shown_and_stay_the_program_s_own(own: Any) -> None:
    times = np.array([[3.0, 1.0, 2.0, 4.0]])
    judge(own(), ANSWERS).curve(times, [2.0])
    assert times.flags.writeable


def test_no_metric_sees_what_another_one_has_made_of_the_answers(own: Any) -> None:
    def spoils(answers: Answers) -> Any:
        for prediction, reference in zip(answers.predictions, answers.references, strict=True):
            prediction[0], reference[0] = 0, 0
        answers.predictions[:] = answers.references[:] = [None] * 4  # type: ignore[index]
        answers.slices["group"][:] = ["c"] * 4  # type: ignore[index]
        return RIGHT

    before = repr(ANSWERS)
    judge(own(spoils), ANSWERS)
    assert repr(ANSWERS) == before


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
        ({"score": raises(KeyError("words"))}, r"score raised KeyError: 'words' \(.*, in raising\); repair the metric, or name another"),
        ({"score": raises(SystemExit(0))}, r"raised SystemExit: 0 \("),
        ({"score": lambda answers: None}, r"returned NoneType \(.*\); it must return numbers"),
        ({"score": lambda answers: [[1], [1, 2]]}, "returned what is no array"),
        ({"score": lambda answers: RIGHT[:, None]}, r"returned float64 of shape \(4, 1\) \(.*\); it must return 4 numbers, one a sample"),
        ({"score": lambda answers: RIGHT * np.nan}, r"returned nan \(.*\); scores must be finite"),
        ({"score": lambda answers: RIGHT * 1e300}, r"returned 1e\+300 \(.*\); the largest must be 0, or from 1e-30 to 1e\+15"),
        ({"score": lambda answers: RIGHT * 1e-300}, r"returned 1e-300 \("),
        ({"score": lambda answers: np.ma.masked_array(RIGHT, RIGHT == 0)}, r"returned a masked array \(.*\); its mask would be lost"),
        ({"score": lambda answers: RIGHT, "late": np.inf}, "late=inf: must be a finite number"),
        ({"score": lambda answers: RIGHT, "late": property(raises(OSError("gone")))}, "late raised OSError: gone"),
        ({"judge": lambda self, answers: None}, r"judge returned NoneType \(.*\); it must return an object with ideal\(\) and curve"),
        ({"ideal": lambda: np.array([0.75])}, r"returned float64 of shape \(1,\)"),
        ({"ideal": lambda: -np.inf}, "returned -inf .*; it must return a finite number"),
        ({"curve": lambda times, thresholds: shares(times, thresholds).T}, r"shape \(3, 2\) .*; it must return shape \(2, 3\)"),
        ({"curve": lambda times, thresholds: shares(times, thresholds) / 0}, "curve returned (inf|nan) "),
        ({"curve": lambda times, thresholds: 3 * shares(times, thresholds)}, r"returned 2.25 where every answer is on time .*; it must be 0.75"),
        ({"curve": lambda times, thresholds: shares(times, thresholds) * 0.3}, "returned 0.225 where every answer is on time"),
        ({"curve": lambda times, thresholds: shares(times, thresholds).clip(0.1)}, "returned 0.1 where every answer is late .*; it must be 0,"),
        ({"curve": lambda times, thresholds: shares(times, thresholds), "late": 9.0}, "returned 0 where every answer is late .* must be 9,"),
        ({"curve": lambda times, thresholds: shares(times / 1e6, thresholds)}, "returned 0.75 where every answer is late"),
        ({"curve": lambda times, thresholds: shares(times, thresholds - 1)}, "returned 0 where every answer is on time"),
        ({"ideal": lambda: np.nan}, "curve returned 0.0 .*; it must be NaN, as ideal"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_no_quality_is_one_line(own: Any, functions: dict[str, Any], says: str) -> None:
    with pytest.raises(MetricBroken, match=r"^metric mine: ") as caught:
        judge(own(**functions), ANSWERS)
    assert re.search(says, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_a_curve_that_says_something_else_each_time_is_refused(own: Any) -> None:
    random = np.random.default_rng(0)
    with pytest.raises(MetricBroken, match=r"and then .* for the same times \(.*\); it must depend on nothing but times and thresholds"):
        judge(own(curve=lambda times, thresholds: shares(times, thresholds) * random.random()), ANSWERS)


def test_ideal_quality_in_single_precision_is_a_number(own: Any) -> None:
    assert type(judge(own(ideal=lambda: np.float32(0.75)), ANSWERS).ideal()) is float


def test_a_metric_leaves_how_numpy_handles_errors(own: Any) -> None:
    before = np.geterr()
    judge(own(lambda answers: np.seterr(all="raise") and RIGHT), ANSWERS)
    assert np.geterr() == before


BOXES = [{"boxes": [[0, 0, 9, 9], [20, 20, 50, 50]], "labels": [1, 2], "scores": [0.9, 0.4]}, {"boxes": [], "labels": [], "scores": []}]
TRUTH = [{"boxes": [[0, 0, 9, 8], [20, 20, 50, 45]], "labels": [1, 2]}, {"boxes": [[5, 5, 200, 200]], "labels": [1]}]


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if hasattr(metric, "judge")])
def test_metrics_of_ours_keep_what_is_asked_of_the_user_s(name: str) -> None:
    asked = AskedMetric(name)
    answers = Answers(BOXES, TRUTH) if name.startswith("map") else Answers(["a", "b", None, "b"], ["a", "b", "a", "a"])
    OwnJudged(asked, asked.judge(answers), len(answers.predictions))


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
    assert all(reason.startswith("metric mine: score raised ZeroDivisionError") for reason in why.values()), why
    with pytest.raises(InputError, match="ZeroDivisionError"):
        judgeable(trials[1:2])
    campaign: Any = SimpleNamespace(trials=(), left_out=())
    results = CampaignAnalysis(campaign, (), AnalysisConfig(), (), {}, unjudged=why)
    assert [table.rows for table in problem_tables(results)] == [[[trial_id, reason] for trial_id, reason in why.items()]]
    assert exit_code(results) == 1


def test_metrics_are_asked_in_one_place() -> None:
    kept = re.compile(r"= find_metric\(|find_metric\([^)]*\)\.")
    files = (path for path in Path(orchestrator.__file__).parent.rglob("*.py") if path.parent.name != "metrics")
    assert {path.name for path in files if kept.search(path.read_text())} == {"own_metrics.py"}
