"""The comparison with other clients: what their files say in one form, clients that fail, and when two agree."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.asked import Asked, agreement, asked, of_file
from benchmarks.peers.clients import COMMANDS, PeerFailed, Work, run

WORK = Work("http://127.0.0.1:1", ["one", "two"], "poisson", 10.0, 8, {"ignore_eos": True}, 3)


def guidellm(start: float, due: float, end: float) -> dict[str, Any]:
    return {"info": {"timings": {"targeted_start": due, "request_start": start, "request_end": end}}}


def test_guidellm_is_late_by_its_target(tmp_path: Path) -> None:
    requests = {
        "successful": [guidellm(20.5, 20.25, 21.0), guidellm(10.5, 10.0, 11.5)],
        "errored": [guidellm(30, 30, 31)],
        "incomplete": [],
    }
    (tmp_path / "g.json").write_text(json.dumps({"benchmarks": [{"requests": requests}]}))
    found = of_file("guidellm", tmp_path / "g.json")
    assert found.start_s.tolist() == [0, 10]
    assert found.delay_us.tolist() == [500_000, 250_000]
    assert found.latency_ms.tolist() == [1000, 500]
    assert found.failed == 1


def test_aiperf_is_late_by_its_issue(tmp_path: Path) -> None:
    moments = {"credit_issued_ns": 1000, "request_start_ns": 4000, "request_end_ns": 9000}
    lines = [{"metadata": moments, "metrics": {"request_latency": {"value": 0.005, "unit": "ms"}}}]
    lines.append({"metadata": {name: at + 10**6 for name, at in moments.items()}, "error": {"code": 500}})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = of_file("aiperf", tmp_path / "a.jsonl")
    assert (found.delay_us.tolist(), found.latency_ms.tolist(), found.failed) == ([3], [0.005], 1)


def test_loadgen_is_late_by_its_schedule(tmp_path: Path) -> None:
    event = {"name": "Sample", "ph": "b", "ts": 100.0, "args": {"sample_idx": 1, "issue_start_ns": 2000, "complete_ns": 5_002_000}}
    (tmp_path / "mlperf_log_trace.json").write_text('{"traceEvents":[\n' + json.dumps(event) + ',\n{"name":"LastTrace"}\n]}')
    found = of_file("loadgen", tmp_path)
    assert (found.delay_us.tolist(), found.latency_ms.tolist()) == ([2], [5])


def test_how_far_behind_an_even_schedule_needs_no_word_of_the_client() -> None:
    found = asked([10**9 + at * 10**6 for at in (205, 0, 100, 300)], [10**9] * 4, [1] * 4)
    assert found.behind_us(10.0).round().tolist() == [0, 0, 5000, 0]
    # The clock of a client that began late is not known: none of its requests can be early.
    assert Asked(np.array([0.0, 0.09]), np.zeros(2), np.zeros(2)).behind_us(10.0).round().tolist() == [10_000, 0]


@pytest.mark.parametrize(
    ("theirs", "verdict", "noise"),
    [
        ([204, 206, 205], "agrees", 2),
        ([203, 203, 203.5], "agrees", 2),
        ([230, 231, 232], "differs", 2),
        ([150, 260, 300], "not told", 150),
        ([500, 400, 490], "differs", 100),
    ],
)
def test_clients_agree_within_the_noise_of_repeats(theirs: list[float], verdict: str, noise: float) -> None:
    found = agreement([204, 202, 203], theirs)
    assert (found.verdict, found.noise_ms) == (verdict, noise)
    assert agreement([204, 202, 203], theirs[:1]).verdict == "not told"


def program(folder: Path, name: str, script: str) -> Path:
    """Put a program into an environment."""
    path = folder / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("peer", "script", "why"),
    [
        ("guidellm", "exit 3", "it ended with exit code 3; see"),
        ("aiperf", "exit 0", "it ended with exit code 0 and no file; see"),
        ("aiperf", "mkdir artifacts; touch artifacts/profile_export.jsonl", "it answered nothing"),
        ("guidellm", "sleep 1000 & sleep 1000", r"it had not ended after 0\.5 s"),
        ("loadgen", None, "pip install mlcommons-loadgen into that environment"),
    ],
)
def test_a_client_that_fails_is_one_line(tmp_path: Path, peer: str, script: str | None, why: str) -> None:
    environment = tmp_path / "venv" if script is None else program(tmp_path / "venv", peer, script)
    with pytest.raises(PeerFailed, match=why):
        run(peer, environment, WORK, tmp_path / "run", 0.5 if "1000" in str(script) else 60)


@pytest.mark.parametrize("peer", COMMANDS)
def test_every_client_is_told_the_same_work(tmp_path: Path, peer: str) -> None:
    words, _, _ = COMMANDS[peer](tmp_path, WORK, tmp_path)
    told = " ".join(words) + "".join(path.read_text() for path in tmp_path.glob("*.json*"))
    for said in (WORK.url, "10.0", "one", "two", "ignore_eos", "max_tokens"):
        assert said in told
    assert "3" in words or f"kind=static,value={WORK.seed}" in words


def test_loadgen_has_poisson_arrivals_alone(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="Poisson arrivals alone"):
        COMMANDS["loadgen"](tmp_path, Work("http://a", [], "periodic", 1, 1, {}, 1), tmp_path)
