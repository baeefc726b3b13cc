from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.measurement.turn import TURN, Turn

HOLD = """
import sys, time
from pathlib import Path
from orchestrator.measurement.turn import Turn
assert Turn(sys.argv[2], "campaign " + sys.argv[2], Path(sys.argv[1])).take() is None
print("taken", flush=True)
time.sleep(60)
"""


def test_one_campaign_at_a_time(tmp_path: Path) -> None:
    mine, also_mine, theirs = Turn("a", "campaign a", tmp_path), Turn("a", "campaign a", tmp_path), Turn("b", "campaign b", tmp_path)
    assert mine.take() is None
    assert mine.take() is None
    assert also_mine.take() is None
    assert theirs.take() == "campaign a"
    mine.end()
    mine.end()
    assert theirs.take() == "campaign a"
    also_mine.end()
    assert theirs.take() is None
    assert mine.take() == "campaign b"


def test_the_turn_ends_with_the_process_however_it_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path, "a"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        turn = Turn("b", "campaign b", tmp_path)
        assert turn.take() == "campaign a"
        process.kill()
    assert turn.take() is None


def test_what_a_stranger_wrote_is_told_as_plain_text(tmp_path: Path) -> None:
    strange = Turn("a", "\x1b[31mred\nline " + "x" * 1000, tmp_path)
    assert strange.take() is None
    told = Turn("b", "campaign b", tmp_path).take()
    assert told is not None
    assert told.startswith("[31mredline x")
    assert len(told) < 400


def test_every_user_may_take_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert Turn("a", "campaign a", tmp_path).take() is None
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666}


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / TURN).symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        Turn("a", "campaign a", tmp_path).take()
    assert (tmp_path / "victim").read_text() == "mine"


def test_many_at_once(tmp_path: Path) -> None:
    """Of processes of four campaigns that all try at once, those of one get in."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path, str(number % 4)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for number in range(8)
    ]
    try:
        time.sleep(0.1)
        taken = set()
        for number, process in enumerate(processes):
            assert process.stdout is not None
            if process.stdout.readline():
                taken.add(number % 4)
        assert len(taken) == 1
    finally:
        for process in processes:
            process.kill()
            process.communicate()
