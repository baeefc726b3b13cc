"""What a timed process leaves that dies."""

import faulthandler
import os
import signal
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from null_trials import null_trial

from orchestrator.measurement.failures import Stamps, TrialFailed, refuse_impossible
from orchestrator.measurement.last_words import keep_crashes, rounds_left, take_last_words
from orchestrator.measurement.scratch import STAMPS_PREFIX, Scratch, crash_path, read_scratch, remove_stale, scratch_root
from orchestrator.measurement.worker import Worker


def test_a_fatal_signal_leaves_the_line_of_code(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "stamps", batches=3)
    if not (copy := os.fork()):
        file = keep_crashes(scratch.path)
        os.abort()
        file.close()
    assert os.WTERMSIG(os.waitpid(copy, 0)[1]) == signal.SIGABRT
    found = take_last_words(scratch.path)
    assert (found.round, found.batches) == (None, 0)
    assert found.crash.startswith("Fatal Python error: Aborted")
    assert "test_what_is_left.py" in found.crash
    assert not crash_path(scratch.path).exists()


def test_nothing_beside_the_stamps_says_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users see the folder of the stamps, and one who knew their name could make them first."""
    with keep_crashes(tmp_path / "stamps"):
        faulthandler.disable()
    assert not list(tmp_path.iterdir())
    path = crash_path(tmp_path / "stamps")
    assert path.parent.stat().st_mode & 0o077 == 0
    path.unlink()
    monkeypatch.setattr("orchestrator.measurement.scratch.is_safe", lambda folder: False)
    assert scratch_root() == Path(tempfile.gettempdir()), "others could write to the folder in memory"


def test_stamps_go_a_day_after_a_process_that_is_dead_has_written_them(tmp_path: Path) -> None:
    for owner, age_s in ((2**30, 90_000), (2**30, 80_000), (os.getpid(), 90_000)):
        path = tmp_path / f"{STAMPS_PREFIX}{owner}-{age_s}"
        path.touch()
        os.utime(path, (0, time.time() - age_s))
    remove_stale(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{STAMPS_PREFIX}{2**30}-80000", f"{STAMPS_PREFIX}{os.getpid()}-90000"}


@pytest.mark.parametrize(
    ("words", "tail", "left", "said"),
    [
        ([7, 1, 50, 60, 3, 0, 1, 2, 3, 4], b"", [7, 50, 60, 3, 1, 2, 3, 4], None),
        ([7, 1, 50, 0, 3, 0, 1, 2, 3, 4], b"", None, None),
        ([7, 0, 50, 60, 3, 0], b"", None, None),
        ([7, 1, 50, 60, 3], b"", None, None),
        ([7, -1, 50], b"1234567", None, None),
        ([7, 1, 50, 60, 3, 0, 1, 2, 3, 4], b"5", None, "81 bytes, which is no size for 1 batches"),
        ([7, 1, 50, 60, 3, 0, 1, 2, 3], b"", None, "no size for 1 batches"),
        ([7, -1, 50, 60, 3, 0], b"", None, "no size for -1 batches"),
    ],
)
def test_only_a_whole_file_of_stamps_is_read(
    tmp_path: Path, words: list[int], tail: bytes, left: list[int] | None, said: str | None
) -> None:
    path = tmp_path / "stamps"
    path.touch(0o600)
    path.write_bytes(np.array(words, dtype=np.int64).tobytes() + tail)
    with nullcontext() if said is None else pytest.raises(TrialFailed, match=said):
        found = read_scratch(path)
        assert (found and [found.round, found.monotonic_ns, found.wall_ns, found.origin_ns, *found.stamps[0]]) == left


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
    monkeypatch.setattr(Scratch, "array", lambda scratch: 1_000 * np.arange(1, 13).reshape(3, 4))
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
