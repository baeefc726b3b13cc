"""Tables of predictions and of fresh processes show the rows of their result tables."""

from __future__ import annotations

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.claims import prediction_tables, process_tables
from orchestrator.report.text import quality, quality_within
from orchestrator.storage.reader import open_campaign


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    """Three repeats of 24 rounds, on a clock of their own."""
    directory = measure_small(tmp_path_factory.mktemp("claims") / "small", rounds=24, repeat=3)
    return analyse(open_campaign(directory), AnalysisConfig(primary="p50"))


def test_a_prediction_tells_its_limits_and_how_often_they_held(results: CampaignAnalysis) -> None:
    rows = results.tables["prediction"].to_pylist()
    tables = list(prediction_tables(results))
    notes = " ".join(table.note for table in tables)
    for method in {row["method"] for row in rows}:
        inside = [row["inside"] for row in rows if row["method"] == method and row["inside"] is not None]
        assert f"{method} in {sum(inside)} of {len(inside)} ({sum(inside) / len(inside):.0%})" in notes
    shown = [row for row in rows if (row["clock"], row["threshold"]) == ("total", "p95") and row["inside"] is not None]
    cells = {cell for table in tables for row in table.rows for cell in row}
    for row in shown:
        figure = f"{quality(row['predicted_mean'])} {quality_within(row['predicted_low'], row['predicted_high'])}"
        assert any(cell.startswith(figure) for cell in cells)


def test_fresh_processes_stand_at_the_primary_threshold(results: CampaignAnalysis) -> None:
    [table] = process_tables(results)
    rows = [row for row in results.tables["processes"].to_pylist() if row["primary"]]
    assert "repeat" not in table.columns
    assert len(table.rows) == len(rows) == 2
    for row, cells in zip(rows, table.rows, strict=True):
        told = dict(zip(table.columns, cells, strict=True))
        assert told["repeats"] == "3"
        assert told["mean [95 % interval]"].startswith(
            f"{quality(row['mean'])} {quality_within(row['interval_low'], row['interval_high'], row.get('ideal'))}"
        )
        assert [told[name] for name in ("process sd", "round sd")] == [f"{row[name]:.4f}" for name in ("process_sd", "round_sd")]
        assert f"{row['split_processes']} processes of {row['split_rounds']} rounds" in told["best split"]
