"""The answer: names that differ, what is kept with its interval, and marks."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

from orchestrator.analysis.ranking import Ranking, Standing, by_model, differing, shared
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.result_tables import answers
from orchestrator.report.table import Table, condensed


def standing(mean: float, low: float, high: float, *, processes: int = 1, flags: tuple[str, ...] = (), **names: str) -> Standing:
    known = {"model": "m", "system": "s", "runtime": "r", "batch": "1", "settings": ""} | names
    return Standing(known, ("id",), mean, low, high, low, 0.9, PLAIN, processes, flags)


def ranked(*found: Standing) -> list[Ranking]:
    primary = SimpleNamespace(label="50 ms", ns=50_000_000, origin="absolute")
    thresholds = SimpleNamespace(primary=primary)
    data = SimpleNamespace(metric="top1", record=SimpleNamespace(trial=None))
    group = SimpleNamespace(task="numbers", trials=[data], thresholds=thresholds)
    return [Ranking(cast("Any", group), found)]


def test_a_row_has_the_names_that_differ_and_the_figures_as_they_are_rounded() -> None:
    found = standing(0.8655, 0.8501, 0.9, system="a"), standing(0.5, 0.41, 0.58, system="b", flags=("drift",))
    (table,) = answers(ranked(*found))
    assert table.title == "numbers, m, r: top1 kept within 50 ms"
    assert list(table.columns) == ["system", "kept", "95 % interval", "worst round", "ideal", "flags"]
    assert [list(row) for row in table.rows] == [
        ["a", "0.866", "[0.850, 0.900]", "0.850", "0.900", ""],
        ["b", "0.500", "[0.410, 0.580]", "0.410", "0.900", "a, b"],
    ]
    assert table.right == {"kept", "95 % interval", "worst round", "ideal"}
    assert table.note.startswith("(a) drift: ")
    assert "(b) unsteady: " in table.note
    assert next(answers(ranked(*found), brief=True)).note == "(a) drift, (b) unsteady"


def test_processes_are_a_column_where_a_system_has_several_and_marks_where_one_has_any() -> None:
    (table,) = answers(ranked(standing(0.9, 0.89, 0.9, processes=3), standing(0.8, 0.79, 0.81, system="t")))
    assert list(table.columns)[-2:] == ["ideal", "processes"]
    assert [row[-1] for row in table.rows] == ["3", "1"]
    assert list(answers(ranked())) == []


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
