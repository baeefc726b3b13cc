"""Tables in every width: no figure and no word is broken, no line is wider than the terminal but for a word that is."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import string
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal, style_of, wrapped

WORDS = st.text(string.ascii_letters + string.digits + "_.-/é漢", min_size=1, max_size=12)
LONG = st.builds(lambda start, end: (start * 9)[: 60 - len(end)] + end, st.sampled_from(["cpu_all-", "torch_", "x"]), WORDS)
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)
FIGURES = st.sampled_from(["0.867 [0.859, 0.877] / 0.850 *", "1.23 ms", "-", "12"])
KINDS = {"trial": LONG, "system": LONG, "runtime": WORDS, "why": SENTENCES, "10 ms": FIGURES, "rounds done": FIGURES, "state": WORDS}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    rows = draw(st.lists(st.tuples(*(KINDS[column] for column in columns)), min_size=1, max_size=5, unique=True))
    return Table("A title " * 5, columns, rows, "A note " * 20, frozenset(["10 ms", "rounds done"]))


def printed(table: Table, width: int | str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        Terminal(stream).table(table)
    return stream.getvalue().splitlines()


@settings(max_examples=300)
@given(tables(), st.integers(20, 200))
def test_no_word_and_no_figure_is_broken_and_no_line_is_wider(table: Table, width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines = printed(table, width, patch)
    cells = [cell for row in (table.columns, *table.rows) for cell in row]
    longest = max(cell_len(word) for text in (*cells, table.title, table.note) for word in [*text.split(), ""]) + 1
    in_columns = any(line.startswith("─") for line in lines)
    assert all((cell_len(line) if in_columns else len(line)) <= max(width, longest) for line in lines)
    shown = [word.removesuffix(":") for line in lines for word in line.split()]
    for text in (*(cells if in_columns else cells[len(table.columns) :]), table.title, table.note):
        assert all(shown.count(word) >= text.split().count(word) for word in text.split())
    for row in table.rows if in_columns else ():
        for head, cell in zip(table.columns, row, strict=True):
            assert head not in table.right or any(cell in line for line in lines)


FIGURE = "0.058 [0.039, 0.084] / 0.000 *"
STUDY = Table(
    "Tail quality",
    ["model", "system", "runtime", "ideal", *(f"{bound} ms" for bound in (10, 20))],
    [
        [model, system, runtime, "0.900", FIGURE, FIGURE]
        for model in ("efficientnet_lite0", "efficientnet_lite2")
        for system in ("cpu_1core", "cpu_all")
        for runtime in ("torch", "torch_compile")
    ],
    right=frozenset(["ideal", "10 ms", "20 ms"]),
)


@pytest.mark.parametrize("width", [*range(40, 161, 3)])
def test_each_row_of_a_study_has_its_names_and_figures_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(STUDY, width, monkeypatch)
    text = "\n".join(lines)
    assert "…" not in text
    assert [text.count(name) for name in ("efficientnet_lite0", "cpu_1core", "torch_compile")] == [4, 4, 4]
    assert text.count(FIGURE) == 16
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(("width", "names"), [(78, "efficientnet_lite0 cpu_1core"), (60, "efficientnet_lite0 ·")])
def test_names_share_a_column_before_a_row_becomes_a_list(width: int, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Table("T", STUDY.columns[:5], [row[:5] for row in STUDY.rows], right=STUDY.right)
    lines = printed(narrow, width + 2, monkeypatch)
    assert sum(line.startswith(names) for line in lines) >= 2
    assert sum(line.startswith("model: ") for line in printed(narrow, 40, monkeypatch)) == 8


def test_one_row_that_is_too_wide_is_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = "efficientnet_lite0-imagenet_samples-cpu_1core-onnxruntime-b1-b1ef21a9-r0"
    table = Table("Plan", ["trial", "why", "rounds", "shots"], [[trial, "a b " * 10 + "c", "3", ""]], right=frozenset(["rounds"]))
    assert printed(table, 80, monkeypatch) == ["Plan", f"trial: {trial}", f"why: {'a b ' * 10}c", "rounds: 3", ""]


def test_a_word_is_broken_nowhere_so_that_it_can_be_pasted() -> None:
    assert wrapped("of at/all-of_it/and_more now", 9) == ["of", "at/all-of_it/and_more", "now"]


@pytest.mark.parametrize("told", ["", "0", "wide", "-3", "²"])
def test_a_pipe_has_120_columns_unless_columns_is_a_number(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Table("T", ["trial", "why"], [["a", "word " * 99 + "end"], ["b", ""]], "note " * 60)
    assert 110 < max(map(len, printed(wide, told, monkeypatch))) <= 120
    assert 190 < max(map(len, printed(wide, "200", monkeypatch))) <= 200


def read_all(descriptor: int) -> bytes:
    content = b""
    with contextlib.suppress(OSError):  # how Linux tells that a terminal has no other end any more
        while more := os.read(descriptor, 1 << 16):
            content += more
    return content


PROGRAM = """
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal
names = [["efficientnet_lite0", "cpu_1core", "torch"], ["efficientnet_lite0", "cpu_all", "torch_compile"]]
Terminal().table(Table("T", ["model", "system", "runtime", "10 ms", "20 ms"], [[*row, "0.1 " * 5, "0.2 " * 5] for row in names]))
"""


@pytest.mark.parametrize("width", [44, 80, 200])
def test_a_real_terminal_limits_the_lines(width: int) -> None:
    reader, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"NO_COLOR": "1", "TERM": "dumb"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=terminal, env=environment) as program:
        os.close(terminal)
        lines = read_all(reader).decode().splitlines()
    assert program.returncode == 0
    os.close(reader)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert all(name in text for name in ("efficientnet_lite0", "cpu_1core", "cpu_all", "torch_compile"))
    assert "…" not in text


@pytest.mark.parametrize(
    ("head", "cell", "style"),
    [("is", "bad", "red"), ("verdict", "worse (load differs)", "red"), ("state", "done", "green"), ("why", "bad", "")],
)
def test_what_judges_has_its_colour(head: str, cell: str, style: str) -> None:
    assert style_of(head, cell) == style
