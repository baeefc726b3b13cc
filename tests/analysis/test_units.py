"""What counts as a unit of intervals, and what its number says of the figures of every table."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from built_trials import build_trial, rows_made
from scipy.stats import beta, t

from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import FEW, ONE_STRETCH, begins_ns, visits_apart
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.records import Process

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(22.0,))
SPELLS = np.repeat([1.0, 1.2], 10)


def row_of(data: TrialData) -> dict[str, Any]:
    found = [dict(row) for row in rows_made("tail_quality", [data], ANALYSIS)]
    [row] = [row for row in found if row["clock"] == PRIMARY_CLOCK and row["threshold"] == "22 ms"]
    return row


def slow_spells(noise: Any, rounds: int) -> np.ndarray:
    """Half of the rounds at a slower speed, ten in a row."""
    return noise(rounds, 20, 20) * np.resize(SPELLS, rounds)[:, None]


def test_the_interval_of_a_mean_is_that_of_korn_and_graubard_over_visits(noise: Any) -> None:
    times, visits = slow_spells(noise, 60), np.repeat(np.arange(30), 2)
    row = row_of(build_trial("a", times, visits=visits))
    assert (row["interval_method"], row["interval_unit"], row["flags"]) == ("korn-graubard", "visits", [])
    share = (times > 22).mean(axis=1).reshape(30, 2).mean(axis=1)
    angles = np.pi * (np.arange(30) + 0.5) / 30
    cosines = [np.sqrt(2 / 30) * (share * np.cos(j * angles)).sum() for j in (1, 2, 3, 4)]
    variance = max(share.var(ddof=1), np.mean(np.square(cosines))) / 30
    p, n = share.mean(), 1200
    effective = n / (variance / (p * (1 - p) / n)) * (t.ppf(0.975, n - 1) / t.ppf(0.975, 4)) ** 2
    x = p * effective
    assert 1 - row["interval_high"] == pytest.approx(beta.ppf(0.025, x, effective - x + 1))
    assert 1 - row["interval_low"] == pytest.approx(beta.ppf(0.975, x + 1, effective - x))
    given = dict(row["interval_parameters"])
    assert (given["units"], given["degrees"], given["n_eff"]) == (30, 4, pytest.approx(effective))


@pytest.mark.parametrize(
    ("visits", "unit", "flags"),
    [(None, "rounds", [ONE_STRETCH]), (11, "rounds", [ONE_STRETCH]), (12, "visits", [FEW]), (19, "visits", [FEW]), (20, "visits", [])],
)
def test_few_visits_are_flagged_whatever_the_rounds_show(noise: Any, visits: int | None, unit: str, flags: list[str]) -> None:
    numbers = None if visits is None else np.arange(60) * visits // 60
    data = build_trial("a", noise(60, 20, 20), visits=numbers)
    row = row_of(data)
    assert (row["interval_unit"], row["flags"]) == (unit, flags)
    assert dict(row["interval_parameters"])["units"] == (60 if unit == "rounds" else visits)
    for one in rows_made("latency", [data], ANALYSIS):
        assert (one["unit"], [flag for flag in one["flags"] if flag != "not certified"]) == (unit, flags)


def rounds_of(pause_s: float, visit_rounds: int, lead_in: int = 0) -> tuple[np.ndarray, pa.Table]:
    """Twenty rounds of 1 s, four inferences each, with pauses between visits."""
    visits = np.repeat(np.arange(20 // visit_rounds, dtype=np.int32), visit_rounds)
    began_ns = (1e9 * (np.arange(20) + pause_s * visits)).astype(np.int64)
    columns = {"lead_in": [lead_in] * 20, "duration_ns": [10**9] * 20, "started_monotonic_ns": began_ns}
    return visits, pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("pause_s", "visit_rounds", "lead_in", "apart"),
    [
        (4.4, 5, 0, False),
        (4.6, 5, 0, True),
        (0.0, 1, 0, False),
        (0.8, 1, 0, False),
        (1.0, 1, 0, True),
        (1.0, 1, 2, False),
        (2.5, 1, 2, True),
    ],
)
def test_visits_lie_apart_where_pauses_last_as_long(pause_s: float, visit_rounds: int, lead_in: int, apart: bool) -> None:
    """Inferences that lead into a visit belong to it: two of four take half a second."""
    visits, rounds = rounds_of(pause_s, visit_rounds, lead_in)
    record = build_trial("a", np.full((2, 1), 20.0)).record
    assert (visits_apart(record, rounds, visits, 4) is visits) is apart


@pytest.mark.parametrize(("starts", "steady"), [(["one", "one"], True), ([], True), (["one", "two"], False), ([None], False)])
def test_rounds_begin_by_the_steady_clock_of_one_start_of_the_machine(starts: list[str | None], steady: bool) -> None:
    record = build_trial("a", np.full((2, 1), 20.0)).record
    processes = [
        Process(process=number, pid=1, host="h", started_at=datetime(2026, 1, 1, tzinfo=UTC), boot_id=boot_id)
        for number, boot_id in enumerate(starts)
    ]
    set_back = pa.array([2_000_000, 1_000_000], pa.timestamp("us", "UTC"))
    rounds = pa.table({"started_at": set_back, "started_monotonic_ns": [5, 6]})
    began = begins_ns(record.model_copy(update={"processes": tuple(processes)}), rounds)
    assert began.tolist() == ([5, 6] if steady else [2 * 10**9, 10**9])
