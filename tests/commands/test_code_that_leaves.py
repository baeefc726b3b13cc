from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHORT = ["measurement.rule=rounds", "measurement.min_rounds=5", "measurement.max_rounds=5", "cluster=inline", "results_dir=r"]


@pytest.fixture
def words(null_words: list[str]) -> list[str]:
    return [*(word for word in null_words if word != "model=echo"), "model=leaving", *SHORT]


SAID = {"exit": "SystemExit: 0", "base": "Abort: enough", "interrupt": "KeyboardInterrupt"}


@pytest.mark.parametrize(("where", "how"), [("load", "exit"), ("infer", "base"), ("load", "interrupt"), ("infer", "interrupt")])
def test_it_fails_its_trial_and_the_other_one_is_measured(
    call: Callable[..., Any], words: list[str], tmp_path: Path, where: str, how: str
) -> None:
    answer = call(*words, f"model.how={how}", "-m", f"model.where={where},nowhere")
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    failed, done = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert (failed["state"], done["state"]) == ("failed", "done")
    assert f"{SAID[how]} (leaving_targets.py, line " in failed["reason"]
