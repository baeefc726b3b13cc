from pathlib import Path

import numpy as np
import pytest
from null_trials import null_trial

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
    ("stamps", "place", "value"),
    [
        (WHOLE, (0, 0), 13),
        (WHOLE, (1, 1), 21),
        (WHOLE, (2, 3), 21),
        (WHOLE, (1, 2), 18),  # an inference of no time at all
        (WHOLE, (1, 0), 15),
        (WHOLE, (0, 0), 9),
        (WHOLE, (2, 3), 24),
        (WHOLE, (1, 3), 0),
        (WHOLE, (1, 1), 0),
        (RAISED, (1, 3), 15),
    ],
)
def test_stamps_that_cannot_be_are_refused(stamps: list[list[int]], place: tuple[int, int], value: int) -> None:
    changed = array(stamps)
    changed[place] = value
    with pytest.raises(TrialFailed, match=f"batch {place[0]} ") as caught:
        refuse_impossible(changed, 10, 23)
    assert caught.value.fault == "clock broken"


def test_stamps_that_somebody_else_wrote_never_become_times(null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer sets every stamp of a round to times 1 us apart, as the victim's report once showed them."""
    worker = Worker(null_trial(task={"count": 3}), 0, tmp_path / "stamps", tmp_path, pin=False)
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
    "stamps",
    [WHOLE[:2], [[10, 12, 15, 16], [17, 16, 20, 21], [0, 0, 0, 0]], [[10, 12, 15, 16], [0, 0, 0, 0], [17, 18, 20, 21]]],
)
def test_a_killed_process_leaves_no_impossible_round(stamps: list[list[int]]) -> None:
    found = Stamps(0, 0, 10**18, array(stamps))
    with pytest.raises(TrialFailed) as caught:
        rounds_left(null_trial(), found, 0, 3, 0, "timeout", "no answer")
    assert caught.value.fault == "clock broken"
