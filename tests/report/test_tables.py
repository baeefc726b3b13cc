"""Tables of reports: rows of declared tables cell by cell, in every width, with names that tell trials apart."""

import io
import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from null_trials import named
from rich.cells import cell_len
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import grouped
from orchestrator.analysis.table import Column, tables, views
from orchestrator.commands.reading import store_report
from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.report.markdown import folds
from orchestrator.report.result_tables import MOST_ROWS, shown
from orchestrator.report.table import Table, cell
from orchestrator.report.terminal import Terminal, wrapped
from orchestrator.report.text import quality, quality_within
from orchestrator.report.trial_names import id_ends, said_once, short_names, with_names
from orchestrator.storage.records import PlannedTrial

SETTINGS = AnalysisConfig(
    primary="14 ms",
    slices=("parity",),
    tolerance=ToleranceConfig(median_ms=14, p95_ms=20),
    together_ms={"inference": 9, "total": 14},
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    """Three repeats of 24 rounds, on a clock of their own."""
    directory = measure_small(tmp_path_factory.mktemp("shown") / "small", rounds=24, repeat=3)
    return store_report(directory, SETTINGS)[0]


def told(table: Any) -> list[dict[str, str]]:
    return [dict(zip(table.columns, cells, strict=True)) for cells in table.rows]


def interval(row: Any, *names: str) -> str:
    low, mean, high = (row[name] for name in names or ("interval_low", "mean", "interval_high"))
    return quality(mean) if low is None else f"{quality(mean)} {quality_within(low, high, row.get('ideal'))}"


@pytest.mark.parametrize(
    ("name", "where", "head", "figure"),
    [
        ("tolerance", {"clock": "total"}, "averaged over users", interval),
        ("processes", {"primary": True}, "mean [95 % interval]", interval),
        ("together", {"clock": "inference and total", "metric": "top1"}, "kept", interval),
        ("other_metrics", {"metric": "top5", "clock": "total", "threshold": "14 ms", "slice": "all"},
         "mean [95 % interval]", interval),
        ("prediction", {"clock": "total", "threshold": "p95"}, "mean [95 % interval]",
         lambda row: interval(row, "predicted_low", "predicted_mean", "predicted_high")),
    ],
)  # fmt: skip
def test_figures_stand_with_their_limits(results: CampaignAnalysis, name: str, where: Any, head: str, figure: Callable[[Any], str]) -> None:
    [table] = shown(results, name)
    stored = [row for row in results.rows(views()[name][0].name) if where.items() <= row.items()]
    assert len(table.rows) == len(stored) > 1
    for row, cells in zip(stored, told(table), strict=True):
        assert cells["system"] == row["system"]
        assert cells[head].startswith(figure(row))
        assert head in table.right
    assert "None" not in " ".join(cell for row in table.rows for cell in row)


def test_every_group_of_a_slice_stands_in_a_table_by_metric(results: CampaignAnalysis) -> None:
    found = list(shown(results, "slices"))
    assert [table.title.partition(" by ")[2] for table in found] == [
        f"parity ({metric}, total time) within 14 ms" for metric in ("top1", "top5")
    ]
    assert {cells["group"] for cells in told(found[0])} == {"even", "odd"}
    assert "few samples" in found[0].note
    assert found[0].title in {table.title for table in [table for _, tables in folds(results) for table in tables]}


def test_equal_rows_stand_once_and_too_many_are_cut(results: CampaignAnalysis) -> None:
    [row, *_] = [row for row in results.rows("slices") if row["threshold"] == "14 ms" and row["clock"] == "total"]
    rows = [{**row, "group": f"g{number}", "mean": number / 1000} for number in range(300)]
    table = tables()["slices"]
    many = replace(results, tables={**results.tables, "slices": type(results.tables["slices"]).from_pylist([*rows, *rows], table.schema)})
    [found] = shown(many, "slices")
    assert len(found.rows) == MOST_ROWS // 2
    assert [cells["group"] for cells in told(found)] == [f"g{number}" for number in range(MOST_ROWS // 2)]
    assert "400 rows" in found.note


@pytest.mark.parametrize(
    ("form", "value", "limits", "text"),
    [
        ("quality [low, high]", 0.5, (0.4, 0.6), "0.500 [0.400, 0.600]"),
        ("quality [low, high]", 0.5, (None, 0.6), "0.500"),
        ("signed [low, high]", 0.01, (0.0, 0.02), "+0.010 [0.000, +0.020]"),
        ("ms [low, high]", 12_340_000, (11_000_000, 13_000_000), "12.3 ms [11.0, 13.0]"),
        ("number .2f", 1.234, (), "1.23"),
        ("share", 0.123, (), "12.3 %"),
        ("percentile", 99.0, (), "p99"),
        ("count", None, (), "-"),
        ("per_s", 12.34, (), "12.34/s"),
        ("p", 0.0001, (), "< 0.001"),
        ("delay", 12_300, (), "12.3 µs"),
        ("text", None, (), ""),
        ("flags", ["a", "b"], (), "a, b"),
    ],
)
def test_forms(form: str, value: Any, limits: Any, text: str) -> None:
    [group] = grouped([build_trial("a", np.full((5, 4), 10.0))], AnalysisConfig())
    row = {"x": value, **dict(zip(("low", "high"), limits, strict=False))}
    assert cell(Column("x", "float?", "", "x", form), row, group) == text


WORDS = st.text(string.ascii_letters + string.digits + "_.-/é漢", min_size=1, max_size=12)
LONG = st.builds(lambda start, end: (start * 9)[: 60 - len(end)] + end, st.sampled_from(["cpu_all-", "torch_", "x"]), WORDS)
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)
FIGURES = st.sampled_from(["0.867 [0.859, 0.877] / 0.850 *", "1.23 ms", "-", "12"])
KINDS = {"trial": LONG, "system": LONG, "runtime": WORDS, "why": SENTENCES, "10 ms": FIGURES, "rounds done": FIGURES, "state": WORDS}


@st.composite
def drawn_tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    rows = draw(st.lists(st.tuples(*(KINDS[column] for column in columns)), min_size=1, max_size=5, unique=True))
    return Table("A title " * 5, columns, rows, "A note " * 20, frozenset(["10 ms", "rounds done"]))


def printed(table: Table, width: int | str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        Terminal(stream).table(table)
    return stream.getvalue().splitlines()


@settings(max_examples=60)
@given(drawn_tables(), st.integers(20, 200))
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
        for head, text in zip(table.columns, row, strict=True):
            assert head not in table.right or any(text in line for line in lines)


def test_a_word_is_broken_nowhere_so_that_it_can_be_pasted() -> None:
    assert wrapped("of at/all-of_it/and_more now", 9) == ["of", "at/all-of_it/and_more", "now"]


@pytest.mark.parametrize("told", ["", "0", "wide", "-3", "²"])
def test_a_pipe_has_120_columns_unless_columns_is_a_number(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Table("T", ["trial", "why"], [["a", "word " * 99 + "end"], ["b", ""]], "note " * 60)
    assert 110 < max(map(len, printed(wide, told, monkeypatch))) <= 120
    assert 190 < max(map(len, printed(wide, "200", monkeypatch))) <= 200


def planned(trial_id: str, system: str, **blocks: dict[str, Any]) -> PlannedTrial:
    return named(trial_id, model={"name": "a_model"}, task={"name": "pictures"}, system={"name": system}, **blocks)


IDS = ["a_model-pictures-cpu_1-torch-b1-01234567-r0", "a_model-pictures-cpu_2-torch-b1-89abcdef-r0"]
TABLE = Table("Campaign", ["trial", "state", "rounds"], [[IDS[0], "done", "3"], [IDS[1], "done", "4"]])
NAMED_TRIALS = [planned(IDS[0], "cpu_1"), planned(IDS[1], "cpu_2")]
LOADS = [
    planned(trial_id, system, load={"name": "poisson", "rate_per_s": rate})
    for trial_id, system, rate in zip(IDS, ("cpu_1", "cpu_2"), (10.0, 20.0), strict=True)
]


@pytest.mark.parametrize(
    ("trials", "apart", "names"), [(NAMED_TRIALS, ["system"], ["cpu_2"]), (LOADS, ["system", "load"], ["cpu_2", "poisson 20/s"])]
)
def test_else_what_all_share_is_said_once_and_the_end_of_an_id_names_it(
    trials: Sequence[PlannedTrial], apart: list[str], names: list[str]
) -> None:
    made = with_names(TABLE, trials, 57)
    assert made.columns == [*apart, "rounds", "id ends"]
    assert made.rows[1] == [*names, "4", "89abcdef-r0"]
    assert made.note.startswith("In all: model a_model, task pictures, runtime torch, ")


def test_an_id_whose_end_is_that_of_another_is_whole() -> None:
    assert id_ends(["x-torch-r0", "y-torch-r0", "y-torch-r1"]) == ["x-torch-r0", "y-torch-r0", "torch-r1"]


def test_trials_are_called_by_what_differs_among_them() -> None:
    assert short_names(NAMED_TRIALS) == {IDS[0]: "cpu_1", IDS[1]: "cpu_2"}
    assert short_names(LOADS) == {IDS[0]: "cpu_1 poisson 10/s", IDS[1]: "cpu_2 poisson 20/s"}
    assert short_names(NAMED_TRIALS[:1]) == {IDS[0]: "a_model"}
    alike = [NAMED_TRIALS[0], planned("other-r0", "cpu_1")]
    assert short_names(alike) == {IDS[0]: IDS[0], "other-r0": "other-r0"}
    budgets = [named(f"b{tokens}-r0", model={"max_tokens": tokens}) for tokens in (4, 64)]
    assert short_names(budgets, settings=True) == {"b4-r0": "model.max_tokens=4", "b64-r0": "model.max_tokens=64"}


PLAN = [planned(f"{system}-r{repeat}", system) for system in ("cpu_1", "cpu_2", "cpu_3") for repeat in (0, 1)]


@pytest.mark.parametrize(
    ("ids", "whom"),
    [
        ([one.trial_id for one in PLAN], "all trials"),
        (["cpu_1-r0"], "cpu_1 r0"),
        (["cpu_1-r0", "cpu_2-r1"], "cpu_1 r0, cpu_2 r1"),
        (["cpu_1-r0", "cpu_1-r1", "cpu_3-r0", "cpu_3-r1"], "system cpu_1, cpu_3 (4 trials)"),
        (["cpu_1-r1", "cpu_2-r1", "cpu_3-r1"], "repeat 1 (3 trials)"),
    ],
)
def test_a_remark_names_whom_it_is_true_of(ids: list[str], whom: str) -> None:
    assert list(said_once(PLAN, {one: ["no", "no"] for one in ids})) == [(whom, "no")]
