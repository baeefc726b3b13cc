"""Slices stand in report.md, in the full summary and on the page where they were asked for, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.flags import FLAGS
from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.reading import readings
from orchestrator.commands.report import store_report
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.html.first_screen import Asker
from orchestrator.report.html.glossary import UNCERTIFIED, flag_words
from orchestrator.report.html.sections import task_section
from orchestrator.report.result_tables import summary_tables
from orchestrator.report.sliced import MOST_GROUPS, most_lost, slice_tables
from orchestrator.report.table import Table
from orchestrator.report.text import quality, quality_within
from orchestrator.storage.reader import open_campaign


def tables_of_page(results: CampaignAnalysis) -> list[Table]:
    [reading], [ranked] = readings(results, {}), rankings(results)
    flags = {flag for name in results.tables for row in results.tables[name].to_pylist() for flag in row["flags"]}
    section = task_section(0, Asker(reading, flag_words({*flags, UNCERTIFIED})), ranked)
    return [table for part in section.folded for table in part.tables]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measure_small(tmp_path_factory.mktemp("sliced") / "small")


def test_every_group_stands_below_the_whole(directory: Path) -> None:
    results = store_report(directory, AnalysisConfig(thresholds_ms=(14,), primary="14 ms", slices=("parity", "size")))
    tables = list(slice_tables(results))
    assert [table.title.partition(" by ")[2] for table in tables] == [
        f"{name} ({metric}, total time) within 14 ms" for metric in ("top1", "top5") for name in ("parity", "size")
    ]
    stored = [
        row for row in open_campaign(directory).table("slices").to_pylist() if row["clock"] == "total" and row["threshold"] == "14 ms"
    ]
    told = [dict(zip(tables[0].columns, cells, strict=True)) for cells in tables[0].rows]
    assert [row["group"] for row in told] == ["all", "all", "even", "even", "odd", "odd"]
    for row in told[2:]:
        [found] = [
            found for found in stored
            if (found["metric"], found["name"], found["group"], found["system"]) == ("top1", "parity", row["group"], row["system"])
        ]  # fmt: skip
        assert row["samples"] == str(found["members"]) == "3"
        assert row["mean [95 % interval]"].startswith(
            f"{quality(found['mean'])} {quality_within(found['interval_low'], found['interval_high'], found['ideal'])}"
        )
    assert FLAGS["few samples"].meaning in tables[0].note
    assert tables[0].title in {table.title for table in summary_tables(results)}
    assert "by parity" in (directory / "report.md").read_text("utf-8")
    assert [table for table in tables_of_page(results) if " by " in table.title] == tables[:2]  # of the primary metric alone


def test_nothing_of_them_stands_where_nobody_asked(directory: Path) -> None:
    results = store_report(directory, AnalysisConfig())
    assert results.tables["slices"].num_rows == 0
    assert list(slice_tables(results)) == []
    assert not [table for table in tables_of_page(results) if " by " in table.title]
    titles = [table.title for table in tables_of_page(results)]
    assert "First inferences, memory and changed answers of numbers" in titles
    assert "First inferences, memory and changed answers of numbers" in {table.title for table in summary_tables(results)}
    assert "changed answers of numbers" in (directory / "report.md").read_text("utf-8")


def test_of_many_groups_those_that_lose_most_are_shown_in_their_order() -> None:
    rows = [{"group": str(group), "ideal": 1.0, "mean": 1 - group / 100} for group in range(30) for _ in range(2)]
    shown, left_out = most_lost(rows)
    assert left_out == 30 - MOST_GROUPS
    assert [row["group"] for row in shown] == [str(group) for group in range(10, 30) for _ in range(2)]
    assert most_lost(rows[:4]) == (rows[:4], 0)
