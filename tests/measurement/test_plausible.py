from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from orchestrator.configuration.config import parse_trial
from orchestrator.measurement.failures import Stamps, TrialFailed, refuse_impossible, refuse_short
from orchestrator.measurement.last_words import incomplete_round
from orchestrator.measurement.round_tables import Timed, timings_batch
from orchestrator.measurement.scratch import Scratch
from orchestrator.measurement.worker import Worker
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds

WHOLE = [[10, 12, 15, 16], [17, 18, 20, 20], [20, 21, 22, 23]]
RAISED = [[10, 12, 15, 16], [0, 0, 0, 19], [20, 21, 22, 23]]
IN_FLIGHT = [[10, 12, 15, 16], [17, 18, 20, 0], [0, 0, 0, 0]]


def array(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


@pytest.mark.parametrize("stamps", [WHOLE, RAISED, IN_FLIGHT, []])
def test_what_a_round_leaves_is_plausible(stamps: list[list[int]]) -> None:
    refuse_impossible(array(stamps).reshape(-1, 4), 10, 23)


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ((0, 0), 13, "the stamps of batch 0 do not ascend"),
        ((1, 1), 21, "the stamps of batch 1 do not ascend"),
        ((2, 3), 21, "the stamps of batch 2 do not ascend"),
        ((1, 2), 18, "the stamps of batch 1 do not ascend"),  # an inference of no time at all
        ((1, 0), 15, "batch 1 overlaps"),
        ((0, 0), 9, "batch 0 overlaps"),
        ((2, 3), 24, "batch 2 overlaps the one before it, or lies outside its round"),
        ((1, 3), 0, "batch 1 has no end, and later ones have"),
        ((1, 1), 0, "the stamps of batch 1 do not ascend"),
    ],
)
def test_stamps_that_cannot_be_are_refused(place: tuple[int, int], value: int, complaint: str) -> None:
    stamps = array(WHOLE)
    stamps[place] = value
    with pytest.raises(TrialFailed, match=complaint) as told:
        refuse_impossible(stamps, 10, 23)
    assert told.value.fault == "clock broken"


def test_a_batch_that_raised_has_its_place_in_time_too() -> None:
    stamps = array(RAISED)
    stamps[1, 3] = 15
    with pytest.raises(TrialFailed, match="batch 1 overlaps"):
        refuse_impossible(stamps)


def new_result(stamps: list[list[int]], groups: list[list[int]], duration_ns: int) -> Rounds:
    row = {"round": 4, "started_at": 0, "started_monotonic_ns": 0, "duration_ns": duration_ns, "process": 0, "incomplete": False}
    return Rounds(timings_batch([Timed(4, array(stamps), groups)]), pa.RecordBatch.from_pylist([row], schema=schema.ROUNDS))


@pytest.mark.parametrize(("groups", "batch"), [([[0], [1], [2]], 1), ([[3, 2], [0, 1], [4]], 2)])
def test_a_round_is_as_long_as_its_parts(groups: list[list[int]], batch: int) -> None:
    refuse_short(new_result(WHOLE, groups, 13), batch)
    with pytest.raises(TrialFailed, match=r"round 4 took 9 ns and what was timed in it at least 1\d ns") as told:
        refuse_short(new_result(WHOLE, groups, 9), batch)
    assert told.value.fault == "clock broken"


@pytest.fixture
def trial_document() -> dict[str, object]:
    return {
        "model": {
            "name": "null", "kind": "image_classification", "target": "null_targets:NullModel", "runtimes": ["torch"], "sleep_ms": 1,
            "wrong": [], "raises_on": [], "fails_to_load": False, "dies": False,
        },
        "task": {"name": "numbers", "kind": "image_classification", "target": "null_targets:Numbers", "count": 3},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"},
        "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3},
    }  # fmt: skip


def test_stamps_that_somebody_else_wrote_never_become_times(
    null_targets: Path, tmp_path: Path, trial_document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer sets every stamp of a round to times 1 us apart, as the victim's report once told them."""
    worker = Worker(parse_trial(trial_document), 0, tmp_path / "stamps", tmp_path, pin=False)
    worker.prepare()
    worker.run_rounds(0, 1, 0)
    read = Scratch.array

    def rewritten(scratch: Scratch) -> np.ndarray:
        for place in range(12):
            scratch.stamps[place] = 1_000 * (place + 1)
        return read(scratch)

    monkeypatch.setattr(Scratch, "array", rewritten)
    with pytest.raises(TrialFailed, match="batch 0 overlaps"):
        worker.run_rounds(1, 1, 0)


@pytest.mark.parametrize(
    ("stamps", "complaint"),
    [
        (WHOLE[:2], "stamps of 2 batches, and a round has 3"),
        ([[10, 12, 15, 16], [17, 16, 20, 21], [0, 0, 0, 0]], "the stamps of batch 1 do not ascend"),
        ([[10, 12, 15, 16], [0, 0, 0, 0], [17, 18, 20, 21]], "batch 1 has no end"),
    ],
)
def test_a_killed_process_leaves_no_impossible_round(trial_document: dict[str, object], stamps: list[list[int]], complaint: str) -> None:
    found = Stamps(0, 0, 10**18, array(stamps))
    with pytest.raises(TrialFailed, match=complaint):
        incomplete_round(parse_trial(trial_document), found, 0, 3, 0, "timeout", "no answer")


def test_the_driver_stores_no_round_that_is_shorter_than_its_parts(
    null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker whose rounds come back shortened: the trial fails by name, with no round stored."""
    from orchestrator.__main__ import main

    run_rounds = Worker.run_rounds

    def shortened(worker: Worker, first: int, count: int, visit: int) -> Rounds:
        rounds = run_rounds(worker, first, count, visit)
        place = schema.ROUNDS.get_field_index("duration_ns")
        columns = [pa.array([1]) if at == place else column for at, column in enumerate(rounds.rows.columns)]
        return Rounds(rounds.timings, pa.RecordBatch.from_arrays(columns, schema=schema.ROUNDS))

    monkeypatch.setattr(Worker, "run_rounds", shortened)
    monkeypatch.chdir(tmp_path)
    support = null_targets.parent
    words = [f"code=[{null_targets}]", "model=echo", "task=numbers", "measurement.rule=rounds", "cluster=inline", "results_dir=r"]
    assert main(["--config-dir", str(support / "conf"), *words]) == 1
    assert "failed: round 0 took 1 ns and what was timed in it at least" in capsys.readouterr().err
    assert list((tmp_path / "r").glob("trials/*/timings/*")) == []
