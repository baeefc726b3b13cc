from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import program
import pytest

SUPPORT = Path(__file__).parents[1] / "support"
TRIALS = [
    "-m", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo", "model.sleep_ms=1",
    "system=cpu_1core,cpu_all", "measurement.rule=rounds", "measurement.min_rounds=5", "measurement.max_rounds=5",
    "cluster=inline",
]  # fmt: skip


@pytest.mark.slow
def test_campaigns_measured_apart_pass_no_gate(tmp_path: Path) -> None:
    orchestrator = partial(program.orchestrator, cwd=tmp_path)
    campaign = tmp_path / "3"
    done = orchestrator(*TRIALS, "measurement.repeat=3", f"results_dir={campaign}")
    assert done.returncode == 0, done.stderr
    files = ["--json", tmp_path / "c.json", "--html", tmp_path / "c.html", "--markdown", tmp_path / "c.md"]
    done = orchestrator("compare", campaign, campaign, "--gate", "--allow-no-verdict", "--min-effect", "50", "--power", *files)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("No verdict on 2 trials: measured apart. ")
    rows = json.loads((tmp_path / "c.json").read_text())["trials"]
    assert {row["verdict"] for row in rows} == {"no verdict: measured apart"}
    assert (tmp_path / "c.md").read_text().startswith("# Tail quality: ")
    assert '<p class="verdict no-verdict">No verdict' in (tmp_path / "c.html").read_text()
    assert orchestrator("compare", campaign, campaign).returncode == 0
    for words, says in (
        ([campaign, "--gate"], "error: compare takes two sides, 1 given"),
        ([campaign, campaign, "--min-effect", "10"], "error: --min-effect: says how --gate works: add --gate"),
        ([campaign, campaign, "--gate", "--min-effect", "0"], "error: Invalid value for '--min-effect': 0.0 is not in the range x>0"),
    ):
        wrong = orchestrator("compare", *words)
        assert (wrong.returncode, wrong.stderr.startswith(says)) == (2, True), wrong.stderr
