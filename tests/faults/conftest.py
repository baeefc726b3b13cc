from pathlib import Path

import fake_clock_campaign
import pytest

from orchestrator.subject.targets import code_of_its_own


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign on a fake clock that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "results"
    with code_of_its_own():
        fake_clock_campaign.main(folder)
    return folder
