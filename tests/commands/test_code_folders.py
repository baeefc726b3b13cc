"""``code=[DIR]`` is stored as the folder that it is, not as it was typed."""

import json
import shutil
from pathlib import Path

import pytest
from program import SUPPORT, Call, rounds
from refusals import refused

from orchestrator.commands import line
from orchestrator.storage.files import write_json

WORDS = ["--quiet", "--config-dir", str(SUPPORT / "conf"), "model=echo", "task=numbers", *rounds(2), "measurement.warmup_rounds=1"]


@pytest.mark.slow
def test_changed_files_are_named(call: Call, tmp_path: Path) -> None:
    shutil.copytree(SUPPORT / "code", tmp_path / "code")
    assert call(*WORDS, "code=[code]", "results_dir=r")[0] == 0
    stored = json.loads((tmp_path / "r" / "campaign.json").read_text())
    assert "null_targets.py" in stored["code_files"]

    with (tmp_path / "code" / "null_targets.py").open("a") as file:
        file.write("# changed\n")
    with refused("incomparable", "--accept-changes") as caught:
        line.run(["extend", "r", "--rounds", "1"])
    assert "null_targets.py" in str(caught.value)

    # As campaigns of 0.2.0 are: by the names of modules, of those alone that a trial runs.
    older = json.loads((tmp_path / "r" / "campaign.json").read_text())
    older["code_files"] = {"null_targets": "0" * 64}
    del older["sha256"]
    write_json(tmp_path / "r" / "campaign.json", older)
    with refused("incomparable", "--accept-changes"):
        line.run(["extend", "r", "--rounds", "1"])
    assert call("status", "r")[0] == 0
    assert call("extend", "r", "--rounds", "1", "--accept-changes")[0] == 0
