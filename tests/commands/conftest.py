from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.__main__ import main

SUPPORT = Path(__file__).parents[1] / "support"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run one command line in this process, in an empty folder, with the null model and task at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*words: str) -> Answer:
        code = main(words)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def null_words(null_targets: Path) -> list[str]:
    """Words that choose the null model and the task of twenty numbers."""
    return ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "task=numbers"]
