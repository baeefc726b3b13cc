"""Files of a trial are removed while its campaign is measured: it alone has failed, says so, and can be measured again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.__main__ import main
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.removed import lost_in

SUPPORT = Path(__file__).parents[1] / "support"
REMOVED = (".", "rounds", "predictions.parquet")
DEEDS = ("copy", *(f"take {name}" for name in REMOVED), "take another", "nothing")
"""The first trial is done when the one before the last removes its folder; the last one has nothing to do with any of it."""
REMEDY = ": measure this trial again with `resume --retry-failed`"


def test_trials_whose_files_are_removed_fail_alone(
    null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "-m", f"model.deed={','.join(DEEDS)}"]
    rule = ["measurement.rule=rounds", "measurement.min_rounds=2", "measurement.max_rounds=2", "measurement.schedule=sequential"]
    assert main([*words, "model=meddling", "system=cpu_all", "cluster=inline", *rule, "results_dir=r"]) == 1
    told = capsys.readouterr().err
    trials = {record.trial.model.options["deed"]: record for record in open_campaign(Path("r")).trials()}
    lost = dict(zip(DEEDS, (".", *REMOVED), strict=False))
    assert {deed: record.state for deed, record in trials.items()} == {deed: "failed" if deed in lost else "done" for deed in DEEDS}
    for deed, name in lost.items():
        reason = trials[deed].reason or ""
        path = Path("trials", trials[deed].trial_id, name)
        assert reason.startswith(f"{path} was removed while measuring, and a trial counts only with all of its files")
        assert reason.endswith(REMEDY)
        left = path.parent.with_name(f"{path.parent.name}.left")
        assert (f"(what is left is now {left})" in reason) == (Path("r") / left / "trial.json").exists() == (name != ".")
        assert reason in told
    report = Path("r", "report.md").read_text()
    assert all(record.trial_id in report for record in trials.values() if record.state == "failed")
    assert main(["status", "r"]) == 0
    assert "6 trials: 4 failed, 2 done" in capsys.readouterr().out
    assert main(["resume", "r"]) == 2
    assert "4 trials failed: add --retry-failed" in capsys.readouterr().err
    assert main(["resume", "r", "--retry-failed"]) == 0, capsys.readouterr().err
    campaign = open_campaign(Path("r"))
    assert [(record.state, campaign.rounds(record.trial_id).num_rows) for record in campaign.trials()] == [("done", 2)] * len(DEEDS)


def test_only_what_is_missing_of_a_trial_is_its_own_loss(tmp_path: Path) -> None:
    folder = tmp_path / "r" / "trials" / "a"
    draft = folder / "timings" / ".part-00000.parquet.7.tmp"

    def missing(path: Path) -> Path | None:
        return lost_in(folder, FileNotFoundError(2, "No such file or directory", str(path)))

    assert missing(draft) is None, "the campaign's directory is gone, which concerns all trials"
    (tmp_path / "r").mkdir()
    assert missing(draft) == folder.parent
    folder.mkdir(parents=True)
    assert missing(draft) == draft.parent
    assert missing(folder.parent / "b" / "timings") is None
    assert lost_in(folder, OSError(28, "No space left on device", str(draft))) is None
