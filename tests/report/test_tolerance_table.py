"""The table of tail quality averaged over users shows the rows of its result table, in report.md and on the page alike."""

from __future__ import annotations

from pathlib import Path

from small_campaign import measure_small

from orchestrator.analysis.ranking import ranking
from orchestrator.analysis.reading import readings
from orchestrator.commands.report import store_report
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.tolerance import ToleranceConfig
from orchestrator.report.html.first_screen import Asker
from orchestrator.report.html.glossary import UNCERTIFIED, flag_words
from orchestrator.report.html.sections import task_section
from orchestrator.report.text import quality, quality_within
from orchestrator.report.tolerance import tolerance_tables
from orchestrator.storage.reader import open_campaign


def test_the_best_system_stands_first_with_its_interval(tmp_path: Path) -> None:
    directory = measure_small(tmp_path / "small", rounds=6, repeat=2)
    results = store_report(directory, AnalysisConfig(tolerance=ToleranceConfig(median_ms=14, p95_ms=20)))
    rows = [row for row in open_campaign(directory).table("tolerance").to_pylist() if row["clock"] == "total"]
    rows.sort(key=lambda row: -row["mean"])
    [table] = tolerance_tables(results)
    assert "averaged over users: lognormal, median 14 ms, p95 20 ms" in table.title
    assert f" of {rows[0]['samples']} samples, " in table.title
    assert rows[0]["samples"] == open_campaign(directory).matrix(rows[0]["trial"]).outcome.shape[1]
    assert [row["processes"] for row in rows] == [2, 2]
    for row, cells in zip(rows, table.rows, strict=True):
        told = dict(zip(table.columns, cells, strict=True))
        assert told["system"] == row["system"]
        figure = f"{quality(row['mean'])} {quality_within(row['interval_low'], row['interval_high'], row.get('ideal'))}"
        assert told["averaged over users"].startswith(figure)
        assert figure in (directory / "report.md").read_text("utf-8")
    [reading] = readings(results, {})
    flags = {flag for name in results.tables for row in results.tables[name].to_pylist() for flag in row["flags"]}
    parts = task_section(0, Asker(reading, flag_words({*flags, UNCERTIFIED})), ranking(results, reading.group)).folded
    assert table in [found for part in parts for found in part.tables]


def test_without_a_law_there_is_no_table(tmp_path: Path) -> None:
    results = store_report(measure_small(tmp_path / "small"), AnalysisConfig())
    assert list(tolerance_tables(results)) == []
    assert results.tables["tolerance"].num_rows == 0
