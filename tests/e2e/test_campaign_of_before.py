"""A campaign that was stored before the modules were regrouped (2026-11) is reported with the same figures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from program import orchestrator

from orchestrator.storage.reader import open_campaign

LIMITS = ("interval_low", "interval_high")
BRACKETS = r" \\?\[[^]]*\]"
MARKS = r" (\\?\*|\([a-z](, [a-z])*\))(?=[ |])"
NO_LONGER = "threshold not certified"
"""Flag of rows that there are no more: a trial's own percentiles that its times cannot tell."""
DROPPED = ["not_exchangeable"]
"""Columns that there are no more."""
CERTIFIED_FROM = 120
"""Rounds that a certificate takes by now; then it took 30."""
MORE = r"; \d+ more rounds needed"
STORED = Path(__file__).parents[1] / "data" / "before_the_house"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the campaign, with a report of today."""
    folder = tmp_path_factory.mktemp("before") / "campaign"
    shutil.copytree(STORED / "campaign", folder)
    done = orchestrator("report", folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in (STORED / "expected").glob("*.parquet")))
def test_every_column_of_then_is_equal(reported: Path, name: str) -> None:
    """There may be more columns now, more parameters and further scopes. Limits of a bootstrap-t come from more resamples."""
    expected, found = (pq.read_table(folder / f"{name}.parquet") for folder in (STORED / "expected", reported))
    expected = expected.drop_columns([dropped for dropped in DROPPED if dropped in expected.column_names])
    assert found.select(expected.column_names).schema.equals(expected.schema, check_metadata=False)
    if "scope" in expected.column_names:
        found = found.filter(pc.is_in(found.column("scope"), pc.unique(expected.column("scope"))))
    if "flags" in expected.column_names:
        expected = expected.filter([NO_LONGER not in flags for flags in expected.column("flags").to_pylist()])
    drawn = [row.get("interval_method") == "bootstrap-t" for row in expected.to_pylist()]
    for column in expected.column_names:
        then, now = expected.column(column).to_pylist(), found.column(column).to_pylist()
        if name == "deadline" and column in {"reason", "more_rounds", "parameters"}:
            needed = [CERTIFIED_FROM - rounds for rounds in expected.column("rounds").to_pylist()]
            if column == "reason":
                assert now == [f"{reason}; {more} more rounds needed" for reason, more in zip(then, needed, strict=True)]
            elif column == "more_rounds":
                assert now == needed
        elif column == "parameters":
            assert all(set(row) <= set(today) for row, today in zip(then, now, strict=True))
        elif column == "interval_parameters":
            assert all(set(row) <= {*today, ("resamples", 4999.0)} for row, today in zip(then, now, strict=True))
        elif name == "tail_quality" and column in LIMITS:
            widths = pc.subtract(expected.column("interval_high"), expected.column("interval_low")).to_pylist()
            moved = [abs(today - limit) / width for limit, today, width in zip(then, now, widths, strict=True)]
            assert 10 < sum(drawn) < len(drawn)
            assert all(far <= 0.1 if by_lot else far == 0 for far, by_lot in zip(moved, drawn, strict=True)), column
        else:
            assert now == then, column


def test_every_row_of_the_report_is_equal(reported: Path) -> None:
    """But for marks of flags, which were one star for all, cores, now told as not held, and limits and rounds, which are compared above."""
    expected, found = (
        [
            re.sub(BRACKETS, "", re.sub(MARKS, "", re.sub(MORE, "", line.replace(" (not held to them)", ""))))
            for line in (folder / "report.md").read_text("utf-8").splitlines()
            if line.startswith("|") and NO_LONGER not in line
        ]
        for folder in (STORED / "expected", reported)
    )
    assert len(expected) > 40
    rest = iter(found)  # between them stand rows of tables that there were not yet
    assert [line for line in expected if line not in rest] == []


def test_evidence_that_was_not_recorded_then_explains_nothing(reported: Path) -> None:
    columns = set(pq.read_table(reported / "explain.parquet").column("column").to_pylist())
    assert "foreign_cpu_ns" in columns
    assert not columns & {"run_delay_ns", "cpu_pressure_ns", "interrupts", "throttled_ns", "program_cpu_ns"}
    rounds = open_campaign(reported).rounds(open_campaign(reported).record.trials[0].trial_id)
    assert rounds.column("run_delay_ns").null_count == rounds.num_rows > 0
