from pathlib import Path

import pytest
from small_campaign import measure_small
from stored_trials import store

from orchestrator.commands.planning import earlier_trials
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
