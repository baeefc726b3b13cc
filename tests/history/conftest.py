from __future__ import annotations

from pathlib import Path

import pytest
from small_campaign import measure_small

from orchestrator.commands.report import store_report
from orchestrator.storage.reader import open_campaign


def measured(directory: Path, day: int = 1, repeat: int = 1) -> Path:
    """Measure a small campaign and report it."""
    measure_small(directory, day=day, repeat=repeat)
    store_report(directory, open_campaign(directory).record.config.analysis)
    return directory


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reported campaign that others are made like."""
    return measured(tmp_path_factory.mktemp("source") / "campaign")
