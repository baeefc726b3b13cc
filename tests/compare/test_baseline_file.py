from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.compare.baseline import read_baseline
from orchestrator.compare.sides import write_baseline
from orchestrator.configuration.config import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign


def found(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text())["trials"]
    return rows


@pytest.mark.slow
def test_a_baseline_file_gives_the_verdicts_of_its_campaign(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1, slower={"cpu_all": 0.1})
    write_baseline(open_campaign(before), AnalysisConfig(thresholds_ms=(4.0, 5.0)), tmp_path / "base.json")
    assert (tmp_path / "base.json").stat().st_size < 20_000
    codes = [
        compare(path, after, gate=True, power=True, json_file=tmp_path / name, overrides=("analysis.thresholds_ms=[4,5]",))[0]
        for path, name in ((before, "directory"), (tmp_path / "base.json", "file"))
    ]
    assert codes == [1, 1]
    directory, file = found(tmp_path / "directory"), found(tmp_path / "file")
    for row in directory:
        row |= {"this_data_set": None, "samples_like_these": None}
    assert directory == file


def test_a_file_takes_its_own_thresholds_unless_fewer_are_asked_for(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a")
    write_baseline(open_campaign(campaign), AnalysisConfig(thresholds_ms=(4.0, 5.0)), tmp_path / "base.json")
    compare(tmp_path / "base.json", campaign, json_file=tmp_path / "own.json")
    assert sorted({row["threshold"] for row in found(tmp_path / "own.json")}) == ["4 ms", "5 ms", "p95"]
    compare(tmp_path / "base.json", campaign, json_file=tmp_path / "less.json", overrides=("analysis.thresholds_ms=[5]",))
    assert sorted({row["threshold"] for row in found(tmp_path / "less.json")}) == ["5 ms", "p95"]
    for override in ("analysis.thresholds_ms=[6]", "analysis.primary=p99"):
        with pytest.raises(InputError, match="export the baseline again"):
            compare(tmp_path / "base.json", campaign, overrides=(override,))


def test_a_baseline_that_was_changed_is_refused(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign, path = measure("a", repeats=1), tmp_path / "base.json"
    write_baseline(open_campaign(campaign), AnalysisConfig(), path)
    text = path.read_text()
    path.write_text(text.replace('"top1"', '"top5"'))
    with pytest.raises(InputError, match="checksum"):
        compare(path, campaign)
    document = json.loads(text)
    document.pop("sha256")
    for changes, says in (
        ({"schema_version": 99}, "upgrade"),
        ({"kind": "else"}, "kind"),
        ({"trials": document["trials"] * 2}, "twice"),
        ({"slow_downs": [0.1]}, "slowed"),
        ({"surprise": 1}, "no such key"),
    ):
        write_json(path, document | changes)
        with pytest.raises(InputError, match=says):
            read_baseline(path)
    with pytest.raises(InputError, match="not what this program writes"):
        read_baseline(campaign / "campaign.json")
    path.write_text("{")
    with pytest.raises(InputError, match="not a whole JSON file"):
        compare(path, campaign)


def test_means_that_are_no_numbers_are_refused(measure: Any, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    write_baseline(open_campaign(measure("a", repeats=1)), AnalysisConfig(), path)
    document = json.loads(path.read_text())
    document.pop("sha256")
    document["trials"][0]["thresholds"][0]["means"] = []
    write_json(path, document)
    with pytest.raises(InputError, match="means"):
        read_baseline(path)


def test_a_baseline_goes_into_a_folder_that_exists(measure: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder that exists"):
        write_baseline(open_campaign(measure("a", repeats=1)), AnalysisConfig(), tmp_path / "no" / "base.json")
