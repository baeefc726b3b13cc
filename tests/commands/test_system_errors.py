"""What the system refuses is one line with its cause and a remedy that works."""

from __future__ import annotations

import errno

import pytest

from orchestrator import __main__ as program
from orchestrator.commands import line


@pytest.mark.parametrize(
    ("raised", "words", "code"),
    [
        (MemoryError(), "there is no more memory", 1),
        (OSError(errno.EFBIG, "File too large", "r/report.html"), "r/report.html: File too large; mend it", 1),
        (OSError(errno.EISDIR, "Is a directory", "r"), "r: Is a directory; mend it", 2),
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
    assert told.count("\n") == 1
