"""Every shipped sweep is composed once, and its trials are what Hydra makes of each of them."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
import yaml
from by_hydra import by_hydra

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import Composition, compose_trials
from orchestrator.configuration.config import parse_trial
from orchestrator.configuration.sweep import combinations, parse_sweep

pytestmark = pytest.mark.slow

SWEEPS = sorted((shipped_folder() / "sweep").rglob("*.yaml"))


@cache
def composed(name: str) -> Composition:
    return compose_trials([f"+sweep={name}"])


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_composes_to_what_hydra_makes_of_its_trials(path: Path) -> None:
    """Of each sweep its first trial, its last, and one between."""
    sweep = parse_sweep(yaml.safe_load(path.read_text()))
    rows, _ = combinations({key: tuple(text.split(",")) for key, text in sweep.axes.items()}, sweep.pair, sweep.exclude)
    assert composed(path.stem).name == path.stem
    documents = composed(path.stem).documents
    assert len(documents) == len(rows)
    for document in documents:
        parse_trial(document)
    for place in {0, random.Random(len(rows)).randrange(len(rows)), len(rows) - 1}:
        assert documents[place] == by_hydra([*sweep.settings, *(f"{key}={value}" for key, value in rows[place].items())])


def test_the_vision_sweep_is_two_models_on_two_systems_in_two_runtimes() -> None:
    trials = [parse_trial(document) for document in composed("vision").documents]
    assert len({(trial.model.name, trial.system.name, trial.runtime.name) for trial in trials}) == len(trials) == 8
    assert {trial.task.name for trial in trials} == {"imagenet_samples"}
    assert all(trial.measurement.max_seconds is not None for trial in trials)


def test_the_quick_sweep_is_one_model_on_one_core_in_two_runtimes_without_ray() -> None:
    documents = composed("quick").documents
    trials = [parse_trial(document) for document in documents]
    assert {document["cluster"]["name"] for document in documents} == {"inline"}
    assert [(trial.model.name, trial.system.name, trial.runtime.name) for trial in trials] == [
        ("efficientnet_lite0", "cpu_1core", "torch"),
        ("efficientnet_lite0", "cpu_1core", "onnxruntime"),
    ]
    assert {(trial.measurement.rule, trial.measurement.min_rounds, trial.measurement.max_rounds) for trial in trials} == {("rounds", 4, 4)}


def test_the_plan_of_the_small_sweep_says_who_makes_its_hosts() -> None:
    notes = composed("paper_small").notes
    assert len(notes) == 32
    assert all("the four that `make study` makes" in note for note in notes)
