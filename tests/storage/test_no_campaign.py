"""What is said of a path that is no campaign's directory, and which one it sends to."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.storage.reader import refuse_no_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two campaigns as they lie on a disk, one with a folder of a trial."""
    folder = tmp_path / "results"
    for time in ("2026-03-02T09-00-00Z", "2026-03-06T09-00-00Z"):
        CampaignWriter.create(folder / "vision" / time, CampaignRecord(code_version="1", name="vision"), latest=True).close()
    (folder / "vision" / "2026-03-06T09-00-00Z" / "trials" / "a-r0" / "timings").mkdir(parents=True)
    return folder


def told(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        refuse_no_campaign(path)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix(f"{path} ")


def test_a_campaign_is_not_refused(results: Path) -> None:
    refuse_no_campaign(results / "latest")


def test_a_missing_folder_names_the_nearest_campaign(results: Path) -> None:
    assert told(results / "vision" / "2026-03-06T09-00-01Z").startswith(
        "is not there: name the directory of a campaign, such as results/latest; did you mean 2026-03-0"
    )
    assert told(results / "nothing" / "here") == "is not there: name the directory of a campaign, such as results/latest"


def test_a_folder_above_names_the_campaigns_below(results: Path) -> None:
    vision = results / "vision"
    both = f"{vision}/2026-03-06T09-00-00Z, {vision}/2026-03-02T09-00-00Z"
    assert told(vision) == f"holds no campaign.json itself: name one of the campaigns below it ({both})"
    assert f"below it ({both}, {results}/latest)" in told(results)
    assert f"({both}, {results}/latest)" in told(results.parent)


def test_a_file_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        assert told(path) == "holds no campaign.json: name the directory of a campaign, such as results/latest"
