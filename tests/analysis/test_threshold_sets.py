from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from orchestrator.analysis.groups import check_names, disagreements, threshold_set
from orchestrator.analysis.quality import answers_at_stake, judge
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.metrics import Answers


def trial(name: str, ms: float, state: str = "done", predictions: tuple[int, ...] = (1, 2)) -> TrialData:
    times = np.full((20, 2), ms * 1e6) + np.arange(40).reshape(20, 2) * 1e3
    task = SimpleNamespace(name="task")
    model = SimpleNamespace(name="model", stands_for="model")
    record = SimpleNamespace(
        trial_id=f"{name}-r0",
        match_key=name,
        state=state,
        trial=SimpleNamespace(task=task, model=model, load=LoadConfig()),
        digests={"data": "d"},
    )
    clocks = {"inference": times, "total": times}
    return TrialData(cast(Any, record), clocks, clocks, [1, 2], list(predictions), {}, np.array([1, 1]), 0)


def test_the_reference_is_the_trial_with_the_median_p50() -> None:
    found = threshold_set([trial("slow", 30), trial("fast", 5), trial("middle", 10)], AnalysisConfig(seed=0))
    assert found.reference is not None
    assert found.reference.trial == "middle-r0"
    assert [threshold.label for threshold in found.percentiles["total"]] == ["p90", "p95", "p99", "p99.9"]
    assert found.primary == found.percentiles["total"][1]
    assert [threshold.label for threshold in found.absolute] == ["5 ms", "10 ms", "20 ms"]


def test_a_failed_trial_is_no_reference() -> None:
    found = threshold_set([trial("slow", 30), trial("fast", 5), trial("middle", 10, "failed")], AnalysisConfig(seed=0))
    assert found.reference is not None
    assert (found.reference.trial, found.reference.instead_of) == ("slow-r0", "middle-r0")


def test_the_user_chooses_reference_primary_and_thresholds() -> None:
    analysis = AnalysisConfig(seed=0, reference="fast", primary="7 ms", thresholds_ms=(6.5,))
    found = threshold_set([trial("fast", 5), trial("slow", 30)], analysis)
    assert found.reference is not None
    assert found.reference.trial == "fast-r0"
    assert "6.5 ms" in {threshold.label for threshold in found.absolute}
    assert found.primary is not None
    assert found.primary in found.common("total")
    assert found.primary not in found.common("inference")


def test_a_reference_that_is_no_trial_is_refused() -> None:
    with pytest.raises(InputError, match=r"analysis\.reference=x: no such trial; there is fast-r0"):
        check_names([trial("fast", 5)], AnalysisConfig(reference="x"))


def test_systems_that_answer_differently_are_counted() -> None:
    [found] = disagreements([trial("a", 5), trial("b", 5), trial("c", 5, predictions=(1, 9))])
    assert (found.first, found.other, found.samples, found.out_of) == ("a-r0", "c-r0", 1, 2)


def test_a_mean_metric_is_judged_once_for_all_thresholds() -> None:
    answers = Answers(predictions=[[1], [2], [3]], references=[1, 2, 9])
    judged = judge("top1", answers)
    assert judged.ideal() == pytest.approx(2 / 3)
    assert answers_at_stake(judged, 3) == pytest.approx(2)
    np.testing.assert_allclose(judged.curve([[10.0, 20.0, 30.0]], [15, 25])[:, 0], [1 / 3, 2 / 3])
