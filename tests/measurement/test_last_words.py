"""What a timed process leaves that dies, and the line that says how, where, and what to do."""

from __future__ import annotations

import faulthandler
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.machine.exit_watch import ExitWatch
from orchestrator.measurement.last_words import LastWords, keep_crashes, take_last_words, told
from orchestrator.measurement.scratch import Scratch, crash_path
from orchestrator.measurement.timing import STAMPS
from orchestrator.running.server import described

TELLS = sys.platform == "linux" and tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (6, 15)


@pytest.mark.parametrize(("does", "code"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_a_newer_kernel_says_how_a_process_ended(does: str, code: int) -> None:
    process = subprocess.Popen(["/bin/sh", "-c", f"read line; {does}"], stdin=subprocess.PIPE)
    watch = ExitWatch(process.pid)
    assert watch.code() is None
    process.communicate(b"\n")
    assert watch.code(within_s=1.0) == (code if TELLS else None)
    watch.close()
    assert watch.code() is None


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
    assert found.ended("signal SIGABRT").crash
    assert not found.ended("signal SIGKILL").crash
    assert "while it loaded the model" in told(found, preparing=True, stream=False)


def test_nothing_beside_the_stamps_tells_their_name(tmp_path: Path) -> None:
    """Other users see the folder of the stamps, and one who knew their name could make them first."""
    with keep_crashes(tmp_path / "stamps"):
        faulthandler.disable()
    assert not list(tmp_path.iterdir())
    path = crash_path(tmp_path / "stamps")
    assert path.parent.stat().st_mode & 0o077 == 0
    path.unlink()


def test_stamps_say_how_far_the_round_had_come(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "stamps", batches=3)
    scratch.begin(7, 1, 1)
    for place in range(2 * STAMPS):
        scratch.stamps[place] = 1 + place
    found = take_last_words(scratch.path)
    assert (found.round, found.done, found.batches) == (7, 2, 3)
    assert scratch.path.exists()
    assert "at inference 3 of 3 of round 7:" in told(found, preparing=False, stream=False)
    assert "at inference 3 of 3 of warm-up round 7:" in told(found, preparing=True, stream=True)
    assert "at inference 3 of 3 of the stream that begins with round 7:" in told(found, preparing=False, stream=True)


@pytest.mark.parametrize(
    ("code", "crash", "how", "remedy"),
    [
        (0, "", "exit code 0", "have the model raise an exception instead"),
        (-9, "", "signal SIGKILL", "free memory"),
        (-11, "Fatal Python error: Segmentation fault\n", "signal SIGSEGV", "traceback.txt"),
        (None, "Fatal Python error: Segmentation fault\n", "Segmentation fault", "traceback.txt"),
        (None, "", "how is not known", "os._exit, or something killed it"),
        (-15, "", "signal SIGTERM", "run the model's code alone"),
    ],
)
def test_each_end_has_its_remedy(code: int | None, crash: str, how: str, remedy: str) -> None:
    words = LastWords(2, 3, 3, crash).ended(None if code is None else described(code))
    line = told(words, preparing=False, stream=False)
    assert line.startswith(f"its process ended ({how}) after round 2: ")
    assert remedy in line
