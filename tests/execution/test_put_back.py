from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.running.put_back import STREAMS, put_back


def files() -> list[tuple[int, int]]:
    return [(found.st_dev, found.st_ino) for found in map(os.fstat, STREAMS)]


def opened() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


def loses_its_folder(before: set[int]) -> None:
    os.chdir("gone")
    Path.cwd().rmdir()


def closes_the_streams(before: set[int]) -> None:
    for number in STREAMS:
        os.close(number)
    assert os.open("/dev/null", os.O_RDONLY) == 0, "as the next file of the program would"


def closes_the_copies(before: set[int]) -> None:
    copies = opened() - before
    for number in copies:
        with suppress(OSError):  # that of the folder of open files
            os.close(number)
    os.dup2(os.open("/dev/null", os.O_RDONLY), max(copies))


def replaces_the_streams(before: set[int]) -> None:
    sys.stdin = sys.stdout = sys.stderr = None  # type: ignore[assignment]


@pytest.mark.parametrize("deed", [loses_its_folder, closes_the_streams, closes_the_copies, replaces_the_streams])
def test_a_model_takes_neither_the_working_directory_nor_the_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: Callable[[set[int]], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    streams, before = files(), opened()
    spoken = sys.stdin, sys.stdout, sys.stderr
    with put_back():
        deed(before)
    assert (files(), Path.cwd()) == (streams, tmp_path)
    assert (sys.stdin, sys.stdout, sys.stderr) == spoken
    for number in opened() - before:
        with suppress(OSError):
            os.close(number)
