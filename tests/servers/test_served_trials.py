"""Whole trials of a server: same answers as in process, every fault an outcome by name, streams of requests, clocks of tokens."""

import json
from collections.abc import Callable
from pathlib import Path
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
SAMPLES = 12


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
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(500,)))
    (group,) = results.groups
    assert group.clocks == ("response", "total", "inference", "first_token", "per_token")
    (data,) = group.trials
    good = data.outcome == 0
    assert (data.times["first_token"][good] < data.times["response"][good]).all()
    assert (data.times["per_token"][good] < data.times["inference"][good]).all()
    assert "Gaps between tokens of numbers" in to_report(results)
    assert results.tables["load"].to_pylist()[0]["idle_arrivals"] > 0


def test_every_answer_of_a_language_model_has_its_outcome(measure: Measure, tmp_path: Path) -> None:
    """Of 20 prompts one gets errors, six end at the limit of tokens, one is answered wrongly, and one says nothing in the first and third
    of four rounds, the first of which is the warm-up."""
    prompts, count = tmp_path / "prompts.jsonl", 20
    rights = [*range(count - 1), 0]
    prompts.write_text("\n".join(json.dumps({"prompt": f"number {of}", "answers": f"{right}"}) for of, right in enumerate(rights)))

    def says(number: int, seen: int) -> Any:
        return "nothing" if number == 7 and seen in (0, 2) else number

    with fault_server({0: "error 500", **dict.fromkeys(range(1, 7), "ends at its limit")}, says=says) as server:
        asked = {"target": "tasks.models.served_text:ServedText", "choices": [f"{of}" for of in range(count)], "kind": "text_answer"}
        document = document_of(server, "openai", count, model=asked, measurement={"lead_in": 0})
        document["task"] = {"name": "prompts", "kind": "text_answer", "target": "tasks.prompts:Prompts", "path": str(prompts)}
        campaign = measure(document)
    (record,) = campaign.trials()
    assert (record.state, record.faults) == ("done", ())
    assert "HTTP 500 Oh: no memory left" in record.errors[0].message
    assert campaign.rounds(record.trial_id).column("different_answers").to_pylist() == [1, 0, 1]
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(10_000,)))
    (row,) = [row for row in results.rows("outcomes") if (row["threshold"], row["clock"]) == ("10000 ms", "total")]
    counts = {"error": 3, "late": 0, "truncated": 18, "unparsable": 1, "wrong": 3, "right": 35, "answered": None}
    assert {name: row[name] for name in counts} == counts
    assert (row["error_share"], row["truncated_share"]) == (0.05, 0.3)
    kept = [row["mean"] for row in results.rows("tail_quality") if (row["threshold"], row["metric"]) == ("10000 ms", "exact_match")]
    assert kept == pytest.approx([35 / 60] * len(kept))
    latency = {row["clock"]: (row["without_time"], row["min_ns"]) for row in results.rows("latency")}
    answered = [each["inference_ns"] for each in campaign.timings(row["trial"]).to_pylist() if each["outcome"] == "ok"]
    assert {without for without, _ in latency.values()} == {3}  # errors are in no percentile as a small time
    assert latency["inference"][1] == min(answered)
    assert "Outcomes of prompts" in to_report(results)


LOAD = {"name": "periodic", "rate_per_s": 200, "stream_s": 0.06, "ramp_s": 0.01}


@pytest.mark.parametrize(
    ("told", "cache", "load", "flags"),
    [
        ("usage", "as_is", {}, ["cached prompts (90.0 %)"]),
        ("metrics", "as_is", LOAD, ["cached prompts (90.0 %)"]),
        ("", "as_is", {}, ["prompt cache unknown"]),
        ("usage", "salted", LOAD, []),
        ("metrics", "salted", {}, []),
    ],
)
def test_answers_from_a_cache_of_prompts_are_flagged(
    measure: Measure, told: str, cache: str, load: dict[str, Any], flags: list[str]
) -> None:
    request = {"server_model": "numbers", "cache": cache}
    with fault_server(cache=told) as server:
        campaign = measure(document_of(server, "openai", 4, model={"request": request}, measurement={"lead_in": 0}, load=load))
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(500,)))
    ((data,),) = [group.trials for group in results.groups]
    assert [flag for flag in data.flags if "cache" in flag] == flags
    assert data.cached_share == (None if not told else 0.9 if flags else 0.0)
    asked = [json.loads(body)["messages"][0]["content"] for body in server.bodies]
    plain = [f"Which number is {number}" for number in range(4)]
    assert asked[:4] == plain  # the warm-up
    assert {text[-len(plain[0]) :] for text in asked} == {*plain}
    assert len({*asked}) == (len(asked) if cache == "salted" else 4)
