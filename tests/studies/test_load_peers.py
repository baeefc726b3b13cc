"""Own delays read from a trace of LoadGen, and taken of the loop under load."""

from __future__ import annotations

import numpy as np

from benchmarks.load_peers import CLIENTS, delays_of_trace, idle_delays, ours, spread

TRACE = """{"traceEvents":[
{"name":"Scheduling","ph":"X","pid":10,"tid":10,"ts":181.751,"dur":0.080,"args":{}},
{"name":"Latency","ph": "C","pid":10,"ts":4674.482,"args":{ "issue_delay":82653,"issue_to_done":25548}},
{"name":"Latency","ph": "C","pid":10,"ts":181.681,"args":{ "issue_delay":100,"issue_to_done":11337}},
{"name":"Latency","ph": "C","pid":10,"ts":4700.000,"args":{ "issue_delay":90000,"issue_to_done":25000}},
{"name":"LogDetail","ph":"X","pid":10,"tid":11,"ts":12406.364,"dur":13.480,"args":{"key":""loadgen_version""}},
"""


def test_a_trace_gives_the_delays_of_queries_that_found_the_system_idle() -> None:
    assert delays_of_trace(TRACE).tolist() == [82653], "the first has none before it, the last came while the second was under way"


def test_samples_that_wait_for_others_have_no_own_delay() -> None:
    due, delays = np.array([0, 10, 20]) * 10**6, np.array([5, 6, 9 * 10**6])
    assert idle_delays(due, delays, 1000).tolist() == [6, 9 * 10**6]
    assert idle_delays(due, delays, 11 * 10**6).tolist() == []


def test_every_way_of_waiting_serves_the_schedule() -> None:
    for client in CLIENTS:
        found = ours(client, rate_per_s=400, seconds=0.1, busy_ns=1000, seed=1)
        assert 0 < found.size < 40
        assert (found >= 0).all()


def test_repeats_are_told_with_their_range() -> None:
    assert spread([3.0, 1.0, 2.26], 1) == "2.3 (1.0 to 3.0)"
