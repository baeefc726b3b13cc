"""The answer on a terminal: a line a system that fits, or a stack; the best first; names that tell rows apart always whole."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.analysis.ranking import Standing, by_model, differing, shared
from orchestrator.metrics.interface import PLAIN, Scale
from orchestrator.report.answer import Answer, bar_of, lines
from orchestrator.report.condensed import condensed
from orchestrator.report.table import Table

WORDS = st.text(string.ascii_letters + string.digits + "_.-é漢", min_size=1, max_size=20)
LONG = st.builds(lambda start, end: (start * 9)[: 60 - len(end)] + end, st.sampled_from(["cpu_all-", "torch_", "x"]), WORDS)


def standing(
    mean: float, low: float, high: float, *, scale: Scale = PLAIN, ideal: float = 0.9, flags: tuple[str, ...] = (), **names: str
) -> Standing:
    known = {"model": "m", "system": "s", "runtime": "r", "batch": "1", "settings": ""} | names
    return Standing(known, ("id",), mean, low, high, low, ideal, scale, 1, flags)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    names = draw(st.integers(1, 3))
    of_rows = draw(st.lists(st.tuples(*[st.one_of(WORDS, LONG)] * names), min_size=1, max_size=8, unique=True))
    heads = (*("model", "system", "runtime")[:names], "kept", "95 % interval", "worst", "ideal", "marks")
    rows = tuple((*of_row, "0.865", "[0.796, 0.894]", "0.500", "0.900", "a, b") for of_row in of_rows)
    shares = tuple(draw(st.floats(0, 1)) for _ in rows)
    return Answer("task: top1 kept within 50 ms", heads, rows, names, shares, ("good",) * len(rows), ())


ENDS = (
    "0.865  [0.796, 0.894]  0.500  0.900   a, b", "0.865 [0.796, 0.894] 0.500 0.900  a, b", "0.865 [0.796, 0.894] 0.500  a, b",
    "0.865 [0.796, 0.894] 0.500 ab",
)  # fmt: skip
"""Of a line with much room, with less, without the ideal that all share, and with close marks."""


@given(answers(), st.integers(20, 160), st.booleans())
def test_every_row_is_there_whole_and_fits_where_a_word_can(answer: Answer, width: int, fine: bool) -> None:
    printed = [line.plain for line in lines(answer, width, fine)]
    longest = max(
        cell_len(part) for row in answer.rows for cell in row for word in cell.split(" ") for part in re.findall("[^-]*-+|[^-]+", word)
    )
    assert all(cell_len(line) <= max(width, longest + 2, len("95 % interval: ") + 14) for line in printed[1:])
    if printed[-1]:
        found = list(printed[2:])
        assert len(found) == len(answer.rows)
        for row, line in zip(answer.rows, found, strict=True):
            assert [word for cell in row[: answer.names] for word in cell.split(" ")] == line.split()[: answer.names]
            assert line.endswith(ENDS)
    else:
        text = re.sub(r"-\n *", "-", "\n".join(printed))
        for row in answer.rows:
            assert all(re.sub(r"-\n *", "-", cell) in text for cell in row[: answer.names])


def crowded(ideals: tuple[str, str]) -> Answer:
    heads = ("model", "system", "runtime", "kept", "95 % interval", "worst", "ideal", "marks")
    rows = tuple(
        (f"efficientnet_lite{number}", "cpu_1core", "onnxruntime", "0.865", "[0.796, 0.894]", "0.500", ideal, "a, b")
        for number, ideal in enumerate(ideals)
    )
    return Answer("pictures: top1 kept within 50 ms", heads, rows, 3, (1.0, 0.5), ("good", "bad"), ())


def test_beside_marks_a_bar_is_left_at_80_columns() -> None:
    title, heads, *rows = [line.plain for line in lines(crowded(("0.900", "0.900")), 80)]
    assert title == "pictures: top1 kept within 50 ms, of an ideal 0.900"
    assert heads.split() == ["model", "system", "runtime", "kept", "95", "%", "interval", "worst", "marks"]
    assert [row.count("█") for row in rows] == [6, 3]
    title, heads, *rows = [line.plain for line in lines(crowded(("0.900", "0.850")), 80)]
    assert title == "pictures: top1 kept within 50 ms"
    assert heads.split()[-2:] == ["worst", "ideal"]
    assert [(row.count("█"), row.split()[-1]) for row in rows] == [(3, "ab"), (1, "ab")]
    assert all(cell_len(row) <= 80 for row in rows)
    wide = [line.plain for line in lines(crowded(("0.900", "0.900")), 90)]
    assert wide[1].split()[-2:] == ["ideal", "marks"]


def of_processes(rows: list[tuple[str, str, str]], names: list[str]) -> Answer:
    """The answer of a campaign of four hosts: of each row what it keeps, its ideal and its number of processes."""
    heads = ("model", "system", "runtime", "kept", "95 % interval", "worst", "ideal", "processes", "marks")
    cells = tuple(
        (name, "three_quarters", "onnxruntime", kept, "[0.796, 0.894]", "0.500", ideal, processes, "a, b")
        for name, (kept, ideal, processes) in zip(names, rows, strict=True)
    )
    return Answer("pictures: top1 kept within 50 ms", heads, cells, 3, (1.0,) * len(rows), ("good",) * len(rows), ())


MODELS = ["efficientnet_lite0", "efficientnet_lite2"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("0.865", "0.900", "3"), ("0.765", "0.900", "3")], "of an ideal 0.900, mean of 3 processes"),
        (
            [("0.865", "0.900", "3"), ("0.765", "0.800", "3")],
            "mean of 3 processes, of an ideal 0.900 (efficientnet_lite0) and 0.800 (efficientnet_lite2)",
        ),
        (
            [("0.865", "0.900", "3"), ("0.765", "0.900", "1")],
            "of an ideal 0.900, mean of 3 (efficientnet_lite0) and 1 (efficientnet_lite2) processes",
        ),
    ],
)
def test_repeats_and_unlike_ideals_leave_a_system_its_one_line_at_80_columns(rows: list[tuple[str, str, str]], said: str) -> None:
    answer = of_processes(rows, MODELS)
    text = " ".join(line.plain for line in lines(answer, 80))
    assert f"pictures: top1 kept within 50 ms, {said} model " in text
    printed = [line.plain for line in lines(answer, 80) if "three_quarters" in line.plain]
    assert [(line.split()[0], line.split()[-1], line.count("█")) for line in printed] == [(name, "ab", 4) for name in MODELS]
    assert all(cell_len(line) <= 80 for line in printed)
    assert next(lines(answer, 120)).plain == "pictures: top1 kept within 50 ms"  # where there is room, each row says its own


def test_ideals_that_follow_from_no_name_are_said_from_the_least_to_the_greatest() -> None:
    rows = [("0.865", "0.900", "2"), ("0.765", "0.800", "2"), ("0.765", "0.850", "2")]
    text = " ".join(line.plain for line in lines(of_processes(rows, [MODELS[0], MODELS[0], MODELS[1]]), 80))
    assert "mean of 2 processes, of an ideal 0.800 to 0.900 model " in text


def test_below_60_columns_rows_stack() -> None:
    answer = Answer("t", ("system", "kept"), (("a", "0.9"), ("b", "0.8")), 1, (1.0, 0.9), ("good", "bad"), ())
    assert [line.plain for line in lines(answer, 59)] == ["t", "system: a", "kept 0.9", "", "system: b", "kept 0.8", ""]
    assert [line.plain for line in lines(answer, 60)][1:] == [
        "system" + " " * 24 + "kept", "a       " + "█" * 20 + "   0.9", "b       " + "█" * 18 + "     0.8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "fine", "bar"),
    [(1.0, True, "████"), (0.0, True, "    "), (0.5, True, "██  "), (0.28, True, "█▏  "), (0.5, False, "##  "), (1.7, True, "████")],
)
def test_a_bar_is_as_full_as_its_share(share: float, fine: bool, bar: str) -> None:
    assert bar_of(share, 4, fine) == bar


def test_grades_follow_the_interval_and_flags() -> None:
    assert standing(0.9, 0.895, 0.9).grade(0.99) == "good"
    assert standing(0.9, 0.895, 0.9, flags=("drift",)).grade(0.99) == "doubtful"
    assert standing(0.88, 0.8, 0.895).grade(0.99) == "doubtful"
    assert standing(0.8, 0.7, 0.85).grade(0.99) == "bad"
    error = Scale(late=1.0, sign=-1.0)
    assert standing(0.1, 0.1, 0.105, scale=error, ideal=0.1).grade(0.99) == "good"
    assert standing(0.5, 0.4, 0.6, scale=error, ideal=0.1).grade(0.99) == "bad"


def test_what_all_share_is_said_once_and_models_stand_in_the_order_of_their_best() -> None:
    found = [standing(0.9, 0.8, 0.9, model="b"), standing(0.8, 0.7, 0.9, model="a", system="t"), standing(0.1, 0, 0.2, model="b")]
    assert (differing(found), shared(found)) == (["model", "system"], ["r"])
    assert [[one.mean for one in systems] for systems in by_model(found)] == [[0.9, 0.1], [0.8]]
    assert differing(found[:1]) == ["model"]


def test_columns_in_which_rows_are_equal_stand_in_the_note() -> None:
    table = Table("t", ["trial", "host", "why"], [["a", "vm", ""], ["b", "vm", ""]], "More.", frozenset(["host"]))
    made = condensed(table, ["trial"])
    assert (made.columns, made.rows, made.note) == (["trial"], [["a"], ["b"]], "In all: host vm. More.")
    alone = Table("t", ["trial", "host"], [["a", "vm"]])
    assert condensed(alone, ["trial"]) is alone
    assert re.fullmatch(r"", condensed(Table("t", ["trial", "why"], [["a", "x"], ["b", "y"]]), ["trial"]).note)
