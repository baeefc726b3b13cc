"""Tables, verdict and figures of a report show the rows of the result tables, in the order that a reader asks."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from orchestrator.commands.progress import Progress
from orchestrator.report.markdown import folds
from orchestrator.report.result_tables import problem_tables, shown
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
    assert all(table.rows for table in [table for _, tables in folds(report.results) for table in tables])


def test_progress_writes_nothing_where_it_is_quiet() -> None:
    stream = io.StringIO()
    with Progress(0, None) as quiet:
        quiet.say("composed 50 of 100 trials")
    with Progress(0, stream) as loud:
        loud.say("composed 50 of 100 trials")
    assert "composed 50 of 100 trials" in stream.getvalue()
