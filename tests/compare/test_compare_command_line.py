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

    # On a machine that is busy now, three repeats may be too blind.
    done = orchestrator("compare", three, three, "--gate", "--allow-no-verdict", "--min-effect", "50%", "--power", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Pass")
    assert "What these repeats would find" in done.stdout
    rows = json.loads((tmp_path / "c.json").read_text())["trials"]
    assert {row["verdict"] for row in rows} <= {"no difference shown", "no verdict: too blind"}
    assert (tmp_path / "c.md").read_text().startswith("# Tail quality: ")
    assert '<p class="verdict pass">Pass' in (tmp_path / "c.html").read_text()

    assert orchestrator("compare", one, one, "--gate").returncode == 3
    assert orchestrator("compare", one, one, "--gate", "--allow-no-verdict").returncode == 0
    assert orchestrator("compare", three, one, "--gate").returncode == 3
    for words, says in (
        ([three, "--gate"], "error: compare takes a baseline"),
        ([three, three, "--min-effect", "10"], "error: --min-effect says how --gate counts: add --gate"),
        ([three, three, "--gate", "--min-effect", "0"], "error: argument --min-effect: '0': must be a percentage above 0"),
    ):
        wrong = orchestrator("compare", *words)
        assert (wrong.returncode, wrong.stderr.startswith(says)) == (2, True), wrong.stderr
