"""Hydra composes every choice of groups once; what comes out is what it makes of every trial on its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from orchestrator.configuration import composer
from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.keys import is_schema_key
from orchestrator.configuration.sweep import combinations, parse_sweep

pytestmark = pytest.mark.slow

SWEEPS = sorted((shipped_folder() / "sweep").rglob("*.yaml"))
NULL = ["model=echo", "task=numbers"]


def by_hydra(settings: Sequence[str], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """What Hydra alone makes of one trial, every override given to it at once."""
    search = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders)}]"]
    last = dict(setting.split("=", 1) for setting in settings)
    overrides = [f"{'++' if is_schema_key(key) else ''}{key}={value}" for key, value in last.items()]
    with initialize_config_dir(str(shipped_folder()), version_base="1.3"):
        plain: dict[str, Any] = OmegaConf.to_container(compose("config", [*search, *overrides]), resolve=True)  # type: ignore[assignment]
    return plain


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_is_what_hydra_makes_of_each_trial(path: Path) -> None:
    sweep = parse_sweep(yaml.safe_load(path.read_text()))
    rows, _ = combinations({key: tuple(text.split(",")) for key, text in sweep.axes.items()}, sweep.pair, sweep.exclude)
    some = rows[:: max(1, len(rows) // 4)]
    documents = compose_trials([f"+sweep={path.stem}"]).documents
    assert len(documents) == len(rows)
    for row in some:
        expected = by_hydra([*sweep.settings, *(f"{key}={value}" for key, value in row.items())])
        assert documents[rows.index(row)] == expected


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


def test_no_trial_sees_the_values_of_another(own_conf: Path) -> None:
    words = ["model=alpha", "task=first", "system.labels={a: 1},{b: 2}", "model.path=x,null"]
    documents = compose_trials(words, multirun=True, config_dirs=[own_conf]).documents
    assert [(document["system"]["labels"], document["model"]["path"]) for document in documents] == [
        ({"a": 1}, "x"), ({"a": 1}, None), ({"b": 2}, "x"), ({"b": 2}, None)
    ]  # fmt: skip


def test_a_folder_of_code_beside_the_groups_is_no_group(own_conf: Path) -> None:
    (own_conf / "code").mkdir()
    (document,) = compose_trials(["model=alpha", "task=first", "code=[somewhere]"], config_dirs=[own_conf]).documents
    assert document["code"] == ["somewhere"]
