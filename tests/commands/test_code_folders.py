"""``code=[DIR]`` is stored as the folder that it is, not as it was typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.storage.files import write_json

Call = Callable[..., tuple[int, str, str]]
SUPPORT = Path(__file__).parents[1] / "support"
TWO_ROUNDS = ["measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", "measurement.warmup_rounds=1"]
WORDS = ["--quiet", "--config-dir", str(SUPPORT / "conf"), "model=echo", "task=numbers", *TWO_ROUNDS, "cluster=inline"]


@pytest.mark.slow
def test_a_campaign_goes_on_from_another_folder(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SUPPORT / "code", tmp_path / "code")
    assert call(*WORDS, "code=[code]", "results_dir=relative")[0] == 0
    assert call(*WORDS, f"code=[{tmp_path / 'code'}]", "results_dir=absolute")[0] == 0
    relative, absolute = [json.loads((tmp_path / name / "campaign.json").read_text()) for name in ("relative", "absolute")]
    assert relative["config"]["code"] == absolute["config"]["code"] == [str(tmp_path / "code")]
    assert [trial["trial_id"] for trial in relative["trials"]] == [trial["trial_id"] for trial in absolute["trials"]]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = call("extend", str(tmp_path / "relative"), "--rounds", "1", "--quiet")
    assert (code, err) == (0, "")


@pytest.mark.slow
def test_changed_files_are_named(call: Call, tmp_path: Path) -> None:
    shutil.copytree(SUPPORT / "code", tmp_path / "code")
    assert call(*WORDS, "code=[code]", "results_dir=r")[0] == 0
    stored = json.loads((tmp_path / "r" / "campaign.json").read_text())
    assert "null_targets.py" in stored["code_files"]

    with (tmp_path / "code" / "null_targets.py").open("a") as file:
        file.write("# changed\n")
    told = f"error: the code has changed since the campaign was begun with version {stored['code_version']}"
    remedy = ": measure a new campaign, or go on all the same with --accept-changes\n"
    assert call("extend", "r", "--rounds", "1") == (2, "", f"{told}: null_targets.py{remedy}")

    # As campaigns of 0.2.0 are: by the names of modules, of those alone that a trial runs.
    older = json.loads((tmp_path / "r" / "campaign.json").read_text())
    older["code_files"] = {"null_targets": "0" * 64}
    del older["sha256"]
    write_json(tmp_path / "r" / "campaign.json", older)
    assert call("extend", "r", "--rounds", "1") == (2, "", f"{told}, which identified code in another way{remedy}")
    assert call("status", "r")[0] == 0
    assert call("extend", "r", "--rounds", "1", "--accept-changes")[0] == 0
