"""Tables in every width: nothing is shortened, and what tells two rows apart always stands there whole."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
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

from orchestrator.report.arrangement import Block, arrange, names_above
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal, stacked, style_of, width_of, wrapped

WORDS = st.text(string.ascii_letters + string.digits + "_.-/é漢", min_size=1, max_size=12)
NAMES = st.builds(lambda start, end: (start * 9)[: 60 - len(end)] + end, st.sampled_from(["cpu_all-", "torch_", "x"]), WORDS)
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)
FIGURES = st.sampled_from(["0.867 [0.859, 0.877] / 0.850 *", "1.23 ms", "-", "12"])
KINDS = {"trial": NAMES, "system": NAMES, "runtime": WORDS, "why": SENTENCES, "10 ms": FIGURES, "rounds": FIGURES, "verdict": SENTENCES}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    rows = draw(st.lists(st.tuples(*(KINDS[column] for column in columns)), min_size=1, max_size=5, unique=True))
    return Table(draw(SENTENCES), columns, rows, draw(SENTENCES), frozenset(["10 ms", "rounds"]))


def printed(table: Table, width: int | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        if width is not None:
            patch.setenv("COLUMNS", str(width))
        Terminal(stream).table(table)
    return stream.getvalue().splitlines()


def longest_piece(text: str) -> int:
    """What is never broken: a word, of one with dashes the part between two of them; a path."""
    return max(
        cell_len(part) for word in text.split(" ") for part in ([word] if "/" in word else re.findall("[^-]*-+|[^-]+", word) or [""])
    )


def unbroken(text: str) -> str:
    """Return text without blanks after dashes, where a long name may be broken."""
    return re.sub("-+ ", lambda dashes: dashes[0].strip(), " ".join(text.split()) + " ").strip()


def rows_of_blocks(lines: list[str], columns: int) -> list[list[list[str]]]:
    """Return what stands in the cells of each block, lines of one row still apart."""
    blocks: list[list[list[str]]] = []
    for line in lines:
        if line.startswith("┏"):
            blocks.append([])
        elif line.startswith("│"):
            blocks[-1].append([cell.strip() for cell in line.strip("│").split("│")])
    return blocks


def parts_are_whole(table: Table, lines: list[str], above: tuple[int, ...], blocks: list[Block]) -> None:
    """Assert that the names of each part stand above it, and below them all its rows with a line each, told apart within the part."""
    parts = list(dict.fromkeys(tuple(row[place] for place in above) for row in table.rows))
    assert 2 * len(parts) <= len(table.rows)
    [block] = blocks
    assert sorted((*above, *block.columns)) == list(range(len(table.columns)))
    begins = [at for at, line in enumerate(lines) if line.startswith("┏")]
    for names, before, begin, end in zip(parts, [0, *begins[:-1]], begins, [*begins[1:], len(lines)], strict=True):
        said = unbroken(", ".join(f"{table.columns[place]} {name}" for place, name in zip(above, names, strict=True)))
        assert unbroken(" ".join(lines[before:begin])).endswith(said)
        of_part = [row for row in table.rows if tuple(row[place] for place in above) == names]
        [shown] = rows_of_blocks(lines[begin:end], len(table.columns))
        assert shown == [[row[place] for place in block.columns] for row in of_part]
        assert len(set(map(tuple, shown))) == len({tuple(row) for row in of_part})


@st.composite
def crossed_tables(draw: st.DrawFn) -> Table:
    """Trials of a few models on a few systems, in the order of their repeats."""
    models, systems = (draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)) for _ in range(2))
    rows = [
        (model, system, draw(FIGURES), str(repeat)) for repeat in range(draw(st.integers(1, 3))) for model in models for system in systems
    ]
    return Table("Campaign", ["model", "system", "state", "repeat"], rows, "More.", frozenset(["state"]))


@settings(max_examples=100)
@given(crossed_tables(), st.integers(40, 200))
def test_rows_of_crossed_names_can_be_told_apart(table: Table, width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines = printed(table, width, patch)
    above, blocks = names_above(table.columns, table.rows, table.right, width)
    if above:
        parts_are_whole(table, lines, above, blocks)
    assert all(cell_len(line) <= max(width, longest_piece(line)) for line in lines)


def of_hosts(states: list[str]) -> Table:
    """The trials of a campaign of 96, as `status` shows them."""
    rows = [
        [model, system, runtime, str(repeat)]
        for repeat in range(3)
        for model in ("efficientnet_lite0", "efficientnet_lite2", "scene_detector", "minilm_movie_reviews")
        for system in ("two_cores", "one_core", "three_quarters", "half_core")
        for runtime in ("torch", "onnxruntime")
    ]
    heads = ["model", "system", "runtime", "repeat", *(["state", "rounds"] if states else [])]
    more = [[states[at % len(states)], "100"] if states else [] for at in range(len(rows))]
    return Table("Campaign paper_small", heads, [[*row, *of] for row, of in zip(rows, more, strict=True)], right=frozenset(["rounds"]))


@pytest.mark.parametrize(("states", "width"), [([], 60), (["done", "interrupted"], 80), (["done", "interrupted"], 60)])
def test_many_trials_have_one_line_each_below_the_names_that_leave_no_room(
    states: list[str], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(of_hosts(states), width, monkeypatch)
    names = [line.removeprefix("model ").partition(", runtime")[0] for line in lines if line.startswith("model ")]
    assert list(dict.fromkeys(names)) == ["efficientnet_lite0", "efficientnet_lite2", "scene_detector", "minilm_movie_reviews"]
    assert len([line for line in lines if line.startswith("│")]) == 96
    assert all(cell_len(line) <= width for line in lines)


@settings(max_examples=300)
@given(tables(), st.one_of(st.none(), st.integers(40, 200)))
def test_rows_can_be_told_apart_and_no_word_is_cut(table: Table, width: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines = printed(table, width, patch)
    longest = max(longest_piece(text) for text in (table.title, table.note, *table.columns, *sum(table.rows, ())))
    if width is not None:
        framed = bool(arrange(table.columns, table.rows, table.right, width))
        assert max(cell_len(line) for line in lines) <= (width if framed else max(width, longest))

    above, blocks = names_above(table.columns, table.rows, table.right, width)
    if above:
        parts_are_whole(table, lines, above, blocks)
        return
    assert blocks == arrange(table.columns, table.rows, table.right, width)
    assert sorted({place for block in blocks for place in block.columns}) == (list(range(len(table.columns))) if blocks else [])
    told = [{tuple(row[place] for place in block.columns) for row in table.rows} for block in blocks]
    assert [len(rows) for rows in told] == [len(table.rows)] * len(blocks)
    if not blocks:
        text = unbroken(" ".join(lines))
        for row in table.rows:
            for head, cell in zip(table.columns, row, strict=True):
                assert not cell or unbroken(f"{head}: {cell}") in text
        return
    for block, shown in zip(blocks, rows_of_blocks(lines, len(table.columns)), strict=True):
        joined = [" ".join(part for part in column if part) for column in zip(*shown, strict=True)]
        for place, text in zip(block.columns, joined, strict=True):
            assert text == " ".join(row[place] for row in table.rows if row[place])


STUDY = Table(
    "Tail quality of imagenet (top1)",
    ["model", "system", "runtime", "ideal", *(f"{bound} ms" for bound in (10, 20, 50))],
    [
        [
            model,
            system,
            runtime,
            "0.900",
            "0.000 [0.000, 0.005] / 0.000 *",
            "0.058 [0.039, 0.084] / 0.000 *",
            "0.900 [0.895, 0.900] / 0.900",
        ]
        for model in ("efficientnet_lite0", "efficientnet_lite2")
        for system in ("cpu_1core", "cpu_all")
        for runtime in ("torch", "torch_compile")
    ],
    right=frozenset(["ideal", "10 ms", "20 ms", "50 ms"]),
)


@pytest.mark.parametrize("width", [None, *range(40, 201)])
def test_systems_and_runtimes_keep_their_names_at_any_width(width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(STUDY, width, monkeypatch)
    text = "\n".join(lines)
    assert "…" not in text
    blocks = max(1, len(rows_of_blocks(lines, 7)))
    for name, times in (("efficientnet_lite0", 4), ("cpu_1core", 4), ("torch_compile", 4)):
        assert text.count(name) == times * blocks
    for figure in ("0.058 [0.039, 0.084] / 0.000 *", "0.900 [0.895, 0.900] / 0.900"):
        # Where a figure fits beside the names it is not broken, and else at spaces alone.
        assert text.count(figure) == 8 or 60 <= (width or 0) < 83
        assert all(text.count(word) >= 8 for word in figure.split())
    assert width is None or max(map(len, lines)) <= width


CELLS = [
    ["detr_resnet101_dc5", "coco_val2017", "geforce", "onnxruntime", "1", "cuda:0", "fp32"],
    ["detr_resnet101_dc5", "coco_val2017", "titan_v", "torch", "1", "cuda:0", "fp32"],
    ["vicuna_13b", "mmlu_val", "v100_all", "torch", "1", "cuda:0,1,2,3", "fp16"],
]


def test_names_that_leave_no_room_stand_once_and_the_fewest_of_them_in_every_block() -> None:
    heads = ["model", "task", "system", "runtime", "batch", "device", "precision"]
    blocks = [[heads[place] for place in block.columns] for block in arrange(heads, CELLS, width=80)]
    assert blocks == [["model", "task", "system", "runtime", "batch"], ["model", "system", "device", "precision"]]


def test_a_name_that_is_too_long_for_a_line_is_broken_behind_dashes_alone() -> None:
    trial = "efficientnet_lite0-imagenet_samples-cpu_1core-onnxruntime-b1-b1ef21a9-r0"
    assert list(wrapped(f"of {trial} now", 40)) == [
        "of",
        "efficientnet_lite0-imagenet_samples-",
        "cpu_1core-onnxruntime-b1-b1ef21a9-r0",
        "now",
    ]
    assert list(wrapped("no_dashes_at_all at/all-of_it x", 9)) == ["no_dashes_at_all", "at/all-of_it", "x"]
    assert list(stacked(["trial", "rounds"], [trial, "3"], 40)) == [
        "trial:", "  efficientnet_lite0-imagenet_samples-", "  cpu_1core-onnxruntime-b1-b1ef21a9-r0", "rounds: 3",
    ]  # fmt: skip


def test_without_a_terminal_a_table_is_as_wide_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Table("T", ["trial", "why"], [["a", "word " * 99 + "end"]])
    assert any("word " * 99 + "end" in line for line in printed(wide, None, monkeypatch))


def test_columns_count_more_than_the_terminal_and_only_where_they_are_a_number() -> None:
    stream = io.StringIO()
    for told, width in (("80", 80), ("0", None), ("", None), ("wide", None), ("-3", None), ("²", None)):
        assert width_of(stream, {"COLUMNS": told}) == width
    assert width_of(stream, {}) is None


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
