"""Recorded traffic end to end, asked of a small server on the loopback: a trace of Mooncake, and conversations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import FaultServer, fault_server

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.composition import compose_trials

TRACE = [(0, 600, 9, [1, 2]), (20, 1030, 7, [1, 3, 4]), (20, 20, 8, [5]), (61, 700, 3, [1, 3])]
TALKS = [["a 1", "b", "c 2", "d", "e 3", "f"], ["g 4", "h"], ["i 5", "j", "k 6", "l"]]


def asked_of(server: FaultServer, task: str, file: Path, *words: str) -> dict[str, Any]:
    of_server = ["server=url", "server.name=small", f"server.url={server.url}", "model=served_answers", "runtime=openai"]
    rounds = [f"measurement.{key}" for key in ("rule=rounds", "min_rounds=2", "max_rounds=2", "warmup_rounds=1", "lead_in=0")]
    return compose_trials([*of_server, *rounds, f"task={task}", f"task.file={file}", *words]).documents[0]


def test_a_trace_is_asked_at_its_moments_in_its_lengths(measure: Any, tmp_path: Path) -> None:
    file, keys = tmp_path / "trace.jsonl", ("timestamp", "input_length", "output_length", "hash_ids")
    file.write_text("\n".join(json.dumps(dict(zip(keys, line, strict=True))) for line in TRACE))
    with fault_server() as server:
        campaign = measure(asked_of(server, "mooncake_trace", file, "load=trace", "model.prompt='{text} 5'"))
        asked = [json.loads(body) for body in server.bodies[len(TRACE) :]]
    (record,) = campaign.trials()
    assert (record.state, record.metrics, "no quality" in record.flags) == ("done", ("on_time",), True)
    rows = campaign.timings(record.trial_id).to_pylist()
    assert [row["arrival_ns"] for row in rows] == 2 * [0, 20_000_000, 20_000_000, 61_000_000]
    assert {(row["queue_ns"] >= 0, row["outcome"], row["ramp"]) for row in rows} == {(True, "ok", False)}
    lengths = [(len(body["messages"][0]["content"].split()) - 1, body["max_tokens"]) for body in asked]
    assert sorted(lengths) == sorted(2 * [line[1:3] for line in TRACE])


@pytest.mark.parametrize(
    "load", [["load=poisson", "load.rate_per_s=100", "load.think_s=0.02"], ["server.in_flight=2"]], ids=["load", "closed"]
)
def test_turns_of_a_conversation_wait_for_their_answers(load: list[str], measure: Any, tmp_path: Path) -> None:
    file = tmp_path / "talks.json"
    spoken = [[{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(talk)] for talk in TALKS]
    file.write_text(json.dumps([{"conversations": talk} for talk in spoken]))
    with fault_server(delay_s=0.01) as server:
        campaign = measure(asked_of(server, "conversations", file, *load))
        asked = [[message["content"] for message in json.loads(body)["messages"]] for body in server.bodies]
    (record,) = campaign.trials()
    assert sorted(asked) == sorted(3 * [talk[:end] for talk in TALKS for end in range(1, len(talk), 2)]), record.reason
    sent = "".join(said[-1][0] for said in asked[-6:])
    assert sent.index("a") < sent.index("c") < sent.index("e")
    rows, clock = campaign.timings(record.trial_id).to_pylist(), "response" if record.trial.load.is_open else "total"
    stages = ("preprocess_ns", "inference_ns", "postprocess_ns", *(["queue_ns"] if clock == "response" else []))
    took = np.array([sum(row[name] for name in stages) for row in rows])
    came = np.array([row["arrival_ns"] or 0 for row in rows])
    later = np.array([1, 2, 5, 7, 8, 11])  # of both rounds
    assert clock == "total" or (came[later] == came[later - 1] + took[later - 1] + 20_000_000).all()
    results = analyse(campaign, AnalysisConfig(thresholds_ms=(1000,))).tables["conversations"].to_pylist()
    assert {row["clock"] for row in results} == {clock, "first_token"}
    held = [turns for of_round in took.reshape(2, 6) for turns in np.split(of_round, [3, 4])]
    for name, talks in (("all", held), ("conversation-000001", held[::3])):
        row = next(row for row in results if (row["conversation"], row["clock"]) == (name, clock))
        assert (row["turns"], row["held"]) == (np.mean([turns.size for turns in talks]), len(talks))
        assert row["mean_p99_ns"] == int(max(turns.mean() for turns in talks))
        assert row["slowest_p50_ns"] == sorted(turns.max() for turns in talks)[(len(talks) - 1) // 2]
