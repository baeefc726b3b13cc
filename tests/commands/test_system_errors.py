"""What the system refuses is one line with its cause and a remedy that works."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from orchestrator import __main__ as program
from orchestrator.commands import line
from orchestrator.storage.files import write_text


@pytest.mark.parametrize(
    ("raised", "words", "code"),
    [
        (ImportError("libarrow.so.2600: failed to map segment from shared object"), "a library could not be loaded: ", 1),
        (MemoryError(), "there is no more memory", 1),
        (OSError(errno.EFBIG, "File too large"), "a file of the report or the results: would be longer", 1),
    ],
)
def test_one_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: Exception, words: str, code: int
) -> None:
    def run(given: list[str]) -> int:
        raise raised

    monkeypatch.setattr(line, "run", run)
    assert program.main(["report", "r"]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"error: {words}")
    assert "ulimit" in told
    assert told.count("\n") == 1


def test_another_import_that_fails_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(given: list[str]) -> int:
        raise ImportError("cannot import name 'x'")

    monkeypatch.setattr(line, "run", run)
    with pytest.raises(ImportError, match="cannot import name"):
        program.main(["report", "r"])


def test_a_file_that_may_not_become_so_long_is_named_with_the_limit(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_text(tmp_path / "report.html", "x" * 8193)
        told = program.told_of_system(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told == f"{tmp_path / 'report.html'}: would be longer than a file may be, 8 KiB (ulimit -f); raise it with `ulimit -f unlimited`"


def test_a_current_folder_that_was_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    Path.cwd().rmdir()
    told = program.told_of_system(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    assert told == "the current folder has been deleted; change to one that exists (cd)"
