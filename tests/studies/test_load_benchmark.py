"""Own delays read from a trace of LoadGen, and taken of the loop under load."""

from benchmarks.load import WAYS, delays_of_trace, in_real_time

TRACE = """{"traceEvents":[
{"name":"Scheduling","ph":"X","pid":10,"tid":10,"ts":181.751,"dur":0.080,"args":{}},
{"name":"Latency","ph": "C","pid":10,"ts":4674.482,"args":{ "issue_delay":82653,"issue_to_done":25548}},
{"name":"Latency","ph": "C","pid":10,"ts":181.681,"args":{ "issue_delay":100,"issue_to_done":11337}},
{"name":"Latency","ph": "C","pid":10,"ts":4700.000,"args":{ "issue_delay":90000,"issue_to_done":25000}},
{"name":"LogDetail","ph":"X","pid":10,"tid":11,"ts":12406.364,"dur":13.480,"args":{"key":""loadgen_version""}},
"""


def test_a_trace_gives_the_delays_of_queries_that_found_the_system_idle() -> None:
    assert delays_of_trace(TRACE).tolist() == [82653], "the first has none before it, the last came while the second was under way"


def test_every_way_of_waiting_serves_the_schedule() -> None:
    for way in WAYS.values():
        delays, gaps = in_real_time(way, seconds=0.1)
        assert 0 < delays.size + gaps.size < 15
        assert (delays >= 0).all()
        assert (gaps > 0).all()
