"""What a kill leaves is the state of the disk before some operation: these tests keep a copy of each and go on from it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestrator.storage.layout import TWINS
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow

NewRound = Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


class Copies:
    """Copies a campaign's directory before every change of it."""

    def __init__(self) -> None:
        self.watched: Path | None = None
        self.taken: list[Path] = []
        self._kept_under = Path()
        sys.addaudithook(self._before)

    def start(self, watched: Path, kept_under: Path) -> None:
        self.watched, self._kept_under, self.taken = watched, kept_under, []

    def _before(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watched is None or event not in CHANGES:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
            return
        watched, self.watched = self.watched, None
        self.taken.append(self._kept_under / f"{len(self.taken):03d}")
        shutil.copytree(watched, self.taken[-1])
        self.watched = watched


@pytest.fixture(scope="module")
def copies() -> Iterator[Copies]:
    hook = Copies()
    yield hook
    hook.watched = None  # a hook cannot be taken away


def check(directory: Path, trial_id: str, before: pa.Table, new_round: NewRound, next_round: int) -> None:
    """Read, recover, go on: nothing is lost, nothing is there twice, nothing is left over."""
    reader = open_campaign(directory)
    assert reader.timings(trial_id).equals(before)
    assert reader.rounds(trial_id).column("round").to_pylist() == list(range(next_round))
    with CampaignWriter.reopen(directory) as writer:
        trial = writer.trial(trial_id)
        assert {path.name for path in (directory / "trials" / trial_id).iterdir() if path.is_dir()} == {"timings", "rounds"}
        assert trial.rounds == next_round
        assert open_campaign(directory).timings(trial_id).equals(before)
        trial.append(*new_round(next_round))
        trial.finish()
    assert open_campaign(directory).rounds(trial_id).column("round").to_pylist() == list(range(next_round + 1))
    assert open_campaign(directory).timings(trial_id).slice(0, before.num_rows).equals(before)
    for twin in TWINS:
        assert len([*(directory / "trials" / trial_id / twin).iterdir()]) == 1


def test_a_kill_at_any_step_of_a_merge_loses_nothing(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, copies: Copies, tmp_path: Path
) -> None:
    """Also where a draft that is being written is torn."""
    writer = campaign.trial(trial_id)
    for number in range(3):
        writer.append(*new_round(number))
        writer.flush()
    before = open_campaign(campaign.directory).timings(trial_id)
    copies.start(campaign.directory, tmp_path / "copies")
    writer.finish()
    copies.watched = None

    merged = "part-00000-00002.parquet"
    assert {(copy / "trials" / trial_id / twin / merged).exists() for copy in copies.taken for twin in TWINS} == {False, True}
    assert len(copies.taken) >= 10
    with_drafts = [copy for copy in copies.taken if any(copy.rglob(".*.tmp"))]
    torn = [shutil.copytree(copy, tmp_path / "torn" / copy.name) for copy in with_drafts]
    assert torn
    for draft in (tmp_path / "torn").rglob(".*.tmp"):
        draft.write_bytes(draft.read_bytes()[:50])
    for copy in [*copies.taken, *torn]:
        check(copy, trial_id, before, new_round, next_round=3)


def test_a_kill_at_any_step_of_a_flush_leaves_the_round_or_nothing_of_it(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, copies: Copies, tmp_path: Path
) -> None:
    writer = campaign.trial(trial_id)
    writer.append(*new_round(0))
    writer.flush()
    copies.start(campaign.directory, tmp_path / "copies")
    writer.write_answers(1, pa.table({"sample": pa.array([2], pa.int32()), "prediction": [[4]]}))
    writer.append(*new_round(1))
    writer.flush()
    copies.watched = None
    assert len(copies.taken) >= 6
    for copy in copies.taken:
        assert open_campaign(copy).rounds(trial_id).column("round").to_pylist() in ([0], [0, 1])
        with CampaignWriter.reopen(copy) as later:
            trial = later.trial(trial_id)
            survived = trial.rounds == 2
            left = sorted(path.name for path in (copy / "trials" / trial_id).rglob("*") if path.is_file())
            of_round = ["part-00001.parquet", "part-00001.parquet", "round-1.parquet"] if survived else []
            assert left == ["part-00000.parquet", "part-00000.parquet", *of_round]  # no stale answers, no part without its twin
            if not survived:
                trial.append(*new_round(1))
        assert open_campaign(copy).rounds(trial_id).column("round").to_pylist() == [0, 1]
        assert (open_campaign(copy).answers(trial_id, 1) is not None) == survived
