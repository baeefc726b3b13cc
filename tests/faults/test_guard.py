"""What a program leaves when it is killed is cleared away, and nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.running.guard import MARK, guarded

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the guard reads /proc: run it on Linux")

PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path
from orchestrator.running.guard import MARK, guarded

folder = Path(sys.argv[1])
asleep = [sys.executable, "-c", "import sys, time; file = open(sys.argv[1]); print('ready', flush=True); time.sleep(600)", folder / "log"]
(folder / "log").touch()

def start(**more):
    child = subprocess.Popen(asleep, env={**os.environ, **more}, stdout=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    return child.pid

with guarded() as guard:
    guard.remove_at_end(folder)
    print(guard._process.pid, start(**{MARK: guard.mark}), start(), start(**{MARK: guard.mark + "0"}), flush=True)
    if sys.argv[2] == "killed":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)  # a signal to the whole group is not for the guard
        os.kill(os.getpid(), signal.SIGKILL)
"""
ENDLESS_S = 600
"""Keeps a test that hangs from hanging for ever."""


@pytest.fixture(params=["killed", "ended"])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, list[psutil.Process]]]:
    """A program's folder and, in order, its guard, a process with its mark, one with none and one with another's."""
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-c", PROGRAM, folder, request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        assert program.stdout is not None
        found = []
        for pid in program.stdout.readline().split():
            try:
                found.append(psutil.Process(int(pid)))
            except psutil.NoSuchProcess:
                found.append(psutil.Process(1))  # gone already
        yield folder, found
    for process in found[2:]:
        process.kill()


def test_what_is_marked_goes_and_all_else_stays(left: tuple[Path, list[psutil.Process]]) -> None:
    folder, (guard, marked, unmarked, another) = left
    for gone in (guard, marked):
        if gone.pid != 1:
            gone.wait(ENDLESS_S)
    assert not folder.exists()
    # Both have a file of the folder open, as someone has who looks at a log.
    assert unmarked.is_running()
    assert another.is_running()


def test_a_file_goes_and_a_link_does_not_lead_elsewhere(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "stamps").touch()
    with guarded() as guard:
        for name in ("link", "stamps", "missing"):
            guard.remove_at_end(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()
    assert MARK not in os.environ


def test_without_its_guard_a_program_goes_on(tmp_path: Path) -> None:
    with guarded() as guard:
        guard._process.send_signal(signal.SIGKILL)
        guard._process.wait()
        guard.remove_at_end(tmp_path / "any")
