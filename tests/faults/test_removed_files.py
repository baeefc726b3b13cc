"""Files of a trial are removed while its campaign is measured: it stops in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.__main__ import main

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.mark.parametrize("name", [".", "rounds"])
def test_a_campaign_whose_files_are_removed_stops_in_one_line(
    null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", f"model.deed=take {name}"]
    rule = ["measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", "measurement.schedule=sequential"]
    assert main([*words, "model=meddling", "system=cpu_all", "cluster=inline", *rule, "results_dir=r"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert "No such file or directory; what was stored before is whole: mend it, and" in told[0]
