from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import line

SHORT = ["measurement.rule=rounds", "measurement.min_rounds=5", "measurement.max_rounds=5", "cluster=inline", "results_dir=r"]


@pytest.fixture
def words(null_words: list[str]) -> list[str]:
    return [*(word for word in null_words if word != "model=echo"), "model=leaving", *SHORT]


@pytest.mark.parametrize("how", ["exit", "base"])
@pytest.mark.parametrize("where", ["load", "infer"])
def test_it_fails_its_trial_and_the_other_one_is_measured(
    call: Callable[..., Any], words: list[str], tmp_path: Path, where: str, how: str
) -> None:
    answer = call(*words, f"model.how={how}", "-m", f"model.where={where},nowhere")
    assert answer.code == 1, answer.err
    assert "Traceback" not in answer.err
    failed, done = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert (failed["state"], done["state"]) == ("failed", "done")
    assert ("SystemExit: 0" if how == "exit" else "Abort: enough") in failed["reason"]
    assert "(leaving_targets.py, line " in failed["reason"]


@pytest.mark.parametrize("where", ["check", "files"])
def test_before_anything_is_measured_it_is_one_line(call: Callable[..., Any], words: list[str], tmp_path: Path, where: str) -> None:
    answer = call(*words, f"model.where={where}")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "SystemExit: 0 (leaving_targets.py, line " in answer.err
    assert not (tmp_path / "r").exists()


def test_what_leaves_elsewhere_is_no_success(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(words: list[str]) -> int:
        raise SystemExit(0)

    monkeypatch.setattr(line, "run", leave)
    answer = call("plan")
    assert answer.code == 1
    assert "asked to end the program (SystemExit: 0)" in answer.err
