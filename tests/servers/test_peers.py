"""The comparison with other clients: what their files say in one form, clients that fail, and when two agree."""

import json
from pathlib import Path
from typing import Any

from benchmarks.peers.asked import of_file


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
