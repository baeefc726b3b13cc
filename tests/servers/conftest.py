from collections.abc import Callable
from pathlib import Path

import null_trials
import pytest

from orchestrator.storage.reader import Campaign


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path) -> Callable[..., Campaign]:
    """Measure trials, each a document, into a new folder."""
    return lambda *documents: null_trials.measure(tmp_path / "results", null_trials.planned(*documents))
