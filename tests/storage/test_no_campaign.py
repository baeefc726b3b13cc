from pathlib import Path

from refusals import refused

from orchestrator.storage.reader import refuse_no_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter


def test_a_path_that_is_no_campaign_is_refused_with_those_nearby(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for time in ("2026-03-02T09-00-00Z", "2026-03-06T09-00-00Z"):
        CampaignWriter.create(results / "vision" / time, CampaignRecord(code_version="1", name="vision"), latest=True).close()
    refuse_no_campaign(results / "latest")
    for path, near in (
        (results / "vision" / "2026-03-06T09-00-01Z", "2026-03-06T09-00-00Z"),
        (results / "vision", f"({results}/vision/2026-03-06T09-00-00Z, "),
        (results, f"{results}/latest"),
        (results / "latest" / "campaign.json", ""),
        (results / "nothing" / "here", ""),
    ):
        with refused("not_found", value=path) as caught:
            refuse_no_campaign(path)
        assert near in str(caught.value)
