import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from null_trials import measure_by
from virtual_clock import NoisyClock
from visions import Campaigns, plan_trial

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.storage.files import write_results
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial


@pytest.fixture
def campaigns(null_targets: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Path]) -> Campaigns:
    """Measures a campaign on a fake clock, under a folder's name, and returns its directory, a copy of the test's own.

    Where ``paced`` the rounds too begin by that clock, so that a stopping rule checks after the same rounds every time.
    """

    def run(folder: str, trials: list[PlannedTrial], **options: object) -> Path:
        asked = repr(([trial.model_dump_json() for trial in trials], sorted(options.items())))
        if asked not in measured:
            measured[asked] = tmp_path_factory.mktemp("measured") / "campaign"
            measure(measured[asked], trials, **options)  # type: ignore[arg-type]
        return Path(shutil.copytree(measured[asked], tmp_path / folder, symlinks=True))

    return run


def measure(directory: Path, trials: list[PlannedTrial], day: int = 1, seed: int = 0, name: str = "vision", paced: bool = False) -> None:
    created = datetime(2026, 3, day, 12, 30, tzinfo=UTC)
    record = CampaignRecord(code_version="1.0", name=name, command=("+sweep=vision",), trials=tuple(trials), created_at=created)
    campaign = open_campaign(measure_by(NoisyClock(seed), directory, record, paced))
    write_results(directory, analyse(campaign, campaign.record.config.analysis).tables, {"report.md": ""})


@pytest.fixture
def monday(campaigns: Campaigns) -> Path:
    """A campaign of two models, 30 rounds of 20 numbers each."""
    return campaigns("monday", [plan_trial([3]), plan_trial([3, 7])])
