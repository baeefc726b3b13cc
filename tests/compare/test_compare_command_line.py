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
def test_campaigns_pass_the_gate_against_themselves_alone_with_repeats(tmp_path: Path) -> None:
    orchestrator = partial(program.orchestrator, cwd=tmp_path)
    for repeats in (1, 3):
        done = orchestrator(*TRIALS, f"measurement.repeat={repeats}", f"results_dir={tmp_path / str(repeats)}")
        assert done.returncode == 0, done.stderr
    three, one = tmp_path / "3", tmp_path / "1"
    files = ["--json", tmp_path / "c.json", "--html", tmp_path / "c.html", "--markdown", tmp_path / "c.md"]

    done = orchestrator("compare", three, three, "--gate", "--power", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Gate: passed." in done.stdout
    assert "What these repeats would find" in done.stdout
    rows = json.loads((tmp_path / "c.json").read_text())["trials"]
    assert {row["verdict"] for row in rows} == {"no difference shown"}
    assert (tmp_path / "c.md").read_text().startswith("# Tail quality: ")
    assert "Gate: passed." in (tmp_path / "c.html").read_text()

    assert orchestrator("compare", one, one, "--gate").returncode == 3
    assert orchestrator("compare", one, one, "--gate", "--allow-no-verdict").returncode == 0
    assert orchestrator("compare", three, one, "--gate").returncode == 3
    wrong = orchestrator("compare", three, "--gate")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: compare takes a baseline")
