"""Files that hold a part of a run, or contradict themselves, are refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.exchange.formats import aiperf, loadgen, perf_analyzer

DETAIL = (("effective_scenario", "Server"), ("effective_target_qps", 10), ("result_query_count", 4))


def logs(folder: Path, queries: Sequence[int | None] = range(4), end: str = '{"name":"LastTrace"}\n]}\n', told: bool = True) -> Path:
    """LoadGen's logs of queries of these numbers."""
    lines = ['{"traceEvents":[\n']
    for place, number in enumerate(queries):
        numbered = {} if number is None else {"query_seq": number}
        args = numbered | {"sample_idx": place, "issue_start_ns": 10, "complete_ns": 5000}
        lines.append(json.dumps({"name": "Sample", "ph": "b", "ts": place * 100.5, "args": args}) + ",\n")
    (folder / loadgen.TRACE).write_text("".join([*lines, end]))
    if told:
        (folder / loadgen.DETAIL).write_text("".join(f":::MLLOG {json.dumps({'key': key, 'value': value})}\n" for key, value in DETAIL))
    return folder


@pytest.mark.parametrize(
    ("made", "key"),
    [
        ({"queries": range(3)}, "result_query_count"),
        ({"queries": [0, 1, 2, 2]}, "result_query_count"),
        ({"queries": [None] * 3, "end": ""}, "LastTrace"),
        ({"end": ""}, "LastTrace"),
        ({"queries": range(3), "end": "", "told": False}, "LastTrace"),
    ],
)
def test_a_part_of_a_trace_is_refused(made: dict[str, Any], key: str, tmp_path: Path) -> None:
    with refused("damaged", key):
        list(loadgen.read(logs(tmp_path, **made)))


def test_a_sample_of_loadgen_that_stands_twice_is_refused(tmp_path: Path) -> None:
    trace = logs(tmp_path) / loadgen.TRACE
    trace.write_text(trace.read_text().replace('"query_seq": ', '"sample_seq": 7, "query_seq": '))
    with refused("conflict", "sample_seq", 7):
        list(loadgen.read(tmp_path))


def streamed(**changed: object) -> dict[str, Any]:
    """An answer of perf_analyzer in four responses, of which two have content."""
    texts = ['{"choices":[{"delta":{"role":"x"}}]}', *['{"choices":[{"delta":{"content":"a"}}]}'] * 2, "[DONE]"]
    outputs: list[object] = [{"response": f"data: {text}\n\n"} for text in texts]
    return {"timestamp": 1000, "response_timestamps": [2000, 3000, 4500, 5000], "response_outputs": outputs} | changed


def of_perf_analyzer(folder: Path, *requests: object) -> Path:
    path = folder / "p.json"
    path.write_text(json.dumps({"experiments": [{"requests": [streamed(), *requests]}]}))
    return path


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"response_timestamps": [2000, 3000, 5000]}, "response_outputs"),
        ({"response_timestamps": [2000, 3000, 2500, 5000]}, "response_timestamps"),
        ({"response_outputs": [*streamed()["response_outputs"][:3], 0]}, "response_outputs"),
        ({"response_outputs": [{}, *streamed()["response_outputs"][1:]]}, "response_outputs"),
    ],
)
def test_a_broken_answer_of_perf_analyzer_is_refused(changed: dict[str, Any], key: str, tmp_path: Path) -> None:
    with refused("damaged", key):
        list(perf_analyzer.read(of_perf_analyzer(tmp_path, streamed(**changed))))


def request_of_aiperf(number: int) -> str:
    about = {"x_request_id": f"id-{number}", "request_start_ns": 10**18, "request_end_ns": 10**18 + 10**8}
    return json.dumps({"metadata": about, "metrics": {f"other_{number}": {"value": 1}}}) + "\n"


def test_a_request_of_aiperf_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(map(request_of_aiperf, (0, 1, 0))))
    with refused("conflict", "x_request_id", "id-0"):
        list(aiperf.read(path))
