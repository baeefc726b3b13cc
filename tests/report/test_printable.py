from __future__ import annotations

import io
import re
import sys

import pytest

from orchestrator.__main__ import main
from orchestrator.commands.progress import Progress
from orchestrator.exchange.latex import to_latex
from orchestrator.report.table import Table, to_markdown
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import printable, with_blanks

STEERING = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
]
HIDDEN = [*"\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\u2800\u180e", "\U000e0100", "\U000e0041"]
BREAKING = [*"\u2028\u2029\x85", "\ud800", "\udfff"]


@pytest.mark.parametrize("character", [*STEERING, *HIDDEN, *BREAKING], ids=ascii)
def test_what_steers_hides_or_breaks_is_written_as_an_escape(character: str) -> None:
    shown = printable(f"a{character}b")
    assert shown.isprintable()
    assert shown.isascii()
    assert shown.startswith("a\\")
    assert shown.endswith("b")
    assert shown.encode().decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == f"a{character}b"


def test_names_in_any_script_stay() -> None:
    for name in ("café", "Größe", "模型", "модель", "مرحبا", "cpu_all @ 2026-03-01", "a\\b"):
        assert printable(name) == name
    assert printable("a\x1b]0;owned\x07\nb é") == "a\\x1b]0;owned\\x07\\nb é"


def test_neither_tables_nor_lines_nor_progress_nor_errors_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    poison = "".join([*STEERING, *HIDDEN, *BREAKING])
    Terminal().table(Table(f"t{poison}", [f"c{poison}"], [[f"r{poison}"]], f"n{poison}"))
    Terminal().line(f"l{poison}")
    with Progress(1, sys.stderr) as progress:
        progress.say(f"p{poison}")
    assert main(["status", f"nowhere{poison.replace(chr(0), '')}"]) == 2
    for text in capsys.readouterr():
        assert all(line.isprintable() for line in text.split("\n"))
        assert "\\u202e" in text


def test_names_that_differ_in_blanks_look_different_wherever_a_table_goes() -> None:
    names = ["x", "\tx", "x\n", "x\r", "x ", " x", "  x", "a b", "a  b", " ", "x\u00a0"]
    table = Table("t", ["group"], [[name] for name in names])
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    Terminal(stream).table(table)
    stream.seek(0)
    for text in (stream.read(), to_markdown(table), to_latex(table, "t")):
        cells = [" ".join(line.strip().strip("│|\\").split()) for line in text.splitlines() if re.search(r"x|a.*b", line)]
        assert len({one for one in cells if "{" not in one or "textbackslash" in one}) >= len(names), text
    assert [with_blanks(name) for name in ("a b", "", "x ", "a  b")] == ["a b", "", r"x\x20", r"a\x20\x20b"]
    assert with_blanks("x\n") == r"x\n"  # in HTML, lines of a text stay lines
    assert with_blanks(with_blanks(" x ")) == with_blanks(" x ")


def test_a_stream_that_cannot_hold_a_letter_is_no_reason_to_end() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    Terminal(stream).line("\ud800")
    stream.flush()
