"""What a program leaves when it is killed is ended and cleared away, and nothing else is touched."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes import gone

from orchestrator.running.keeper import Keeper

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the keeper reads /proc: run it on Linux"),
]

PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path
from orchestrator.running.keeper import Keeper

folder = Path(sys.argv[1])
asleep = "import sys, time; file = open(sys.argv[1]); time.sleep(600)"
child = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], start_new_session=True).pid, flush=True)"
(folder / "log").touch()
beside = subprocess.Popen([sys.executable, "-c", asleep, folder / "log"], start_new_session=True)
# What the command starts goes to a session of its own, outlives it and writes over nothing that would tell whose it is.
keeper = Keeper([sys.executable, "-c", child + "; import time; time.sleep(600)", asleep, str(folder / "log")], log=folder / "pids")
keeper.remove_at_end(folder)
while not (pids := (folder / "pids").read_text()).endswith("\\n"):
    pass
print(keeper.own_pid, keeper.pid, int(pids), beside.pid, flush=True)
if sys.argv[2] == "killed":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # a signal to the whole group is not for the keeper
    os.kill(os.getpid(), signal.SIGKILL)
keeper.end()
"""


@pytest.fixture(params=["killed", "ended"])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, list[int]]]:
    """A program's folder and, in order, its keeper, what that keeps, a child of this, and a process that it does not keep."""
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-c", PROGRAM, folder, request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        assert program.stdout is not None
        found = [int(pid) for pid in program.stdout.readline().split()]
    yield folder, found
    psutil.Process(found[-1]).kill()


def test_what_is_kept_goes_and_all_else_stays(left: tuple[Path, list[int]]) -> None:
    folder, (*kept_ones, beside) = left
    assert len(kept_ones) == 3
    assert gone(kept_ones)
    assert not folder.exists()
    assert psutil.Process(beside).is_running()


def test_a_file_goes_and_a_link_does_not_lead_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "stamps").touch()
    with Keeper() as keeper:
        for name in ("link", "stamps", "missing"):
            keeper.remove_at_end(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    assert (elsewhere / "file").exists()


def test_without_its_keeper_a_program_goes_on(tmp_path: Path) -> None:
    with Keeper() as keeper:
        assert keeper.own_pid is not None
        os.kill(keeper.own_pid, signal.SIGKILL)
        keeper.remove_at_end(tmp_path / "any")
