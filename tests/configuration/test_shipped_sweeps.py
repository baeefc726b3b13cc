"""Every shipped sweep is composed once, and its trials are what Hydra makes of each of them."""

import random
from pathlib import Path

import pytest
import yaml
from by_hydra import by_hydra

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import parse_trial
from orchestrator.configuration.sweep import combinations, parse_sweep

pytestmark = pytest.mark.slow

SWEEPS = sorted((shipped_folder() / "sweep").rglob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_composes_to_what_hydra_makes_of_its_trials(path: Path) -> None:
    """Of each sweep its last trial and one other."""
    sweep = parse_sweep(yaml.safe_load(path.read_text()))
    rows, _ = combinations({key: tuple(text.split(",")) for key, text in sweep.axes.items()}, sweep.pair, sweep.exclude)
    composition = compose_trials([f"+sweep={path.stem}"])
    documents = composition.documents
    assert (composition.name, len(documents)) == (path.stem, len(rows))
    for document in documents:
        parse_trial(document)
    for place in {random.Random(len(rows)).randrange(len(rows)), len(rows) - 1}:
        assert documents[place] == by_hydra([*sweep.settings, *(f"{key}={value}" for key, value in rows[place].items())])
