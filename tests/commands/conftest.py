from pathlib import Path

import pytest
from program import NULL, Call, orchestrator


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run one command line in this process, in an empty folder at first."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: orchestrator(*words, cwd=Path.cwd())


@pytest.fixture
def null_words() -> list[str]:
    """Words that choose the null model and the task of twenty numbers."""
    return [*NULL, "model=echo"]
