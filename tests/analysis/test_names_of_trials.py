"""Which settings name trials that are called alike; when a trial ends is none of them where another setting tells them apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.analysis.groups import telling_settings
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_trial

ONE = ["model=efficientnet_lite0", "task=imagenet_samples", "system=cpu_1core", "runtime=torch", "load=poisson", "load.rate_per_s=10"]


def names(*overrides: str, multirun: bool = False) -> list[str]:
    documents = compose_trials(list(overrides), multirun=multirun).documents
    trials = [
        cast(TrialData, SimpleNamespace(trial_id=str(number), record=SimpleNamespace(trial=cast(Any, parse_trial(document)))))
        for number, document in enumerate(documents)
    ]
    return list(telling_settings(trials).values())


def test_a_rate_alone_names_trials_whose_rounds_differ_with_it() -> None:
    found = names("+sweep=rates")
    assert found == [f"load.rate_per_s={float(rate)}" for rate in (10, 20, 30, 60)]


def test_a_policy_alone_names_them() -> None:
    assert names("+sweep=camera") == ["load.policy=queue", "load.policy=newest"] * 2


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("measurement.min_rounds", (5, 6)),
        ("measurement.max_rounds", (500, 600)),
        ("measurement.max_seconds", (5.0, 6.0)),
        ("measurement.rule", ("settled", "certify")),
    ],
)
def test_when_a_trial_ends_names_it_where_nothing_else_does(key: str, values: tuple[object, object]) -> None:
    swept = f"{key}={values[0]},{values[1]}"
    assert names(*ONE, swept, multirun=True) == [f"{key}={value}" for value in values]
    pairs = names(*ONE[:-1], "load.rate_per_s=10,20", swept, multirun=True)
    assert len(set(pairs)) == 4, "a rate alone leaves two trials of one name"


def test_loads_of_several_laws_are_named_by_their_words() -> None:
    laws = [
        ("load=poisson", "load.rate_per_s=60"),
        ("load=gamma", "load.rate_per_s=60", "load.policy=skip_late", "load.deadline_ms=20", "load.queue_limit=3"),
        ("load=periodic", "load.rate_per_s=60", "load.group=3", "load.policy=newest"),
        ("load=periodic", "load.rate_per_s=60", "load.group=3", "load.policy=newest", "load.seed=1"),
    ]
    trials = [
        cast(
            TrialData,
            SimpleNamespace(trial_id=str(number), record=SimpleNamespace(trial=parse_trial(compose_trials([*ONE[:4], *law]).documents[0]))),
        )
        for number, law in enumerate(laws)
    ]
    periodic = "periodic 60/s in groups of 3 newest"
    assert list(telling_settings(trials[:3]).values()) == [
        "poisson 60/s", "gamma 60/s burstiness 0.5 skip_late after 20 ms, 3 wait at most", periodic,
    ]  # fmt: skip
    assert list(telling_settings(trials).values())[2:] == [f"{periodic}, load.seed=0", f"{periodic}, load.seed=1"], (
        "words do not tell these apart"
    )
