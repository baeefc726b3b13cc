from pathlib import Path

import pytest
from program import orchestrator
from small_campaign import measure_small

REQUIREMENTS = """
requirements:
  - {id: Q-1, text: Nearly all is kept within a second, tail_quality: {threshold: "1000 ms", at_least: 0.5}}
  - {id: Q-2, text: Answers are there at once, cold_start: {within: 1 ms, share_of_starts: 0.99}}
"""


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small measured campaign."""
    return measure_small(tmp_path_factory.mktemp("measured") / "campaign")


@pytest.fixture(scope="session")
def bundle(campaign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of it with requirements."""
    folder = tmp_path_factory.mktemp("bundled")
    (folder / "requirements.yaml").write_text(REQUIREMENTS)
    done = orchestrator("bundle", campaign, "evidence.tar.zst", "--requirements", "requirements.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "evidence.tar.zst"
