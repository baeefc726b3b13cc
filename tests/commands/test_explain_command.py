from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

STORED = Path(__file__).parents[1] / "data" / "before_the_house" / "campaign"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    return shutil.copytree(STORED, tmp_path / "campaign")


def trials(campaign: Path) -> list[str]:
    return sorted(path.name for path in (campaign / "trials").iterdir())


def test_all_trials_and_one_within_80_columns(campaign: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    before = {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()}
    code, out, err = call("explain", "campaign")
    assert (code, err) == (0, "")
    assert "Late answers of numbers (top1, total time) within p95 (" in out
    trial = next(name for name in trials(campaign) if "cpu_all-torch-b1-f" in name)
    code, one, err = call("explain", "campaign", trial[:-8])
    assert (code, err) == (0, "")
    assert "Of the variance of being late" in one
    assert f"Evidence of {trial}" in one
    assert all(len(line) <= 81 for line in (out + one).splitlines())
    assert {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()} == before


def test_a_folder_with_a_blank_in_its_name_is_quoted_in_what_is_to_be_pasted(campaign: Path, call: Call) -> None:
    campaign.rename(campaign.with_name("my campaign"))
    said = [call(*words, "my campaign")[1] for words in (["explain"], ["inspect"])]
    assert "python -m orchestrator explain 'my campaign' TRIAL\n" in said[0]
    assert "python -m orchestrator inspect 'my campaign' TRIAL\n" in said[1]


def test_the_table_of_a_report_holds_the_same(campaign: Path, call: Call) -> None:
    primary = "analysis.primary=p90"
    assert call("report", "campaign", primary)[0] == 0
    rows = pq.read_table(campaign / "explain.parquet").to_pylist()
    assert {row["threshold"] for row in rows} == {"p90"}
    trial = rows[0]["trial"]
    told = call("explain", "campaign", trial, primary)[1]
    assert f"{100 * rows[0]['late']:.1f} % of inferences take longer than" in told
    assert "## Late answers of numbers" in (campaign / "report.md").read_text("utf-8")
    assert all(row["evidence"] in told for row in rows if row["trial"] == trial)


def test_mistakes_are_told_in_one_line(campaign: Path, call: Call) -> None:
    unfinished = next(name for name in trials(campaign) if "dfbc57a2" in name)
    for words, told in (
        (["campaign", "nobody"], "trial 'nobody' is not in this campaign: choose one"),
        (["campaign", unfinished], "has no stored round with a time and evidence: choose another trial"),
        (["campaign", "analysis.primary=p200"], "p200"),
        ([], "explain takes DIR [TRIAL] [analysis.KEY=VALUE...], none was given"),
        (["a", "b", "c"], "explain takes DIR [TRIAL] [analysis.KEY=VALUE...], 3 were given"),
    ):
        code, out, err = call("explain", *words)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert told in line
