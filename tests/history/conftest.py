from pathlib import Path

import pytest
from reported_campaign import reported


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reported campaign that others are made like."""
    return reported(tmp_path_factory.mktemp("source") / "campaign")
