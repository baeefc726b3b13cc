"""Metrics whose late answers have a score of their own: a smaller one is better, or nothing bounds them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, results_of, rows_made
from numpy.typing import NDArray

from orchestrator.analysis.ranking import ranking
from orchestrator.analysis.table import check_intervals, tables
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.metrics import METRICS, Answers

LATE = 10.0
ERRORS = np.array([0.0, 1.0, 2.0, 3.0, 12.0, 4.0])
"""One answer is worse than none."""
KIND = ERRORS.clip(max=6)


class Error:
    """Mean absolute error; a late answer counts as 10 off."""

    name = "error"
    late = LATE

    def score(self, answers: Answers) -> NDArray[np.float64]:
        return ERRORS[: len(answers.predictions)]


class KindError(Error):
    name = "kind_error"

    def score(self, answers: Answers) -> NDArray[np.float64]:
        return KIND[: len(answers.predictions)]


class Rms:
    """Root of the mean square of errors, which is no mean."""

    name = "rms"
    late = LATE

    def judge(self, answers: Answers) -> Any:
        class Judged:
            def ideal(self) -> float:
                return float(np.sqrt((ERRORS**2).mean()))

            def curve(self, times: Any, thresholds: Any) -> NDArray[np.float64]:
                on_time = np.asarray(times)[None] <= np.asarray(thresholds)[:, None, None]
                return np.sqrt((np.where(on_time, ERRORS, LATE) ** 2).mean(axis=2))

        return Judged()


EXPECTED: dict[str, Callable[[NDArray[np.bool_]], NDArray[np.float64]]] = {
    "error": lambda on_time: np.where(on_time, ERRORS, LATE).mean(axis=1),
    "kind_error": lambda on_time: np.where(on_time, KIND, LATE).mean(axis=1),
    "rms": lambda on_time: np.sqrt((np.where(on_time, ERRORS, LATE) ** 2).mean(axis=1)),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in (Error, KindError, Rms):
        monkeypatch.setitem(METRICS, metric.name, f"{__name__}:{metric.__name__}")


def make(metric: str, system: str = "one", slower: float = 1.0) -> TrialData:
    times = slower * np.random.default_rng(3).lognormal(0, 0.3, (40, ERRORS.size)) * 10
    return build_trial(system, times, metrics=(metric,))


@pytest.mark.parametrize("metric", EXPECTED)
def test_every_figure_is_the_metric_with_late_answers_scored_as_it_says(metric: str) -> None:
    data = make(metric)
    analysis = AnalysisConfig(thresholds_ms=(5, 9, 12, 20))
    rows = rows_made("tail_quality", [data], analysis, ())
    check_intervals("tail_quality", tables()["tail_quality"].columns, rows)
    rows = [row for row in rows if row["clock"] == "total" and row["threshold_origin"] == "absolute"]
    assert len(rows) > 3
    for row in rows:
        quality = EXPECTED[metric](data.times["total"] <= row["threshold_ns"])  # type: ignore[index]
        ideal = EXPECTED[metric](np.ones((1, ERRORS.size), dtype=bool))[0]
        assert (row["ideal"], row["mean"], row["worst"]) == pytest.approx((ideal, quality.mean(), quality.max()))
        assert row["interval_low"] <= row["mean"] <= row["interval_high"]
        assert row["interval_high"] - row["interval_low"] < 10
        assert row["p10"] is None or row["p10"] == pytest.approx(np.quantile(quality, 0.9, method="higher"), abs=1.5)


@pytest.mark.parametrize("metric", ["kind_error", "rms"])
def test_a_deadline_keeps_its_share_of_what_there_is_to_keep(metric: str) -> None:
    data = make(metric)
    [row, *_] = rows_made("deadline", [data], flags=())
    ideal = EXPECTED[metric](np.ones((1, ERRORS.size), dtype=bool))[0]
    assert row["reference_quality"] == pytest.approx(ideal)
    assert row["floor"] == pytest.approx(LATE - 0.99 * (LATE - ideal))
    kept = EXPECTED[metric](data.times["inference"] <= row["observed_ns"]) <= row["floor"] + 1e-9  # type: ignore[index]
    assert kept.mean() >= 0.9


def test_the_better_system_is_the_one_with_the_smaller_error() -> None:
    trials = [make("kind_error", "slow", 2.0), make("kind_error", "fast")]
    analysis = AnalysisConfig(primary="12 ms")
    results = results_of(trials, analysis, "tail_quality")
    assert [one.names["system"] for one in ranking(results, results.groups[0]).found] == ["fast", "slow"]


def test_answers_that_are_worth_what_late_ones_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Error, "late", float(ERRORS.mean()))
    with pytest.raises(InputError):
        make("error").judged("error")
