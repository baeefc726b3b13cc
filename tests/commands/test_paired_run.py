import json
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
from program import SUPPORT
from refusals import refused
from scipy import stats

from orchestrator.commands.paired_run import words_of
from orchestrator.storage.files import write_json
from orchestrator.storage.layout import CAMPAIGN
from orchestrator.storage.load import read_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow

BOTH = [
    "--config-dir", str(SUPPORT / "conf"), "task=numbers", "model=echo", "model.sleep_ms=0", "cluster=inline",
    "measurement.rule=rounds", "measurement.min_rounds=3", "measurement.max_rounds=3", "--quiet",
]  # fmt: skip
CODE = f"code=[{SUPPORT / 'code'}]"


def records(directory: Path) -> list[TrialRecord]:
    return list(open_campaign(directory).trials())


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return partial(program.orchestrator, "compare", "--run", cwd=tmp_path)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sides measured in three pairs of two systems; the comparison lies beside them."""
    folder = tmp_path_factory.mktemp("pairs")
    words = ["system=cpu_1core,cpu_all", "-m", CODE, "--pairs", "3", "--to", "my out", "--json", "c.json"]
    done = program.orchestrator("compare", "--run", "model.wrong=[3]", "model.wrong=[4]", *BOTH, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_both_sides_are_campaigns_measured_in_adjacent_pairs(pairs: Path) -> None:
    sides = {name: records(pairs / "my out" / name) for name in ("a", "b")}
    begun = sorted((record.started_at, name, record) for name, side in sides.items() for record in side)
    assert [record.state for _, _, record in begun] == ["done"] * 12
    for (_, one, first), (_, other, second) in zip(begun[::2], begun[1::2], strict=True):
        assert {one, other} == {"a", "b"}
        assert (first.trial.system.name, first.trial.repeat) == (second.trial.system.name, second.trial.repeat)
        assert first.ended_at <= second.started_at
    for row in json.loads((pairs / "c.json").read_text())["trials"]:
        assert row["design"] == "pairs"
        assert "torn pair" not in row["flags"]
        difference = np.subtract(row["repeat_means"], row["baseline_repeat_means"])
        if np.std(difference, ddof=1) > 0.025:  # not the least that one answer makes
            alone = stats.ttest_1samp(difference, 0).pvalue
            assert alone - 1e-9 <= row["fresh_processes"]["p_value"] <= min(1, 2 * alone) + 1e-9
    assert all((pairs / "my out" / name / "report.html").exists() for name in ("a", "b"))


def test_each_side_runs_its_own_code_and_goes_on_where_it_was(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What another test has imported, or may import from, is no side's code.
    monkeypatch.delitem(sys.modules, "null_targets", raising=False)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(SUPPORT / "code")])
    text = (SUPPORT / "code" / "null_targets.py").read_text()
    for name, change in (("old", "number + 1"), ("new", "number + 2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "null_targets.py").write_text(text.replace("number + 1", change))
    words = ["old", "new", *BOTH, CODE, "system=cpu_1core", "model.wrong=[3]", "--pairs", "3", "--to", "out"]
    assert run(*words).returncode == 0

    def answers(name: str) -> set[int]:
        campaign = open_campaign(tmp_path / "out" / name)
        return {campaign.samples(record.trial_id).column("prediction").to_pylist()[3][0] for record in campaign.trials()}

    assert (answers("a"), answers("b")) == ({4}, {5})
    before = [record.started_at for record in records(tmp_path / "out" / "a")]
    identity = open_campaign(tmp_path / "out" / "a").record.pairing
    shutil.rmtree(tmp_path / "out" / "b")
    done = run(*words, "--json", "c.json")
    assert done.returncode == 0, done.stderr
    assert [record.started_at for record in records(tmp_path / "out" / "a")] == before
    found = open_campaign(tmp_path / "out" / "b").record.pairing
    assert (found.id, found.side) == (identity.id, "b")
    rows = json.loads((tmp_path / "c.json").read_text())["trials"]
    assert {(row["verdict"], "torn pair" in row["flags"]) for row in rows} == {("no verdict: measured apart", True)}

    # As if it had been stopped before its last trial, and the first one had failed: without a gate, too, that is no success.
    campaign = read_json(tmp_path / "out" / "a" / CAMPAIGN, CampaignRecord)
    first, last = campaign.trials[0], campaign.trials[-1]
    shutil.rmtree(tmp_path / "out" / "a" / "trials" / last.trial_id)
    trials = (first.with_state("failed", "gone"), *campaign.trials[1:-1], last.with_state("planned", None))
    write_json(tmp_path / "out" / "a" / CAMPAIGN, campaign.model_copy(update={"trials": trials}).model_dump(mode="json"))
    assert run(*words).returncode == 1
    assert [record.started_at for record in records(tmp_path / "out" / "a")][:-1] == before[:-1]
    assert [record.state for record in records(tmp_path / "out" / "a")] == ["failed", "done", "done"]

    assert run(*words, "model.sleep_ms=0.1").stderr.endswith("[exists]\n")


def test_an_interrupted_pair_goes_on_by_the_command_that_status_proposes(pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs / "my out", tmp_path / "my out", symlinks=True)
    for name in ("a", "b"):
        with CampaignWriter.reopen(tmp_path / "my out" / name) as writer:
            writer.set_state(writer.record.trials[-1].trial_id, "interrupted", "stopped at once by the user")
    orchestrator = partial(program.orchestrator, cwd=tmp_path)
    proposed = orchestrator("status", "my out/a").stdout.splitlines()[-1]
    assert orchestrator("status", "my out/b").stdout.splitlines()[-1] == proposed
    assert f"go on with: {proposed} [conflict]" in orchestrator("resume", "my out/a").stderr
    done = orchestrator(*shlex.split(proposed)[3:], "--gate", "--quiet")
    assert {record.state for name in ("a", "b") for record in records(tmp_path / "my out" / name)} == {"done"}
    assert (done.returncode in (0, 1, 3), "measured apart" in done.stdout) == (True, False)


def test_a_side_may_be_a_file_a_folder_or_words(tmp_path: Path) -> None:
    assert words_of("model=x 'task.root=a b' -m") == ("model=x", "task.root=a b", "-m")
    assert words_of(str(tmp_path)) == (f"code=[{tmp_path}]",)
    side = tmp_path / "side.yaml"
    side.write_text("model: echo\nmodel.sleep_ms: 2\nsystem: cpu_1core,cpu_all\nmodel.x: null\nmodel.y: true\n")
    assert words_of(str(side)) == ("model=echo", "model.sleep_ms=2", "system=cpu_1core,cpu_all", "model.x=null", "model.y=true")
    side.write_text("[model=echo, -m]")
    assert words_of(str(side)) == ("model=echo", "-m")
    for text in ("model: [a]", "{", "3"):
        side.write_text(text)
        with refused("invalid"):
            words_of(str(side))
