"""A stored campaign of two models, runtimes and systems with two repeats, drawn with known effects, and its study."""

from pathlib import Path

import pytest
from synthetic_study import Effects, synthetic_campaign

from orchestrator.storage.reader import open_campaign
from orchestrator.study.claims import read_criteria
from orchestrator.study.material import Material, read_material
from orchestrator.study.study import Study, make_study

EFFECTS = Effects(bursts={"two_cores": (0.06, 6.0)}, drift={"half_core": 0.3}, slope=0.1, process_sd=0.01)
"""Of two cores a few answers take long; half a core drifts, with the CPU time of other programs."""


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_campaign(tmp_path_factory.mktemp("study") / "campaign", EFFECTS, repeats=2, rounds=90, samples=12, seed=2)


@pytest.fixture(scope="session")
def material(stored: Path) -> Material:
    return material_of(stored)


@pytest.fixture(scope="session")
def study(material: Material) -> Study:
    return make_study(material)


def material_of(directory: Path) -> Material:
    campaign = open_campaign(directory)
    return read_material(campaign, campaign.record.config.analysis, read_criteria())
