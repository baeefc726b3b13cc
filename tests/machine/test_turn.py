import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.machine.locks import VARIABLE, own_folder_path
from orchestrator.machine.turn import Turn, check_turn, read_turn

HOLD = """
import sys, time
from orchestrator.machine.turn import Turn
assert Turn(sys.argv[1], "campaign " + sys.argv[1]).take() is None
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    yield tmp_path
    own_turn(tmp_path).unlink(missing_ok=True)


def own_turn(folder: Path) -> Path:
    """The file of this user's turn that belongs to a common folder."""
    status = folder.stat()
    return own_folder_path() / f"turn-{status.st_dev}-{status.st_ino}"


def test_one_campaign_at_a_time() -> None:
    mine, also_mine, theirs = Turn("a", "campaign a"), Turn("a", "campaign a"), Turn("b", "campaign b")
    assert mine.take() is None
    assert also_mine.take() is None
    assert theirs.take() == "campaign a"
    mine.end()
    assert theirs.take() == "campaign a"
    also_mine.end()
    assert theirs.take() is None
    assert mine.take() == "campaign b"


def test_the_turn_ends_with_the_process_however_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, "a"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "taken\n"
        turn = Turn("b", "campaign b")
        assert turn.take() == "campaign a"
        assert read_turn().holder == "campaign a"
        process.kill()
    assert turn.take() is None


def test_the_locks_of_a_user_are_closed_to_all_others(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert Turn("a", "campaign a").take() is None
    finally:
        os.umask(before)
    assert own_folder_path().stat().st_mode & 0o777 == 0o700
    assert own_turn(folder).stat().st_mode & 0o777 == 0o600
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code"), [("not/absolute", "invalid"), ("/no/such/folder", "unreadable"), ("/proc/self/environ", "unreadable")]
)
def test_a_folder_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, code: Any) -> None:
    monkeypatch.setenv(VARIABLE, name)
    with refused(code, VARIABLE, Path(name)):
        check_turn()
    assert name in (read_turn().problem or "")
