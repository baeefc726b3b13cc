from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from orchestrator.analysis.comparison import THIS_DATA_SET, common_cycles, comparison_rows, contests_of
from orchestrator.analysis.dependence import DRIFT, FEW_ROUNDS, dependence_of_rows, dependent_rows, flags_of_rows
from orchestrator.analysis.groups import grouped
from orchestrator.analysis.latency import latency_rows
from orchestrator.analysis.quality import Stake, intervals_of, intervals_to_come
from orchestrator.analysis.tail_quality import tail_quality_rows
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.visits_apart import begins_ns, lead_ins_ns, lying_apart, pauses_over_visits
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.signed_intervals import Sway
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.records import Process

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(22.0,))
SPELLS = np.repeat([1.0, 1.2], 10)


def rows(data: TrialData) -> list[dict[str, Any]]:
    [group] = grouped([data], ANALYSIS)
    found = [dict(row) for row in tail_quality_rows(data, group.thresholds, (), ANALYSIS)]
    return [row for row in found if row["clock"] == PRIMARY_CLOCK and row["threshold"] == "22 ms"]


def slow_spells(noise: Any, rounds: int) -> np.ndarray:
    """Half of the rounds at a slower speed, ten in a row."""
    times: np.ndarray = noise(rounds, 20, 20) * np.resize(SPELLS, rounds)[:, None]
    return times


def test_both_intervals_are_one_where_rounds_do_not_depend_on_each_other(build: Any, noise: Any) -> None:
    [row] = rows(build("a", noise(60, 20, 20)))
    assert [row[f"interval_{part}"] for part in ("low", "high", "method")] == [row[f"session_{part}"] for part in ("low", "high", "method")]
    assert row["flags"] == []


def test_rounds_to_come_are_known_worse_than_this_session(build: Any, noise: Any) -> None:
    [row] = rows(build("a", slow_spells(noise, 60)))
    assert row["interval_low"] < row["session_low"] <= row["mean"] <= row["session_high"] < row["interval_high"]
    assert row["interval_method"] == "korn-graubard on cosines"
    assert (row["session_method"], row["flags"]) == ("bootstrap-t", [])


def test_visits_are_the_unit_where_they_lie_apart(build: Any, noise: Any) -> None:
    [row] = rows(build("a", slow_spells(noise, 60), visits=np.repeat(np.arange(12), 5)))
    assert row["interval_method"] == "korn-graubard on visits"
    assert dict(row["interval_parameters"])["degrees"] == 4


@pytest.mark.parametrize(("rounds", "visits", "flags"), [(40, None, [FEW_ROUNDS]), (60, None, []), (36, 12, [])])
def test_few_dependent_rounds_are_flagged(build: Any, noise: Any, rounds: int, visits: int | None, flags: list[str]) -> None:
    numbers = None if visits is None else np.repeat(np.arange(visits), rounds // visits)
    [row] = rows(build("a", slow_spells(noise, rounds), visits=numbers))
    assert row["flags"] == flags


@pytest.mark.parametrize(
    ("rounds", "visits", "unit", "flags"), [(40, None, "cosines", [FEW_ROUNDS]), (80, None, "cosines", []), (36, 12, "visits", [])]
)
def test_percentiles_of_few_dependent_rounds_are_flagged(
    build: Any, noise: Any, rounds: int, visits: int | None, unit: str, flags: list[str]
) -> None:
    numbers = None if visits is None else np.repeat(np.arange(visits), rounds // visits)
    data = build("a", slow_spells(noise, rounds), visits=numbers)
    found = {row["percentile"]: row for row in latency_rows(data, (), ANALYSIS) if row["clock"] == PRIMARY_CLOCK}
    assert (found[50.0]["unit"], [flag for flag in found[50.0]["flags"] if flag != "not certified"]) == (unit, flags)
    [independent] = (
        row
        for row in latency_rows(build("b", noise(rounds, 20, 20)), ("a flag",), ANALYSIS)
        if (row["clock"], row["percentile"]) == (PRIMARY_CLOCK, 50.0)
    )
    assert (independent["unit"], independent["flags"]) == ("rounds", ["a flag"])


def test_visits_that_lie_close_do_not_make_up_for_few_rounds(build: Any, noise: Any) -> None:
    for rounds, close, flags in ((36, True, [FEW_ROUNDS]), (36, False, []), (72, True, [])):
        data = build("a", slow_spells(noise, rounds), visits=np.repeat(np.arange(rounds // 2), 2))
        [row] = rows(replace(data, close_visits=close))
        assert row["flags"] == flags


def test_dependence_of_times_counts_where_quality_shows_none(build: Any, noise: Any) -> None:
    data = build("a", slow_spells(noise, 60))
    hardly = np.zeros((1, 60))
    hardly[0, [5, 33]] = 1
    assert dependent_rows(data, hardly, PRIMARY_CLOCK).tolist() == [True]
    assert dependent_rows(build("a", noise(60, 20, 20)), hardly, PRIMARY_CLOCK).tolist() == [False]
    assert dependence_of_rows(data, hardly, PRIMARY_CLOCK).weights.tolist() == [1]
    assert dependence_of_rows(build("a", noise(60, 20, 20)), hardly, PRIMARY_CLOCK).weights.tolist() == [0]


@pytest.mark.parametrize("sway", [None, Sway(0.9, 18.0, 0.05, 4.0)])
def test_an_interval_goes_as_far_as_the_evidence_of_either_kind_of_metric(sway: Sway | None) -> None:
    curve, stake = np.tile(np.repeat([0.9, 0.7], 10), (3, 3)), Stake(18.0, True, sway)
    session = intervals_of(curve, 0.9, stake, np.random.default_rng(0), 999)
    apart, half, whole = intervals_to_come(curve, 0.9, stake, session, [0.0, 0.5, 1.0], None)
    assert apart == session[0]
    assert whole.low < half.low < apart.low
    assert [half.low, half.high] == pytest.approx([(apart.low + whole.low) / 2, (apart.high + whole.high) / 2])
    assert intervals_to_come(curve, 0.9, stake, session, [False] * 3, None) == session


def test_a_drift_is_flagged_by_figure_and_constant_figures_take_no_part() -> None:
    random = np.random.default_rng(7)
    steady, drifting = random.random(120), random.random(120) + np.linspace(0, 2, 120)
    series = np.stack([steady, drifting, np.ones(120)])
    assert flags_of_rows(series, np.array([False, True, True]), None) == [(), (DRIFT,), ()]
    assert flags_of_rows(series, np.array([False, True, True]), np.repeat(np.arange(24), 5)) == [(), (DRIFT,), ()]


def of_this_data_set(trials: list[TrialData]) -> dict[str, Any]:
    found = comparison_rows([one for group in grouped(trials, ANALYSIS) for one in contests_of(group)])
    [row] = [dict(row) for row in found if (row["scope"], row["threshold"]) == (THIS_DATA_SET, "22 ms")]
    return row


def begun(data: TrialData, cycle_s: float = 10, after_s: float = 0) -> TrialData:
    """Return a trial whose visits of one number begin every ``cycle_s``, from ``after_s`` on; 0.1 s a round."""
    visits = data.visits
    assert visits is not None
    began = (after_s + cycle_s * visits + 0.1 * np.arange(visits.size)) * 1e9
    return replace(data, evidence=data.evidence | {"started_monotonic_ns": began})


def test_trials_that_were_measured_one_after_the_other_never_met(build: Any, noise: Any) -> None:
    visits = np.repeat(np.arange(12), 5)
    trials = [build(name, noise(60, 20, 20), visits=visits, placement={"boot_id": "one"}) for name in "ab"]
    met = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 4), strict=True)]
    assert common_cycles(*met).tolist() == list(range(12))
    assert of_this_data_set(met)["method"] == "paired t"
    apart = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 200), strict=True)]
    assert common_cycles(*apart).size == 0
    assert of_this_data_set(apart)["method"] == "none"
    assert common_cycles(met[0], trials[1]).size == 0


def test_visits_of_one_cycle_are_paired_on_one_machine(build: Any, noise: Any) -> None:
    cycles = np.repeat(np.random.default_rng(1).normal(1, 0.1, 12), 5)[:, None]
    visits = np.repeat(np.arange(12), 5)
    sides = [noise(60, 20, ms) * cycles for ms in (20.0, 20.6)]
    trials = [begun(build(name, times, visits=visits, placement={"boot_id": "one"})) for name, times in zip("ab", sides, strict=True)]
    paired = of_this_data_set(trials)
    assert (paired["method"], dict(paired["parameters"])["units"]) == ("paired t", 12)
    elsewhere = [begun(build(name, times, visits=visits, placement={"boot_id": name})) for name, times in zip("ab", sides, strict=True)]
    assert of_this_data_set(elsewhere)["method"] == "none"
    assert paired["difference"] == pytest.approx(of_this_data_set(elsewhere)["difference"])


def test_cycles_that_one_trial_missed_have_no_pair(build: Any, noise: Any) -> None:
    long, short = np.repeat(np.arange(16), 5), np.repeat([0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14], 5)
    trials = [
        begun(build(name, noise(visits.size, 20, 20), visits=visits, placement={"boot_id": "one"}))
        for name, visits in (("a", long), ("b", short))
    ]
    assert dict(of_this_data_set(trials)["parameters"])["units"] == 12
    few = [begun(build("a", noise(80, 20, 20), visits=long, placement={"boot_id": "one"}))]
    few.append(begun(build("b", noise(55, 20, 20), visits=short[:55], placement={"boot_id": "one"})))
    assert of_this_data_set(few)["method"] == "none"


@pytest.mark.parametrize(("pause_s", "apart"), [(0.1, False), (3.0, True)])
def test_visits_lie_apart_where_pauses_are_half_as_long_as_they_are(pause_s: float, apart: bool) -> None:
    visits = np.repeat(np.arange(4, dtype=np.int32), 5)
    began_ns = (1e9 * (np.arange(20) + pause_s * visits)).astype(np.int64)
    durations_ns = np.full(20, 10**9)
    pauses = pauses_over_visits(visits, began_ns, durations_ns)
    assert pauses == pytest.approx(pause_s / 5)
    assert (lying_apart(visits, pauses)[0] is visits) is apart
    cut_short = np.append(visits[:-1], np.int32(4))
    assert (pauses_over_visits(cut_short, began_ns, durations_ns) >= 0.5) is apart
    assert pauses_over_visits(None, began_ns, durations_ns) == 0


def test_visits_of_one_round_lie_apart_by_their_pauses_and_are_no_units() -> None:
    """Rounds of 1 s: one after another, after three inferences of 0.05 s that lead into each, and after the round of another trial."""
    visits, durations_ns = np.arange(20, dtype=np.int32), np.full(20, 10**9)
    rounds = pa.table({"lead_in": pa.array([3] * 20, pa.int32()), "duration_ns": durations_ns})
    lead_in_ns = lead_ins_ns(rounds, inferences=4)
    for pause_s, apart in ((0.0, False), (0.75, False), (1.75, True)):
        began_ns = (1e9 * (1 + pause_s) * np.arange(20)).astype(np.int64)
        units, single = lying_apart(visits, pauses_over_visits(visits, began_ns, durations_ns, lead_in_ns))
        assert units is None
        assert (single is visits) is apart
    assert lead_ins_ns(rounds.set_column(0, "lead_in", pa.nulls(20, pa.int32())), 4).tolist() == [0] * 20


@pytest.mark.parametrize(("starts", "steady"), [(["one", "one"], True), ([], True), (["one", "two"], False), ([None], False)])
def test_rounds_begin_by_the_steady_clock_of_one_start_of_the_machine(build: Any, starts: list[str | None], steady: bool) -> None:
    record = build("a", np.full((2, 1), 20.0)).record
    processes = [
        Process(process=number, pid=1, host="h", started_at=datetime(2026, 1, 1, tzinfo=UTC), boot_id=boot_id)
        for number, boot_id in enumerate(starts)
    ]
    set_back = pa.array([2_000_000, 1_000_000], pa.timestamp("us", "UTC"))
    rounds = pa.table({"started_at": set_back, "started_monotonic_ns": [5, 6]})
    began = begins_ns(record.model_copy(update={"processes": tuple(processes)}), rounds)
    assert began.tolist() == ([5, 6] if steady else [2 * 10**9, 10**9])
