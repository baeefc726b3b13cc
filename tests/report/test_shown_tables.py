"""Tables of reports show the rows of declared tables, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import grouped
from orchestrator.analysis.table import Column, tables, views
from orchestrator.commands.reading import store_report
from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.report.markdown import FOLDED, folds
from orchestrator.report.result_tables import MOST_ROWS, shown, shown_in
from orchestrator.report.table import FORMATTERS, TEXTS, cell
from orchestrator.report.text import quality, quality_within

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


@pytest.mark.parametrize("name", views())
def test_every_view_has_a_known_section_and_forms(name: str) -> None:
    declared, view = views()[name]
    assert view.section in {*dict(FOLDED), "One trial"}
    forms = {column.form.partition(" ")[0] for column in declared.columns}
    assert forms <= {*FORMATTERS, *TEXTS, "number"}


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


def test_repeats_that_stand_as_one_are_not_numbered(results: CampaignAnalysis) -> None:
    [processes], [quality_at, *_] = shown(results, "processes"), shown(results, "tail_quality")
    assert "repeat" not in processes.columns
    assert "repeat" in quality_at.columns
    assert {cells["repeats"] for cells in told(processes)} == {"3"}


def test_every_group_of_a_slice_stands_in_a_table_by_metric(results: CampaignAnalysis) -> None:
    found = list(shown(results, "slices"))
    assert [table.title.partition(" by ")[2] for table in found] == [
        f"parity ({metric}, total time) within 14 ms" for metric in ("top1", "top5")
    ]
    assert {cells["group"] for cells in told(found[0])} == {"even", "odd"}
    assert "few samples" in found[0].note
    assert found[0].title in {table.title for table in [table for _, tables in folds(results) for table in tables]}


def test_scopes_of_a_difference_stand_side_by_side(results: CampaignAnalysis) -> None:
    [table] = shown(results, "comparison")
    assert set(table.columns) > {"minus baseline", "this data set", "fresh processes"}
    [row] = [row for row in results.rows("comparison") if row["scope"] == "fresh processes"]
    [cells] = [one for one in told(table) if row["verdict"] in one["fresh processes"]]
    assert cells["fresh processes"].startswith(f"{row['difference']:+.3f} [")


def test_nothing_is_shown_of_what_nobody_asked_for(tmp_path: Path) -> None:
    plain = store_report(measure_small(tmp_path / "small"), AnalysisConfig())[0]
    for name in ("tolerance", "slices", "together", "processes"):
        assert list(shown(plain, name)) == []
    assert not (tmp_path / "small" / "tolerance.parquet").exists()
    assert list(shown_in(plain, "Deadlines kept"))


def test_equal_rows_stand_once_and_too_many_are_cut(results: CampaignAnalysis) -> None:
    [row, *_] = [row for row in results.rows("slices") if row["threshold"] == "14 ms" and row["clock"] == "total"]
    rows = [{**row, "group": f"g{number}", "mean": number / 1000} for number in range(300)]
    table = tables()["slices"]
    many = replace(results, tables={**results.tables, "slices": type(results.tables["slices"]).from_pylist([*rows, *rows], table.schema)})
    [found] = shown(many, "slices")
    assert len(found.rows) == MOST_ROWS // 2
    assert [cells["group"] for cells in told(found)] == [f"g{number}" for number in range(MOST_ROWS // 2)]
    assert "400 rows are not shown" in found.note


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
