"""Groups of trials: their reference and thresholds, equal answers, and the settings that name trials."""

import numpy as np
import pytest
from built_trials import build_trial

from orchestrator.analysis.groups import alike, check_names, disagreements, telling_settings, threshold_set
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_trial
from orchestrator.contracts import InputError


def trial(name: str, ms: float, right: int = 2) -> TrialData:
    return build_trial(name, ms + np.arange(40).reshape(20, 2) / 1e3, right=right)


def test_the_reference_is_the_trial_with_the_median_p50() -> None:
    found = threshold_set([trial("slow", 30), trial("fast", 5), trial("middle", 10)], AnalysisConfig(seed=0))
    assert found.reference.trial == "net-middle-r0"
    assert [threshold.label for threshold in found.percentiles["total"]] == ["p90", "p95", "p99", "p99.9"]
    assert found.primary == found.percentiles["total"][1]
    assert [threshold.label for threshold in found.absolute] == ["5 ms", "10 ms", "20 ms"]


def test_the_user_chooses_reference_primary_and_thresholds() -> None:
    analysis = AnalysisConfig(seed=0, reference="net-fast", primary="7 ms", thresholds_ms=(6.5,))
    found = threshold_set([trial("fast", 5), trial("slow", 30)], analysis)
    assert found.reference.trial == "net-fast-r0"
    assert "6.5 ms" in {threshold.label for threshold in found.absolute}
    assert found.primary in found.common("total")
    assert found.primary not in found.common("inference")


def test_a_reference_that_is_no_trial_is_refused() -> None:
    with pytest.raises(InputError):
        check_names([trial("fast", 5)], AnalysisConfig(reference="x"))


def test_systems_that_answer_differently_are_counted() -> None:
    [found] = disagreements([trial("a", 5), trial("b", 5), trial("c", 5, right=1)])
    assert (found.first, found.other, found.samples, found.out_of) == ("net-a-r0", "net-c-r0", 1, 2)


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (3, 3, True),
        (3, 4, False),
        ("A", "A", True),
        (None, "A", False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"labels": [1], "scores": [0.5]}, {"labels": [1], "scores": [0.5000001]}, True),
        ({"labels": [1], "scores": [0.5]}, {"labels": [1], "scores": [0.51]}, False),
        ({"labels": [1], "scores": [0.5]}, {"labels": [2], "scores": [0.5]}, False),
        ({"boxes": [[0.0, 1.0, 200.0, 3.0]]}, {"boxes": [[0.0001, 1.0, 200.1, 3.0]]}, True),
    ],
)
def test_answers_are_alike_to_within_rounding(mine: object, theirs: object, same: bool) -> None:
    assert alike(mine, theirs) is same
    assert alike(theirs, mine) is same


ONE = ["model=efficientnet_lite0", "task=imagenet_samples", "system=cpu_1core", "runtime=torch", "load=poisson", "load.rate_per_s=10"]


def names(*overrides: str, multirun: bool = False) -> list[str]:
    documents = compose_trials(list(overrides), multirun=multirun).documents
    return list(telling_settings({str(number): parse_trial(document) for number, document in enumerate(documents)}).values())


def test_a_rate_alone_names_trials_whose_rounds_differ_with_it() -> None:
    found = names("+sweep=rates")
    assert found == [f"load.rate_per_s={float(rate)}" for rate in (10, 20, 30, 60)]


@pytest.mark.parametrize(("key", "values"), [("measurement.max_seconds", (5.0, 6.0)), ("measurement.rule", ("settled", "certify"))])
def test_when_a_trial_ends_names_it_where_nothing_else_does(key: str, values: tuple[object, object]) -> None:
    swept = f"{key}={values[0]},{values[1]}"
    assert names(*ONE, swept, multirun=True) == [f"{key}={value}" for value in values]
    pairs = names(*ONE[:-1], "load.rate_per_s=10,20", swept, multirun=True)
    assert len(set(pairs)) == 4, "a rate alone leaves two trials of one name"
