"""The comparison with other clients: what their files say in one form, clients that fail, and when two agree."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.asked import of_file


def guidellm(start: float, due: float, end: float) -> dict[str, Any]:
    return {"info": {"timings": {"targeted_start": due, "request_start": start, "request_end": end}}}


REQUESTS = {
    "successful": [guidellm(20.5, 20.25, 21.0), guidellm(10.5, 10.0, 11.5)],
    "errored": [guidellm(30, 30, 31)],
    "incomplete": [],
}
MOMENTS = {"credit_issued_ns": 1000, "request_start_ns": 4000, "request_end_ns": 9000}
LINES = [
    {"metadata": MOMENTS, "metrics": {"request_latency": {"value": 0.005, "unit": "ms"}}},
    {"metadata": {name: at + 10**6 for name, at in MOMENTS.items()}, "error": {"code": 500}},
]
EVENT = {"name": "Sample", "ph": "b", "ts": 100.0, "args": {"sample_idx": 1, "issue_start_ns": 2000, "complete_ns": 5_002_000}}


# GuideLLM is late by its target, AIPerf by its issue, and LoadGen by its schedule.
@pytest.mark.parametrize(
    ("form", "name", "text", "delay_us", "latency_ms", "failed"),
    [
        ("guidellm", "g.json", json.dumps({"benchmarks": [{"requests": REQUESTS}]}), [500_000, 250_000], [1000, 500], 1),
        ("aiperf", "a.jsonl", "\n".join(map(json.dumps, LINES)) + "\n", [3], [0.005], 1),
        ("loadgen", "mlperf_log_trace.json", f'{{"traceEvents":[\n{json.dumps(EVENT)},\n{{"name":"LastTrace"}}\n]}}', [2], [5], 0),
    ],
)
def test_what_a_client_was_late_by(
    form: str, name: str, text: str, delay_us: list[int], latency_ms: list[float], failed: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    found = of_file(form, tmp_path if form == "loadgen" else tmp_path / name)
    assert (found.delay_us.tolist(), found.latency_ms.tolist(), found.failed) == (delay_us, latency_ms, failed)
    assert found.start_s.tolist() == [10.0 * place for place in range(len(delay_us))]
