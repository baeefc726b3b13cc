"""Tables, verdict and figures of a report show the rows of the result tables, in the order that a reader asks."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.reading import readings
from orchestrator.contracts import InputError
from orchestrator.report.figures.chart import SECTIONS, Axis, Chart, Series
from orchestrator.report.figures.charts import MAKERS, charts_of
from orchestrator.report.figures.charts.causes import size_chart
from orchestrator.report.progress import Progress
from orchestrator.report.result_tables import problem_tables, shown, summary_tables
from orchestrator.report.text import milliseconds, quality

pytestmark = pytest.mark.slow  # the campaign takes seconds to measure


def rows(report: Any, name: str, **columns: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = report.results.tables[name].to_pylist()
    return [row for row in found if all(row[column] == value for column, value in columns.items())]


def test_every_cell_of_the_cross_system_tables_is_its_row(report: Any) -> None:
    tables = list(shown(report.results, "tail_quality"))
    assert [("reference" in table.title, "absolute" in table.title) for table in tables] == [(True, False), (False, True)]
    for table, origin in zip(tables, ("reference", "absolute"), strict=True):
        metric = re.search(r"\((\w+)\)", table.title)[1]  # type: ignore[index]
        stored = rows(report, "tail_quality", clock="total", slice="all", metric=metric, threshold_origin=origin)
        heads = [column for column in table.columns if column.endswith(("ms", "ms)"))]
        assert len(table.rows) * len(heads) == len(stored) > 8
        cells = [cell for row in table.rows for cell in row[-len(heads) :]]
        assert sorted(cell.split()[0] for cell in cells) == sorted(quality(row["mean"]) for row in stored)


def test_the_deadlines_are_those_of_the_rows(report: Any) -> None:
    [table] = shown(report.results, "deadline")
    for row in rows(report, "deadline", clock="total", reference="own", certified=True):
        assert any(milliseconds(row["deadline_ns"]) in " ".join(cells) for cells in table.rows)


def test_latency_of_every_trial_and_clock_stands_in_a_table(report: Any) -> None:
    tables = list(shown(report.results, "latency"))
    trials = {row["trial"] for row in rows(report, "latency")}
    assert sum(len(table.rows) for table in tables) >= len(trials)
    cells = [cell for table in tables for row in table.rows for cell in row]
    assert not any("-]" in cell for cell in cells)


def test_failed_trials_stand_among_the_problems_and_not_in_the_summary(report: Any) -> None:
    failed = [planned.trial_id for planned in report.results.campaign.trials if planned.state == "failed"]
    assert failed
    problems = " ".join(" ".join(row) for table in problem_tables(report.results) for row in table.rows)
    assert all(trial_id in problems for trial_id in failed)
    assert all(table.rows for table in summary_tables(report.results))


def test_comparisons_stand_at_the_primary_threshold_unless_all_are_asked_for(report: Any) -> None:
    one, every = (list(shown(report.results, "comparison", everywhere=everywhere)) for everywhere in (False, True))
    assert 0 < len(one) < len(every)
    assert {table.title for table in one} <= {table.title for table in every}


def test_figures_come_in_the_order_of_the_sections(report: Any) -> None:
    charts = charts_of(readings(report.results, report.evidence)[0])
    assert [chart.name for chart in charts] == [
        "tail-quality", "density", "distribution", "percentiles", "rounds", "rounds-histogram", "ranking", "rjsd", "prediction",
        "stages", "evidence",
    ]  # fmt: skip
    places = [SECTIONS.index(chart.section) for chart in charts]
    assert places == sorted(places)
    assert len(MAKERS) == len(charts) + 2  # the inputs have too few sizes, and nothing was searched


@pytest.mark.parametrize(("sizes", "drawn"), [(4, False), (5, True)])
def test_time_is_drawn_against_input_size_from_five_sizes_on(report: Any, sizes: int, drawn: bool) -> None:
    reading = readings(report.results, report.evidence)[0]
    entries = tuple(replace(entry, data=replace(entry.data, input_sizes=np.arange(20) % sizes)) for entry in reading.entries)
    assert bool(size_chart(replace(reading, entries=entries, systems=entries)).series) is drawn


def test_every_series_of_a_figure_belongs_to_a_trial_of_it_or_to_none(report: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    keys = {entry.key for entry in reading.entries} | {""}
    assert all({series.entry for series in chart.series} <= keys for chart in charts_of(reading))


def test_progress_writes_nothing_where_it_is_quiet() -> None:
    stream = io.StringIO()
    with Progress(0, None) as quiet:
        quiet.say("composed 50 of 100 trials")
    with Progress(0, stream) as loud:
        loud.say("composed 50 of 100 trials")
    assert "composed 50 of 100 trials" in stream.getvalue()


def test_a_figure_says_where_it_stands_and_how_it_is_drawn() -> None:
    with pytest.raises(InputError, match=r"figure mine: section='latencies': must be one of quality, latency, "):
        Chart("mine", "latencies", "", "", Axis("x"), Axis("y"), ())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"series one: kind='lines': must be one of line, step, points, bars"):
        Series("one", ["a"], np.zeros(1), "lines")  # type: ignore[arg-type]
