"""Figures of trials under load, of arrivals, waits and times made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made
from loaded_trials import loaded_trial
from refusals import refused

from orchestrator.analysis.curves import counted, grid_of
from orchestrator.analysis.groups import check_names, grouped
from orchestrator.analysis.load import (
    NOT_KEPT,
    OVERLOADED,
    Served,
    Server,
    delivered_per_s,
    found_idle,
    inferences_of,
    lateness,
    load_flags,
    rate_per_s,
)
from orchestrator.analysis.replay import services_after_idling
from orchestrator.analysis.table import tables
from orchestrator.analysis.tables.goodput import per_second
from orchestrator.configuration.analysis import AnalysisConfig, BoundsConfig
from orchestrator.stats.times import Clock
from orchestrator.stats.units import degrees_of, t_quantile
from orchestrator.storage import schema
from orchestrator.storage.stored_form import table_of

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
    assert reference.trial.startswith("net-served" if others else "net-dropped")
    assert (group.thresholds.primary is None) == (not others and primary != "200 ms")
    for clock in group.clocks:
        grid = grid_of(group, clock, [counted(data.inferences[clock]) for data in group.trials])
        assert grid.ns.size > 0
        assert 0 <= grid.start < grid.ns.size
    [data] = dropped[:1]
    assert all(row["mean"] == 0 for row in rows_made("tail_quality", replace(group, trials=(data,)), analysis))
    assert {row["value_ns"] for row in rows_made("latency", [data], analysis)} == {None}
    [row] = rows_made("load", [data])
    assert (row["utilisation"], row["mean_wait_ns"], row["dropped_share"]) == (None, None, 1)
    assert table_of([row], tables()["load"].schema).num_rows == 1


def seen(at: Any, start: Any = None, end: Any = None, failed: Any = None) -> Served:
    """A stream by seconds; without starts all of it was dropped."""
    moments = np.asarray(at, dtype=np.float64) * 1e9
    never = np.full(moments.size, np.nan)
    begun, over = (never if given is None else np.asarray(given, dtype=np.float64) * 1e9 for given in (start, end))
    return Served(moments, begun, over, np.zeros(moments.size, dtype=bool) if failed is None else np.asarray(failed))


def test_the_delivered_rate_counts_what_is_ours_and_not_what_waits() -> None:
    at = np.array([0.0, 10.0, 20.0, 30.0])
    queued = seen(at, at + 25, at + 35)  # the ramp's last sample is still served: all wait for the system
    assert delivered_per_s([queued], Server()) == pytest.approx(0.1)
    late = at + np.array([0, 0, 0, 3])
    assert delivered_per_s([seen(at, late, late + 1)], Server()) == pytest.approx(3 / 33)
    assert delivered_per_s([seen(at)], Server()) == pytest.approx(0.1)
    assert delivered_per_s([seen([0.0])], Server()) is rate_per_s([(np.zeros(1), np.zeros(1))]) is None


def test_what_our_loop_adds_between_inferences_puts_off_all_that_wait() -> None:
    """Services of 8 s every 10 s would never wait; our loop takes 4 s between two, so that a queue grows that is all ours."""
    at = np.arange(6) * 10.0
    start = np.arange(6) * 12.0
    stream = seen(at, start, start + 8)
    assert (lateness(inferences_of(stream, Server())) / 1e9).tolist() == [0, 2, 4, 6, 8, 10]
    assert delivered_per_s([stream], Server()) == pytest.approx(5 / 60)
    absorbed = seen([0.0, 1, 2, 100], [0.0, 11, 22, 100], [10.0, 21, 32, 110])
    assert (lateness(inferences_of(absorbed, Server())) / 1e9).tolist() == [0, 1, 2, 0]


def test_of_a_stream_without_a_ramp_the_first_start_is_late_too() -> None:
    """Nothing came before it, unless it failed."""
    stream = replace(seen([0.0, 10, 11], [2.0, 10, 15], [4.0, 14, 19]), begins_idle=True)
    served = inferences_of(stream, Server())
    assert found_idle(served).tolist() == [True, True, False]
    assert (lateness(served) / 1e9).tolist() == [2, 0, 1]
    assert delivered_per_s([stream], Server()) == pytest.approx(2 / 10)
    after_failure = replace(seen([0.0, 1], [np.nan, 3], [np.nan, 4], [True, False]), begins_idle=True)
    assert not found_idle(inferences_of(after_failure, Server())).any()


def test_a_batch_is_due_when_it_is_full_or_has_waited_long_enough() -> None:
    at = [0.0, 10, 11, 12, 13, 30, 31]
    start = [0.0, 13.1, 13.1, 13.1, 13.1, 35.2, 35.2]
    served = inferences_of(seen(at, start, np.asarray(start) + 1), Server(batch=4, batch_wait_ns=5e9))
    assert served.of.tolist() == [0, 1, 1, 1, 1, 2, 2]
    assert (served.due / 1e9).tolist() == [0, 13, 35]  # the first one's others came in the ramp
    assert ((served.start - served.due) / 1e9).round(3).tolist() == [0, 0.1, 0.2]


def test_what_waited_for_a_failed_sample_or_for_its_batch_is_no_delay_of_ours() -> None:
    """Services of 15 ms, of which the fourth fails: the fifth comes while it runs. And pairs that are waited for."""
    at = np.tile(np.array([0.0, 100, 200, 300, 310, 400, 500, 600, 700, 800]), (ROUNDS, 1))
    waits = np.where(at == 310, 5.1, 0.01)
    total = np.where(at == 300, np.inf, 15.0)
    failing = loaded_trial("a", total, at, waits, per_stream=1, untimed=schema.ERROR)
    assert NOT_KEPT not in load_flags(failing, None)
    [row] = rows_made("load", [failing])
    assert row["own_delay_max_ns"] == pytest.approx(10_000)
    assert row["idle_arrivals"] == 7 * ROUNDS
    assert services_after_idling(failing).size == 7 * ROUNDS
    assert row["utilisation"] == pytest.approx(row["scheduled_per_s"] * 0.015)  # type: ignore[operator]

    pairs = np.tile(np.repeat(np.arange(5) * 100.0, 2) + np.tile([0, 3], 5), (ROUNDS, 1))
    waiting = np.tile([3.0, 0.0], (ROUNDS, 5))
    batched = loaded_trial(
        "b", np.full((ROUNDS, SAMPLES), 15.0), pairs, waiting + 0.01, per_stream=1, load={"batch_wait_ms": 5.0}, measurement={"batch": 2}
    )
    assert NOT_KEPT not in load_flags(batched, None)
    [row] = rows_made("load", [batched])
    assert row["own_delay_max_ns"] == pytest.approx(10_000)
    assert row["utilisation"] == pytest.approx(row["scheduled_per_s"] * 0.0075), "a batch of two is half an inference each"  # type: ignore[operator]


def by_turns(service_ms: float, gap_ms: float, policy: str = "queue") -> Any:
    """A trial with an arrival every 10 ms, whose server never rests: each inference begins so long after the end of the one before."""
    at = np.tile(np.arange(SAMPLES) * 10.0, (ROUNDS, 1))
    start = np.tile(np.arange(SAMPLES) * (service_ms + gap_ms), (ROUNDS, 1))
    return loaded_trial("a", np.full(at.shape, service_ms), at, start - at, per_stream=1, load={"policy": policy})


def test_a_queue_that_our_loop_builds_is_told_from_one_that_the_server_does() -> None:
    ours, theirs = by_turns(8, 4), by_turns(12, 1)
    assert NOT_KEPT in load_flags(ours, None)
    assert NOT_KEPT not in load_flags(theirs, None)
    assert OVERLOADED in load_flags(theirs, None), "1.2 of what it can answer arrives, though ten arrivals hardly show it"
    assert OVERLOADED not in load_flags(by_turns(12, 1, "newest"), None)


def test_the_interval_of_a_ratio_of_sums_is_as_wide_as_resamples_say(noise: Any) -> None:
    """Rounds of 1 s +- 10 %, in which a tenth of the answers is late at random."""
    random = np.random.default_rng(1)
    data = replace(build_trial("a", noise(60, SAMPLES, 15)), evidence={"duration_ns": 1e8 * noise(60, 1, 10)[:, 0]})
    on_time = random.random((60, SAMPLES)) < 0.9
    found = per_second(data, np.ones_like(on_time), on_time, None)
    drawn = random.integers(0, 60, (4000, 60))
    sd = np.std(on_time.sum(axis=1)[drawn].sum(axis=1) / (data.evidence["duration_ns"][drawn].sum(axis=1) / 1e9))
    assert 0.9 < (found.high - found.low) / 2 / (float(t_quantile(0.975, degrees_of(60))) * sd) < 1.6


def test_cost_and_energy_follow_from_price_power_and_goodput() -> None:
    """Rounds of 2 s and 20 J have ten answers, of which six are right; an hour costs 3.6."""
    evidence = {"duration_ns": np.full(ROUNDS, 2e9), "package_energy_uj": np.full(ROUNDS, 20e6)}
    trials = [
        replace(build_trial(system, np.full((ROUNDS, SAMPLES), 15.0), right=6, repeat=number), evidence=evidence)
        for system, number in (("one", 0), ("three", 0), ("three", 1), ("three", 2))
    ]
    rows = rows_made("goodput", trials, AnalysisConfig(primary="20 ms", price_per_hour={"one": 3.6}))
    one, three = (row for row in rows if row["threshold"] == "20 ms")
    assert (one["delivered_per_s"], one["on_time_per_s"], one["right_per_s"], one["power_of"]) == (5, 5, 3, "package")
    assert (one["cost_per_1000"], one["joules_per_1000"]) == pytest.approx((1 / 3, 10_000 / 3))
    assert one["cost_low"] <= one["cost_per_1000"] <= one["cost_high"]
    assert (three["processes"], three["right_per_s"], three["cost_per_1000"]) == (3, 3, None)
    gpu = replace(trials[0], evidence=evidence | {"gpu_power_w": np.full(ROUNDS, 90.0)})
    assert {(row["power_of"], row["power_w"]) for row in rows_made("goodput", [gpu])} == {("GPU and package", 100)}


def test_bounds_are_judged_one_by_one_and_kept_together() -> None:
    """Two requests of 240 miss one bound, and two others the second."""
    data = loaded_trial("a", np.full(EVENLY.shape, 15.0), EVENLY)
    first, each = np.full((2, *EVENLY.shape), 1e6)
    first[0, :2] = each[1, :2] = 1e9
    profile = {"bounds_ms": {"first_token": 5, "per_token": 5}, "load": "poisson", "seconds": 600, "models": ["N.E.T"], "data": ["faces"]}
    analysis = AnalysisConfig(bounds=BoundsConfig(name="own", source="here", date="2026-01-01", **profile))
    with refused("unsupported", "analysis.bounds"):
        check_names([data], analysis)
    times = {**data.times, Clock.FIRST_TOKEN: first, Clock.PER_TOKEN: each}
    [row] = rows_made("bounds", [replace(data, times=times, inferences=times, evidence={"duration_ns": np.full(ROUNDS, 1e9)})], analysis)
    assert (row["within"], row["least_within"], row["mean"]) == pytest.approx((236 / 240, 238 / 240, 236 / 240))
    assert (row["passes"], row["unmet"]) == ("yes", ["1 s instead of 600 s", "data digits instead of faces", "240 requests instead of 838"])
