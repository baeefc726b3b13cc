"""What a timed process leaves that dies."""

import faulthandler
import os
import signal
from pathlib import Path

from orchestrator.measurement.last_words import keep_crashes, take_last_words
from orchestrator.measurement.scratch import Scratch, crash_path


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
    assert "test_last_words.py" in found.crash
    assert not crash_path(scratch.path).exists()


def test_nothing_beside_the_stamps_says_their_name(tmp_path: Path) -> None:
    """Other users see the folder of the stamps, and one who knew their name could make them first."""
    with keep_crashes(tmp_path / "stamps"):
        faulthandler.disable()
    assert not list(tmp_path.iterdir())
    path = crash_path(tmp_path / "stamps")
    assert path.parent.stat().st_mode & 0o077 == 0
    path.unlink()
