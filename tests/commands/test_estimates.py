from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_campaign import measure_small
from stored_trials import store

from orchestrator.commands.plan import split_lines
from orchestrator.commands.planning import earlier_costs, earlier_trials, known_campaigns
from orchestrator.report.pasted import Command
from orchestrator.running.plan import Plan
from orchestrator.stats.variance_components import Costs, best_split
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign

KEY = "echo-numbers-cpu_all-torch-b1-0123abcd"


def earlier_durations(match_keys: list[str], campaigns: list[Path]) -> dict[str, float]:
    return {key: found.took_s for key, found in earlier_trials(match_keys, campaigns).items()}


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
    assert earlier_trials([trial.match_key], [directory])[trial.match_key].round_s == pytest.approx(expected / 6)


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


def test_repeats_of_before_tell_how_time_is_best_split(tmp_path: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    directory = measure_small(tmp_path / "small", repeat=3, rounds=8)
    assert call("report", str(directory), "analysis.primary=p50")[0] == 0
    rows = [row for row in pq.read_table(Path(directory) / "processes.parquet").to_pylist() if row["primary"]]
    found = earlier_costs([row["match_key"] for row in rows], [tmp_path / "nowhere", directory])
    assert len(found) == len(rows) == 2
    for row in rows:
        costs = found[row["match_key"]]
        assert (costs.process_s, costs.round_s) == (row["process_s"], row["round_s"])
        assert (costs.process, costs.round) == pytest.approx((row["process_long_run_sd"] ** 2, row["long_run_sd"] ** 2))
    assert earlier_costs(["another"], [directory]) == {}
    (directory / "processes.parquet").write_bytes(b"no table")
    assert earlier_costs(found, [directory]) == {}


TYPED = (
    "plan", "-m", "--requirements", "my needs.yaml", "--config-dir=my conf", 'analysis.primary="20 ms"', "model=a,b", "measurement.repeat=3",
    "++measurement.max_rounds=40", "task.folder='it is'", "--requirements=x",
)  # fmt: skip


def test_a_plan_says_how_its_time_is_best_split_by_a_whole_command(tmp_path: Path) -> None:
    [planned, *_] = open_campaign(measure_small(tmp_path / "small")).record.trials
    trials = tuple(planned.model_copy(update={"state": "planned", "trial_id": f"{KEY}-r{number}", "match_key": KEY}) for number in range(3))
    plan = Plan(trials=trials, estimates_s={KEY: 200.0})
    costs = Costs(process=1e-4, round=1e-3, process_s=10, round_s=1)
    split = best_split([costs], 600.0)
    assert split is not None
    line, command = split_lines(plan, {KEY: costs, "another": costs}, TYPED)
    assert f"of {KEY}: {split.processes} processes of {split.rounds} rounds each" in line
    assert f"+- {split.half_width:.3f} as" in line
    assert isinstance(command, Command)
    assert shlex.split(command) == [
        "python", "-m", "orchestrator", "-m", "--config-dir=my conf", 'analysis.primary="20 ms"', "model=a,b", "task.folder='it is'",
        f"measurement.repeat={split.processes}", f"measurement.min_rounds={split.rounds}", f"measurement.max_rounds={split.rounds}",
    ]  # fmt: skip
    assert list(split_lines(replace(plan, estimates_s={}), {KEY: costs}, TYPED)) == []
    assert list(split_lines(replace(plan, estimates_s={KEY: 5.0}), {KEY: costs}, TYPED)) == []


def test_several_trials_share_the_split_whose_widest_interval_is_narrowest(tmp_path: Path) -> None:
    [planned, *_] = open_campaign(measure_small(tmp_path / "small")).record.trials
    keys = [KEY, "another", "unknown"]
    trials = tuple(planned.model_copy(update={"state": "planned", "trial_id": f"{key}-r0", "match_key": key}) for key in keys)
    plan = Plan(trials=trials, estimates_s=dict.fromkeys(keys, 600.0))
    steady, unsteady = Costs(1e-6, 1e-4, 5, 2), Costs(1e-4, 1e-3, 20, 1)
    line, command = split_lines(plan, {KEY: steady, "another": unsteady}, ("plan", "model=a,b,c", "-m"))
    within = [
        (max(steady.half_width(count, rounds), unsteady.half_width(count, rounds)), count, rounds)
        for count in range(2, 45)
        for rounds in range(1, 200)
        if count * (25 + 3 * rounds) <= 1200
    ]
    width, count, rounds = min(within)
    assert f"of 2 trials together: {count} processes of {rounds} rounds each, tail quality to about +- {width:.3f} or better" in line
    assert "; no earlier repeats are known of 1 more:" in line
    assert command == (
        f"python -m orchestrator model=a,b,c -m measurement.repeat={count} measurement.min_rounds={rounds} measurement.max_rounds={rounds}"
    )
