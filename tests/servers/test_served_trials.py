"""Whole trials of a server: same answers as in process, every fault an outcome by name, streams of requests, clocks of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from fault_server import fault_server
from served_trials import document_of

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.html.page import render
from orchestrator.report.markdown import folds, to_report
from orchestrator.storage.reader import Campaign

pytestmark = pytest.mark.slow

Measure = Callable[..., Campaign]
FAULTS = {
    1: ("hangs", "timeout"),
    2: ("a byte at a time", "timeout"),
    3: ("hangs after headers", "timeout"),
    4: ("closes", "error"),
    5: ("closes half-way", "error"),
    6: ("error 500", "error"),
    7: ("broken JSON", "error"),
    8: ("another form", "error"),
    9: ("no HTTP", "error"),
    10: ("redirects", "error"),
}
NAMES = {number: fault for number, (fault, _) in FAULTS.items()}
SAMPLES = 12


def outcomes(campaign: Campaign, trial_id: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    timings = campaign.timings(trial_id)
    for sample, outcome in zip(timings.column("sample").to_pylist(), timings.column("outcome").to_pylist(), strict=True):
        found.setdefault(sample, set()).add(outcome)
    return found


@pytest.mark.parametrize("runtime", ["open_inference", "openai", "http_json"])
def test_a_server_gives_the_answers_of_the_same_model_in_process(measure: Measure, runtime: str) -> None:
    with fault_server() as server:
        campaign = measure(document_of(None, "torch", SAMPLES), document_of(server, runtime, SAMPLES))
        inside, served = campaign.trials()
        answers = [campaign.samples(record.trial_id).column("prediction").to_pylist() for record in (inside, served)]
        assert answers[0] == answers[1]
        assert served.state == "done"
        assert served.digests["data"] == inside.digests["data"]
        assert served.digests["model"] == "unknown"
        assert served.labels()["server"] == "numbers"
        assert inside.labels()["server"] == "none"
        rows = campaign.timings(served.trial_id).to_pylist()
        assert all(0 < row["headers_ns"] <= row["inference_ns"] for row in rows)
        assert campaign.timings(inside.trial_id).column("headers_ns").null_count == 3 * SAMPLES
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(1000,)))
    assert [group.disagreements for group in results.groups] == [()]
    report = to_report(results)
    assert "- Server: numbers, whose weights are unknown; " in report
    assert "benchmarks/client_cost.py measures what of a total time is the client's own" in report
    assert "Servers of numbers" in report
    page = render(results)
    assert "<dt>Server</dt>" in page
    assert "whose weights are unknown" in page


@pytest.mark.parametrize("load", [{}, {"name": "periodic", "rate_per_s": 100, "stream_s": 0.36, "ramp_s": 0.01}], ids=["closed", "load"])
def test_every_fault_is_an_outcome_and_the_trial_goes_on(measure: Measure, load: dict[str, Any]) -> None:
    with fault_server(NAMES) as server:
        campaign = measure(document_of(server, "http_json", SAMPLES, load=load, server={"in_flight": 4, "timeout_s": 1.5}))
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    found = outcomes(campaign, record.trial_id)
    assert found == {number: {FAULTS[number][1]} if number in FAULTS else {"ok"} for number in range(SAMPLES)}
    said = {error.sample: error.message for error in record.errors}
    assert "HTTP 500 Oh: no memory left" in said[6]
    assert "no whole answer within server.timeout_s=1.5" in said[2]
    assert "the answer has no said.number" in said[8]
    assert record.faults == ()
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(10_000,)))
    rows = [row for row in results.tables["tail_quality"].to_pylist() if (row["threshold"], row["metric"]) == ("10000 ms", "top1")]
    assert {round(row["mean"], 9) for row in rows if row["slice"] == "all"} == {round(2 / SAMPLES, 9)}
    assert "4" in to_report(results)
    assert "- No deadline: " in to_report(results)
    assert "no p95 was observed" in to_report(results)


def test_an_answer_of_two_rows_is_the_error_of_that_request(measure: Measure) -> None:
    with fault_server({2: "two rows"}) as server:
        campaign = measure(document_of(server, "open_inference", 4))
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    assert outcomes(campaign, record.trial_id) == {0: {"ok"}, 1: {"ok"}, 2: {"error"}, 3: {"ok"}}
    assert {error.sample: error.message for error in record.errors}[2].endswith("of 1 sample, and what came back holds 2 answers")


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_server_that_dies_leaves_what_was_measured_and_errors_by_name(measure: Measure, in_flight: int) -> None:
    with fault_server({5: "dies"}, after=6 * 4 + 250) as server:
        document = document_of(server, "http_json", 6, server={"in_flight": in_flight}, measurement={"min_rounds": 60, "max_rounds": 60})
        campaign = measure(document)
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    timings = campaign.timings(record.trial_id)
    assert timings.num_rows == 60 * 6
    ends = [
        round_
        for round_, outcome in zip(*(timings.column(name).to_pylist() for name in ("round", "outcome")), strict=True)
        if outcome == "ok"
    ]
    assert 20 < max(ends) < 59
    last = [
        outcome
        for round_, outcome in zip(*(timings.column(name).to_pylist() for name in ("round", "outcome")), strict=True)
        if round_ == 59
    ]
    assert set(last) == {"error"}
    assert "refused the connection" in record.errors[-1].message


def test_a_server_that_answers_nothing_is_one_line(measure: Measure) -> None:
    with fault_server(dict.fromkeys(range(4), "error 500")) as server:
        campaign = measure(document_of(server, "http_json", 4))
    (record,) = campaign.trials()
    assert record.state == "failed"
    assert record.reason is not None
    assert "server numbers answered none of the 4 samples of the warm-up, first on number-0: ServerFault: HTTP 500" in record.reason


def test_several_are_on_their_way_in_a_closed_loop(measure: Measure) -> None:
    with fault_server(delay_s=0.005) as server:
        campaign = measure(document_of(server, "open_inference", SAMPLES, server={"in_flight": 3}))
        assert server.most_at_once == 3
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    assert set(campaign.timings(record.trial_id).column("outcome").to_pylist()) == {"ok"}
    assert campaign.timings(record.trial_id).column("start_gap_ns").null_count == 3 * SAMPLES
    assert len(record.trial.server.model_dump()) > 3
    assert "-numbers-b1-" in record.trial_id


def test_streamed_answers_have_clocks_of_their_tokens(measure: Measure) -> None:
    load = {"name": "poisson", "rate_per_s": 150, "stream_s": 0.25, "ramp_s": 0.02}
    with fault_server({3: "stream cut"}) as server:
        campaign = measure(document_of(server, "openai", SAMPLES, load=load))
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    rows = campaign.timings(record.trial_id).to_pylist()
    assert {row["outcome"] for row in rows if row["sample"] == 3} == {"error"}
    for row in rows:
        if row["outcome"] == "ok":
            assert row["tokens"] == 3
            assert 0 < row["headers_ns"] <= row["first_token_ns"] <= row["last_token_ns"] <= row["inference_ns"]
            assert len(row["token_gaps_ns"]) == 2
            assert sum(row["token_gaps_ns"]) == row["last_token_ns"] - row["first_token_ns"]
        else:
            assert row["first_token_ns"] is row["tokens"] is row["token_gaps_ns"] is None
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(500,), together_ms={"first_token": 10_000, "per_token": 9_000}))
    (group,) = results.groups
    assert group.clocks == ("response", "total", "inference", "first_token", "per_token")
    (data,) = group.trials
    good = data.outcome == 0
    first, response, per_token = (data.times[clock] for clock in ("first_token", "response", "per_token"))
    assert (first[good] < response[good]).all()
    assert (per_token[good] < data.times["inference"][good]).all()
    tail = results.tables["tail_quality"].to_pylist()
    both = "first_token and per_token"
    assert {row["clock"] for row in tail} == {*group.clocks, both}
    found = [row for row in tail if row["clock"] == both and row["metric"] == "top1" and row["slice"] == "all"]
    assert [(row["threshold"], row["mean"]) for row in found] == [("10000 ms and 9000 ms", pytest.approx(11 / 12))]
    assert f"with {both} within 10000 ms and 9000 ms" in to_report(results)
    (gaps,) = results.tables["token_gaps"].to_pylist()
    ordered = sorted(gap for row in rows for gap in row["token_gaps_ns"] or ())
    assert (gaps["answers"], gaps["gaps"], gaps["longest_ns"]) == (int(good.sum()), len(ordered), ordered[-1])
    assert gaps["p50_ns"] == ordered[math.ceil(len(ordered) / 2) - 1]
    assert "Gaps between tokens of numbers" in to_report(results)
    assert any(
        table.title.startswith("Gaps between tokens of numbers") for table in [table for _, tables in folds(results) for table in tables]
    )
    (schedule,) = results.tables["load"].to_pylist()
    assert schedule["idle_arrivals"] > 0
    assert "first_token" in render(results)


def test_each_round_is_judged_by_its_own_answers(measure: Measure) -> None:
    # Asked in the warm-up, then in three rounds: 0 is wrong at first, 1 in the last round.
    def says(number: int, seen: int) -> int:
        return 99 if (number, seen) in {(0, 0), (1, 3)} else number

    lead_in = {"lead_in": 0}
    with fault_server(says=says) as server:
        campaign = measure(document_of(server, "open_inference", 4, measurement=lead_in))
    (record,) = campaign.trials()
    assert campaign.rounds(record.trial_id).column("different_answers").to_pylist() == [1, 1, 2]
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(10_000,)))
    rows = [row for row in results.tables["tail_quality"].to_pylist() if (row["threshold"], row["metric"]) == ("10000 ms", "top1")]
    of_all = [row for row in rows if row["slice"] == "all"]
    assert {(round(row["ideal"], 9), round(row["mean"], 9), row["worst"]) for row in of_all} == {
        (round(11 / 12, 9), round(11 / 12, 9), 0.75)
    }
    assert "answers change" in of_all[0]["flags"]
