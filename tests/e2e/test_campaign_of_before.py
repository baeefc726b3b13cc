"""A campaign that was stored before the modules were regrouped (2026-11) is reported with the same figures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from program import orchestrator
from stored_corpus import distance_of

from orchestrator.storage.reader import open_campaign

NO_LONGER = "threshold not certified"
"""Flag of rows that there are no more: a trial's own percentiles that its times cannot tell."""
OF_INTERVALS = {
    "interval_low", "interval_high", "interval_low_ns", "interval_high_ns", "interval_method", "interval_parameters",
    "design_effect", "effective_samples", "samples_beyond", "not_exchangeable", "flags", "verdict", "certified", "reason",
    "more_rounds", "method", "parameters",
}  # fmt: skip
"""Columns of intervals, and of what rests on them, which newer statistics give otherwise."""
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
def test_every_number_of_then_is_equal(reported: Path, name: str) -> None:
    """There may be more columns and further scopes now."""
    expected, found = (pq.read_table(folder / f"{name}.parquet") for folder in (STORED / "expected", reported))
    if "scope" in expected.column_names:
        found = found.filter(pc.is_in(found.column("scope"), pc.unique(expected.column("scope"))))
    if "flags" in expected.column_names:
        expected = expected.filter([NO_LONGER not in flags for flags in expected.column("flags").to_pylist()])
    columns = [column for column in expected.column_names if column not in OF_INTERVALS]
    assert found.select(columns).schema.equals(expected.select(columns).schema, check_metadata=False)
    for column in columns:
        then, now = expected.column(column).to_pylist(), found.column(column).to_pylist()
        assert len(now) == len(then)
        assert [pair for pair in zip(then, now, strict=True) if distance_of(*pair) is not None] == [], column


def test_evidence_that_was_not_recorded_then_explains_nothing(reported: Path) -> None:
    columns = set(pq.read_table(reported / "explain.parquet").column("column").to_pylist())
    assert "foreign_cpu_ns" in columns
    assert not columns & {"run_delay_ns", "cpu_pressure_ns", "interrupts", "throttled_ns", "program_cpu_ns"}
    rounds = open_campaign(reported).rounds(open_campaign(reported).record.trials[0].trial_id)
    assert rounds.column("run_delay_ns").null_count == rounds.num_rows > 0
