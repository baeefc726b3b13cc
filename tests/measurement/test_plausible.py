from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.configuration.config import parse_trial
from orchestrator.measurement.failures import Stamps, TrialFailed, refuse_impossible
from orchestrator.measurement.last_words import rounds_left
from orchestrator.measurement.scratch import Scratch
from orchestrator.measurement.worker import Worker

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
        rounds_left(parse_trial(trial_document), found, 0, 3, 0, "timeout", "no answer")
