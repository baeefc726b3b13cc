from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import Composition, compose_trials, override_analysis
from orchestrator.configuration.config import parse_campaign, parse_trial
from orchestrator.contracts import Code

Write = Callable[[str, str], Path]


def compose(folder: Path, *overrides: str, **options: Any) -> Composition:
    return compose_trials(overrides, config_dirs=[folder], **options)


def names(composition: Composition) -> list[tuple[str, str, int]]:
    return [(each["model"]["name"], each["task"]["name"], each["measurement"]["batch"]) for each in composition.documents]


def test_one_trial_is_plain_data_with_every_default(own_conf: Path) -> None:
    composition = compose(own_conf, "model=alpha", "task=first")
    assert (composition.name, composition.sweep, composition.excluded) == ("single", None, 0)
    (document,) = composition.documents
    trial = parse_trial(document)
    assert trial.model.options == {"path": None, "nested": {}}
    assert trial.task.options == {"count": 20}
    assert (trial.system.name, trial.runtime.name, trial.measurement.min_rounds) == ("cpu_all", "torch", 30)
    assert parse_campaign(document).cluster.name == "local"
    assert "hydra" not in document


def test_multirun_is_the_product_in_the_order_of_the_command_line(own_conf: Path) -> None:
    composition = compose(own_conf, "model=alpha,beta", "task=first", "measurement.batch=range(1,3)", multirun=True)
    assert composition.name == "multirun"
    assert names(composition) == [("alpha", "first", 1), ("alpha", "first", 2), ("beta", "first", 1), ("beta", "first", 2)]


def test_lists_are_values_and_not_sweeps(own_conf: Path) -> None:
    (document,) = compose(own_conf, "model=alpha", "task=first", "system.cores=[0,1]", "analysis.thresholds_ms=[5,7.5]").documents
    assert document["system"]["cores"] == [0, 1]
    assert document["analysis"]["thresholds_ms"] == [5, 7.5]


def test_multirun_and_a_sweep_file_are_the_same(own_conf: Path, write: Write) -> None:
    write("sweep/pairs", "axes: {model: 'alpha,beta', task: 'first,second'}\nset: [measurement.max_seconds=3]\n")
    by_file = compose(own_conf, "+sweep=pairs")
    by_hand = compose(own_conf, "model=alpha,beta", "task=first,second", "measurement.max_seconds=3", multirun=True)
    assert by_file.documents == by_hand.documents
    assert (by_file.name, by_hand.name) == ("pairs", "multirun")
    assert by_file.sweep == {"axes": {"model": "alpha,beta", "task": "first,second"}, "set": ["measurement.max_seconds=3"]}
    assert by_file.overrides == ("+sweep=pairs",)


def test_precedence_is_set_then_axes_then_command_line(own_conf: Path, write: Write) -> None:
    write(
        "sweep/s",
        "axes: {model: 'alpha,beta', measurement.batch: '2,4'}\nset: [task=first, measurement.min_rounds=7, measurement.batch=9]\n",
    )
    (first, *_), others = (
        compose(own_conf, "+sweep=s").documents,
        compose(own_conf, "sweep=s", "measurement.min_rounds=8").documents,
    )
    assert (first["measurement"]["batch"], first["measurement"]["min_rounds"]) == (2, 7)
    assert {each["measurement"]["min_rounds"] for each in others} == {8}


BOTH = "axes: {model: 'alpha,beta', task: 'first,second'}\n"
PAIRED = f"{BOTH}pair: [[model, task]]\n"
ALONE = "axes: {model: alpha, task: first}\n"
LAWS = {
    "an override of an axis replaces it": [
        *((BOTH, ["+sweep=s", f"{sign}model=beta"], [("beta", "first", 1), ("beta", "second", 1)]) for sign in ("", "+", "++")),
        *((BOTH, [f"{sign}model=beta", "+sweep=s", "task=second"], [("beta", "second", 1)]) for sign in ("", "+", "++")),
    ],
    "a sweep file takes several values without -m": [
        (ALONE, ["+sweep=s", "model=beta,gamma"], [("beta", "first", 1), ("gamma", "first", 1)]),
        (ALONE, ["+sweep=s", "measurement.batch=1,2"], [("alpha", "first", 1), ("alpha", "first", 2)]),
    ],
    "pairs move together": [
        (PAIRED, ["+sweep=s"], [("alpha", "first", 1), ("beta", "second", 1)]),
        (PAIRED, ["+sweep=s", "model=beta"], [("beta", "second", 1)]),
    ],
    "of several overrides of one key the last counts": [
        (ALONE, ["model=alpha", "task=first", "model=beta", "measurement.batch=2", "measurement.batch=3"], [("beta", "first", 3)]),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("sweep", "words", "trials"), [pytest.param(*case, id=law) for law, cases in LAWS.items() for case in cases])
def test_the_trials_of_a_sweep(own_conf: Path, write: Write, sweep: str, words: list[str], trials: list[tuple[str, str, int]]) -> None:
    write("sweep/s", sweep)
    assert names(compose(own_conf, *words)) == trials


def test_exclusions_compare_values_as_the_grammar_reads_them(own_conf: Path, write: Write) -> None:
    write(
        "sweep/s",
        "axes: {model: 'alpha,beta', task: first, measurement.batch: '1,2', runtime.deterministic: 'true,false', system.cores: '[0,1],1'}\n"
        "exclude:\n"
        "  - {model: alpha, measurement.batch: [2]}\n"
        "  - {runtime.deterministic: false}\n"
        "  - {system.cores: '[0, 1]'}\n",
    )
    composition = compose(own_conf, "+sweep=s")
    assert names(composition) == [("alpha", "first", 1), ("beta", "first", 1), ("beta", "first", 2)]
    assert composition.excluded == 16 - 3
    assert all(each["runtime"]["deterministic"] is True and each["system"]["cores"] == 1 for each in composition.documents)


def test_known_keys_may_be_set_where_the_yaml_does_not_write_them(own_conf: Path, write: Write) -> None:
    write("system/tiny", "name: tiny\n")
    composition = compose(
        own_conf, "model=alpha", "model.classes=3", "task=first", "system=tiny", "system.threads=2", "system.labels.zone=a"
    )
    (document,) = composition.documents
    assert document["model"]["classes"] == 3
    assert document["system"] == {"name": "tiny", "threads": 2, "labels": {"zone": "a"}}


def test_analysis_keys_are_set_over_what_is_stored() -> None:
    stored = AnalysisConfig(thresholds_ms=(5.0,), seed=3)
    assert override_analysis(stored, []) == stored
    assert override_analysis(stored, ["analysis.thresholds_ms=[40]"]) == AnalysisConfig(thresholds_ms=(40.0,), seed=3)
    assert override_analysis(stored, ["analysis=default", "analysis.seed=4"]) == AnalysisConfig(seed=4)


@pytest.mark.parametrize(
    ("override", "code", "key"),
    [
        ("measurement.batch=4", "unsupported", "measurement.batch"),
        ("analysis.seeds=4", "unknown", "analysis.seeds"),
        ("analysis.seed=1,2", "conflict", "analysis.seed"),
        ("analysis.thresholds_ms=[-1]", "invalid", "analysis.thresholds_ms.0"),
        ("analysis.reference=${nope}", "invalid", None),
        ("analysis.frame_rates=[30,0]", "invalid", "analysis.frame_rates.1"),
        ("analysis.frame_rates=[]", "invalid", "analysis.frame_rates"),
        ("analysis.frame_policy=oldest", "invalid", "analysis.frame_policy"),
        ("analysis.late=skip", "invalid", "analysis.late"),
    ],
)
def test_other_keys_are_no_analysis(override: str, code: Code, key: str | None) -> None:
    with refused(code, key):
        override_analysis(AnalysisConfig(), [override])


@pytest.mark.parametrize("stored", ["${oc.env:HOME}", "\\\\${analysis.seed}", "${", "plain"])
def test_what_a_campaign_has_stored_is_no_expression(stored: str) -> None:
    assert override_analysis(AnalysisConfig(reference=stored), ["analysis.seed=3"]) == AnalysisConfig(reference=stored, seed=3)
