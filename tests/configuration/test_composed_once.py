"""Hydra composes every choice of groups once; what comes out is what it makes of every trial on its own."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from by_hydra import by_hydra
from hydra import compose
from omegaconf import DictConfig

from orchestrator.configuration import composer
from orchestrator.configuration.composition import compose_trials

pytestmark = pytest.mark.slow

NULL = ["model=echo", "task=numbers"]


@pytest.mark.parametrize(
    "axes",
    [
        {"model.sleep_ms": ["1", "2"], "measurement.max_seconds": ["${model.sleep_ms}", "null"]},
        {"model.wrong": ["[1]", "[]", "[${model.sleep_ms}]"], "model.sleep_ms": ["3", "text", "'a,b'"]},
        {"system.labels": ["{a: b}", "{c: d}"], "system.labels.a": ["q", "r"], "system.cores": ["[0,1]", "1", "null"]},
        {"runtime": ["torch", "torch_compile"], "runtime.programs": ["{cpu: [cc]}", "{cuda: [nvcc]}"]},
        {"system": ["cpu_all", "cpu_1core"], "system.threads": ["2"], "task.limit": ["3", "4"]},
    ],
)
def test_values_are_set_as_hydra_sets_them(axes: Mapping[str, Sequence[str]]) -> None:
    support = Path(__file__).parents[1] / "support" / "conf"
    words = [*NULL, *(f"{key}={','.join(values)}" for key, values in axes.items())]
    documents = compose_trials(words, multirun=True, config_dirs=[support]).documents
    rows = [[f"{key}={value}" for key, value in zip(axes, row, strict=True)] for row in itertools.product(*axes.values())]
    assert list(documents) == [by_hydra([*NULL, *row], [support]) for row in rows]


def test_trials_that_share_their_groups_share_one_composition(own_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def counted(name: str, overrides: list[str], **options: Any) -> DictConfig:
        asked.append(overrides)
        return compose(name, overrides, **options)

    monkeypatch.setattr(composer, "compose", counted)
    words = ["model=alpha,beta", "task=first", "task.count=range(0,30)"]
    documents = compose_trials(words, multirun=True, config_dirs=[own_conf]).documents
    assert [document["task"]["count"] for document in documents] == [*range(30), *range(30)]
    assert len(asked) == 2
