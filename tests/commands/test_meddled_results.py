"""Somebody tidies up while a campaign runs: it is told in one line, with exit code 1, and what can be kept is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.storage.reader import open_campaign

SHORT = ["system=cpu_all", "cluster=inline", "measurement.rule=rounds", "measurement.min_rounds=4", "measurement.max_rounds=4"]


@pytest.fixture
def meddle(call: Callable[..., Any], null_words: list[str]) -> Callable[..., Any]:
    def run(deed: str) -> Any:
        words = [*null_words, "model=meddling", f"model.deed={deed}", *SHORT, "results_dir=r"]
        return call(*[word for word in words if word != "model=echo"])

    return run


def errors(answer: Any) -> list[str]:
    return [line for line in answer.err.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize("deed", ["remove", "replace", "folder"])
def test_campaign_json_is_written_again_from_memory(meddle: Callable[..., Any], tmp_path: Path, deed: str) -> None:
    answer = meddle(deed)
    what = "removed" if deed == "remove" else "replaced"
    (told,) = errors(answer)
    assert told.startswith(f"error: r/campaign.json was {what} while measuring: it was written again, and nothing is lost")
    assert answer.code == 1
    (trial,) = open_campaign(tmp_path / "r").trials()
    assert trial.state == "done"
    assert open_campaign(tmp_path / "r").rounds(trial.trial_id).num_rows == 4
    assert (tmp_path / "r" / "report.html").exists()
    if deed == "replace":
        assert (tmp_path / "r" / "campaign.json.found").read_text() == "mine"
        assert "campaign.json.found" in told


def test_a_copy_of_campaign_json_in_its_place_is_no_trouble(meddle: Callable[..., Any]) -> None:
    answer = meddle("copy")
    assert (answer.code, errors(answer)) == (0, [])


def test_a_lock_that_was_removed_is_told(meddle: Callable[..., Any]) -> None:
    answer = meddle("lock")
    assert answer.code == 1
    assert errors(answer) == ["error: r/.lock was removed while measuring: make sure that no other driver has written there"]


@pytest.mark.parametrize("deed", ["move", "another"])
def test_a_directory_that_was_moved_can_be_gone_on_with(
    meddle: Callable[..., Any], call: Callable[..., Any], tmp_path: Path, deed: str
) -> None:
    answer = meddle(deed)
    assert answer.code == 1
    (told,) = errors(answer)
    assert told.startswith(
        f"error: r was moved to {tmp_path}/moved while measuring, and what was stored before is whole there: go on with: "
    )
    assert told.endswith(f"python -m orchestrator resume {tmp_path}/moved")
    if deed == "another":
        assert list((tmp_path / "r").iterdir()) == [], "a stranger's directory of the same name is left alone"
    assert json.loads((tmp_path / "moved" / "campaign.json").read_text())["under_way"]
    again = call("resume", "moved")
    assert again.code == 0, again.err
    (trial,) = open_campaign(tmp_path / "moved").trials()
    assert trial.state == "done"


def test_a_folder_of_trials_that_was_exchanged_is_named_and_nothing_reported_from_it(meddle: Callable[..., Any], tmp_path: Path) -> None:
    answer = meddle("trials")
    assert answer.code == 1
    (told,) = errors(answer)
    what = f"r/trials was replaced while measuring, and what stands there now belongs to user {os.geteuid()}"
    assert told.startswith(f"error: {what}: nothing is reported from it; ")
    assert not (tmp_path / "r" / "report.html").exists()


def test_a_directory_that_was_removed_is_told(meddle: Callable[..., Any], tmp_path: Path) -> None:
    answer = meddle("delete")
    assert answer.code == 1
    assert errors(answer) == ["error: r was removed while measuring, with all that was stored in it; measure the campaign again"]
    assert not (tmp_path / "r").exists()
