"""A campaign of many trials, every tenth of which is made to fail, reports exactly those."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from effort import EFFORT
from program import orchestrator

SUPPORT = Path(__file__).parents[1] / "support"
TRIALS = min(30 * EFFORT, 600)


@pytest.mark.slow
def test_exactly_the_planned_failures_are_reported(tmp_path: Path) -> None:
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    numbers = range(1, TRIALS + 1)
    fails = ["true" if number % 10 == 3 else "false" for number in numbers]
    (tmp_path / "conf" / "sweep" / "many.yaml").write_text(
        f"axes:\n  model.sleep_ms: {','.join(f'0.{number:03d}' for number in numbers)}\n  model.fails_to_load: {','.join(fails)}\n"
        "pair: [[model.sleep_ms, model.fails_to_load]]\n"
    )
    words = ["--config-dir", str(tmp_path / "conf"), "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "+sweep=many"]
    rule = ["measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", "measurement.warmup_rounds=1"]
    done = orchestrator("--quiet", *words, *rule, "task=numbers", "model=echo", "cluster=inline", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    trials = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert len(trials) == TRIALS
    failed = {trial["trial"]["model"]["options"]["sleep_ms"]: trial["reason"] for trial in trials if trial["state"] == "failed"}
    assert set(failed) == {number / 1000 for number in numbers if number % 10 == 3}
    (reason,) = set(failed.values())
    assert re.fullmatch(r"model echo raised while loading: OSError: weights are gone \(null_targets.py, line \d+, in load\)", reason)
    assert {trial["state"] for trial in trials} == {"done", "failed"}
    report = (tmp_path / "r" / "report.md").read_text()
    section = report.split("## Trials that are not done")[1].split("\n## ")[0]
    assert section.count("weights are gone") == TRIALS // 10
