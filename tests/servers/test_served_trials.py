"""Whole trials of a server: same answers as in process, every fault an outcome by name, streams of requests, clocks of tokens."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from fault_server import fault_server
from served_trials import document_of

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.html.page import render
from orchestrator.report.markdown import to_report
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
        assert served.digests == {**inside.digests, "model": "unknown"}
        assert [record.labels()["server"] for record in (inside, served)] == ["none", "numbers"]
        rows = campaign.timings(served.trial_id).to_pylist()
        assert all(0 < row["headers_ns"] <= row["inference_ns"] for row in rows)
        assert campaign.timings(inside.trial_id).column("headers_ns").null_count == 3 * SAMPLES
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(1000,)))
    assert [group.disagreements for group in results.groups] == [()]
    assert "- Server: numbers, whose weights are unknown; " in to_report(results)
    assert "<dt>Server</dt>" in render(results)


@pytest.mark.parametrize("load", [{}, {"name": "periodic", "rate_per_s": 100, "stream_s": 0.36, "ramp_s": 0.01}], ids=["closed", "load"])
def test_every_fault_is_an_outcome_and_the_trial_goes_on(measure: Measure, load: dict[str, Any]) -> None:
    with fault_server(NAMES) as server:
        campaign = measure(document_of(server, "http_json", SAMPLES, load=load, server={"in_flight": 4, "timeout_s": 1.5}))
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    found = outcomes(campaign, record.trial_id)
    assert found == {number: {FAULTS[number][1]} if number in FAULTS else {"ok"} for number in range(SAMPLES)}
    assert "HTTP 500 Oh: no memory left" in {error.sample: error.message for error in record.errors}[6]
    assert record.faults == ()
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(10_000,)))
    rows = [row for row in results.tables["tail_quality"].to_pylist() if (row["threshold"], row["metric"]) == ("10000 ms", "top1")]
    assert {round(row["mean"], 9) for row in rows if row["slice"] == "all"} == {round(2 / SAMPLES, 9)}


@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_server_that_dies_leaves_what_was_measured_and_errors_by_name(measure: Measure, in_flight: int) -> None:
    with fault_server({5: "dies"}, after=6 * 4 + 250) as server:
        document = document_of(server, "http_json", 6, server={"in_flight": in_flight}, measurement={"min_rounds": 60, "max_rounds": 60})
        campaign = measure(document)
    (record,) = campaign.trials()
    assert record.state == "done", record.reason
    rows = campaign.timings(record.trial_id).to_pylist()
    assert len(rows) == 60 * 6
    assert 20 < max(row["round"] for row in rows if row["outcome"] == "ok") < 59
    assert {row["outcome"] for row in rows if row["round"] == 59} == {"error"}
    assert "refused the connection" in record.errors[-1].message


def test_a_server_that_answers_nothing_is_one_line(measure: Measure) -> None:
    with fault_server(dict.fromkeys(range(4), "error 500")) as server:
        campaign = measure(document_of(server, "http_json", 4))
    (record,) = campaign.trials()
    assert record.state == "failed"
    assert "first on number-0: ServerFault: HTTP 500" in (record.reason or "")


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
    assert (data.times["first_token"][good] < data.times["response"][good]).all()
    assert (data.times["per_token"][good] < data.times["inference"][good]).all()
    tail = results.tables["tail_quality"].to_pylist()
    both = "first_token and per_token"
    assert {row["clock"] for row in tail} == {*group.clocks, both}
    found = [row for row in tail if row["clock"] == both and row["metric"] == "top1" and row["slice"] == "all"]
    assert [(row["threshold"], row["mean"]) for row in found] == [("10000 ms and 9000 ms", pytest.approx(11 / 12))]
    (gaps,) = results.tables["token_gaps"].to_pylist()
    ordered = sorted(gap for row in rows for gap in row["token_gaps_ns"] or ())
    assert (gaps["answers"], gaps["gaps"], gaps["longest_ns"]) == (int(good.sum()), len(ordered), ordered[-1])
    assert gaps["p50_ns"] == ordered[math.ceil(len(ordered) / 2) - 1]
    assert "Gaps between tokens of numbers" in to_report(results)
    assert results.tables["load"].to_pylist()[0]["idle_arrivals"] > 0


def test_each_round_is_judged_by_its_own_answers(measure: Measure) -> None:
    # Asked in the warm-up, then in three rounds: 0 is wrong at first, 1 in the last round.
    def says(number: int, seen: int) -> int:
        return 99 if (number, seen) in {(0, 0), (1, 3)} else number

    with fault_server(says=says) as server:
        campaign = measure(document_of(server, "open_inference", 4, measurement={"lead_in": 0}))
    (record,) = campaign.trials()
    assert campaign.rounds(record.trial_id).column("different_answers").to_pylist() == [1, 1, 2]
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(10_000,)))
    rows = [row for row in results.tables["tail_quality"].to_pylist() if (row["threshold"], row["metric"]) == ("10000 ms", "top1")]
    of_all = [row for row in rows if row["slice"] == "all"]
    assert {(round(row["ideal"], 9), round(row["mean"], 9), row["worst"]) for row in of_all} == {
        (round(11 / 12, 9), round(11 / 12, 9), 0.75)
    }
    assert "answers change" in of_all[0]["flags"]
