"""Somebody tidies up while a campaign runs: it is told in one line, with exit code 1, and what can be kept is kept."""

from pathlib import Path

import pytest
from program import NULL, Call, rounds

from orchestrator.storage.reader import open_campaign


@pytest.mark.parametrize("deed", ["move", "another", "delete"])
def test_a_directory_that_is_gone_stops_the_campaign(call: Call, tmp_path: Path, deed: str) -> None:
    answer = call(*NULL, "model=meddling", f"model.deed={deed}", "system=cpu_all", *rounds(4), "results_dir=r")
    assert answer.returncode == 1
    if deed == "another":
        assert list((tmp_path / "r").iterdir()) == [], "a stranger's directory of the same name is left alone"
    if deed == "delete":
        assert not (tmp_path / "r").exists()
        return
    again = call("resume", "moved")
    assert again.returncode == 0, again.stderr
    (trial,) = open_campaign(tmp_path / "moved").trials()
    assert trial.state == "done"
