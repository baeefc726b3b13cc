from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_campaign import measure_small
from stored_trials import store

from orchestrator.commands.planning import earlier_trials, known_campaigns
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign

KEY = "echo-numbers-cpu_all-torch-b1-0123abcd"


def earlier_durations(match_keys: list[str], campaigns: list[Path]) -> dict[str, float]:
    return {key: took_s for key, (took_s, _) in earlier_trials(match_keys, campaigns).items()}


def test_the_latest_finished_repeat_counts(tmp_path: Path) -> None:
    store(tmp_path / "one", f"{KEY}-r0", 5, day=2)
    store(tmp_path / "one", f"{KEY}-r1", 7.5, day=3)
    store(tmp_path / "two", f"{KEY}-r0", 9, day=1)
    store(tmp_path / "two", f"{KEY}-r1", 50, day=4, state="failed")
    store(tmp_path / "two", "echo-numbers-cpu_all-torch-b1-ffffffff-r0", 11)
    found = earlier_durations([KEY, "another"], [tmp_path / "one", tmp_path / "two"])
    assert found == {KEY: pytest.approx(7.5)}


def test_of_a_trial_in_visits_its_own_time_counts(tmp_path: Path) -> None:
    """Not the time from its start to its end, in which the other trials of the campaign had their visits."""
    directory = measure_small(tmp_path / "small")
    (trial, *_) = (trial for trial in open_campaign(directory).trials() if trial.state == "done")
    rounds = open_campaign(directory).rounds(trial.trial_id)
    cold = trial.cold_start
    expected = (sum(rounds.column("duration_ns").to_pylist()) + cold["load_ns"] + sum(cold["warmup_rounds_ns"])) / 1e9
    assert rounds.num_rows == 6
    assert earlier_durations([trial.match_key], [directory]) == {trial.match_key: pytest.approx(expected)}
    assert earlier_trials([trial.match_key], [directory])[trial.match_key][1] == pytest.approx(expected / 6)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": "done"}', '{"state": "done", "started_at": 1, "ended_at": 2}', "[" * 100_000])
def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path, text: str) -> None:
    store(tmp_path, f"{KEY}-r0", 5).write_text(text)
    assert earlier_durations([KEY], [tmp_path]) == {}


@pytest.mark.parametrize(
    "change",
    [{"trial": "x"}, {"ended_at": "2036-01-01T00:00:00"}, {"cold_start": {"load_ns": 10**400}}, {"ended_at": None}],
    ids=["a trial that is text", "a time of no zone", "a time beyond all", "no end"],
)
def test_records_that_are_not_ours_are_passed_over_even_if_sealed(tmp_path: Path, change: dict[str, Any]) -> None:
    store(tmp_path, f"{KEY}-r1", 7, day=3)
    path = store(tmp_path, f"{KEY}-r0", 5, day=4)
    document = {**json.loads(path.read_text()), **change}
    document.pop("sha256")
    write_json(path, document)
    assert earlier_durations([KEY], [tmp_path]) == {KEY: pytest.approx(7)}


def test_campaigns_are_found_below_results_and_beside_the_users_own(tmp_path: Path) -> None:
    results, own = tmp_path / "results", tmp_path / "own"
    store(results / "vision" / "monday", f"{KEY}-r0", 5)
    store(own / "run-1", f"{KEY}-r0", 5)
    (results / "vision" / "empty").mkdir()
    assert known_campaigns(results, None) == [results / "vision" / "monday"]
    assert set(known_campaigns(results, str(own / "run-2"))) == {results / "vision" / "monday", own / "run-1"}
    assert known_campaigns(tmp_path / "nowhere", None) == []
