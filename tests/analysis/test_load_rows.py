"""Figures of trials under load, of arrivals, waits and times made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loaded_trials import loaded_trial

from orchestrator.analysis.groups import grouped
from orchestrator.analysis.latency import latency_rows
from orchestrator.analysis.load import LoadRow, load_rows
from orchestrator.analysis.tail_quality import tail_quality_rows
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.figures.grid import counted, grid_of
from orchestrator.storage.stored_form import table_of
from orchestrator.storage.typed_rows import form_of

ROUNDS, SAMPLES = 24, 10
EVENLY = np.tile(np.arange(2 * SAMPLES).reshape(2, SAMPLES) * 50.0, (ROUNDS // 2, 1))
NEVER = np.full((ROUNDS, SAMPLES), np.inf)


@pytest.mark.parametrize("others", [0, 2], ids=["alone", "beside two"])
@pytest.mark.parametrize("primary", [None, "200 ms"])
def test_a_trial_of_which_nothing_was_served_is_late_throughout_and_ends_no_report(noise: Any, others: int, primary: str | None) -> None:
    served = [loaded_trial(f"served{number}", noise(ROUNDS, SAMPLES, 15), EVENLY) for number in range(others)]
    dropped = [loaded_trial(f"dropped{number}", NEVER, EVENLY) for number in range(3)]
    analysis = AnalysisConfig(primary=primary)
    (group,) = grouped([*dropped, *served], analysis)
    reference = group.thresholds.reference
    assert reference is not None
    assert reference.trial.startswith("net-served" if others else "net-dropped")
    assert (group.thresholds.primary is None) == (not others and primary != "200 ms")
    for clock in group.clocks:
        grid = grid_of(group, clock, [counted(data.inferences[clock]) for data in group.trials])
        assert grid.ns.size > 0
        assert 0 <= grid.start < grid.ns.size
    [data] = dropped[:1]
    assert all(row["mean"] == 0 for row in tail_quality_rows(data, group.thresholds, (), analysis))
    assert {row["value_ns"] for row in latency_rows(data, (), analysis)} == {None}
    [row] = load_rows(data, ())
    assert (row["utilisation"], row["mean_wait_ns"], row["dropped_share"]) == (None, None, 1)
    assert table_of([row], form_of(LoadRow)).num_rows == 1
