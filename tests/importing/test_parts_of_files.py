"""Files that hold a part of a run, or contradict themselves, are refused."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from orchestrator.contracts import Code
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


def streamed(**changed: object) -> dict[str, Any]:
    """An answer of perf_analyzer in four responses, of which two have content."""
    texts = ['{"choices":[{"delta":{"role":"x"}}]}', *['{"choices":[{"delta":{"content":"a"}}]}'] * 2, "[DONE]"]
    outputs: list[object] = [{"response": f"data: {text}\n\n"} for text in texts]
    return {"timestamp": 1000, "response_timestamps": [2000, 3000, 4500, 5000], "response_outputs": outputs} | changed


def of_perf_analyzer(folder: Path, changed: dict[str, Any]) -> Path:
    path = folder / "p.json"
    path.write_text(json.dumps({"experiments": [{"requests": [streamed(), streamed(**changed)]}]}))
    return path


def request_of_aiperf(number: int) -> str:
    about = {"x_request_id": f"id-{number}", "request_start_ns": 10**18, "request_end_ns": 10**18 + 10**8}
    return json.dumps({"metadata": about, "metrics": {f"other_{number}": {"value": 1}}}) + "\n"


def twice(folder: Path) -> Path:
    """Logs of LoadGen in which a sample stands twice."""
    trace = logs(folder) / loadgen.TRACE
    trace.write_text(trace.read_text().replace('"query_seq": ', '"sample_seq": 7, "query_seq": '))
    return folder


def of_aiperf(folder: Path) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(map(request_of_aiperf, (0, 1, 0))))
    return path


CASES: list[tuple[Any, Any, Code, str]] = [
    *(
        (loadgen, partial(logs, **made), "damaged", key)
        for made, key in (
            ({"queries": range(3)}, "result_query_count"),
            ({"queries": [0, 1, 2, 2]}, "result_query_count"),
            ({"queries": [None] * 3, "end": ""}, "LastTrace"),
            ({"end": ""}, "LastTrace"),
            ({"queries": range(3), "end": "", "told": False}, "LastTrace"),
        )
    ),
    (loadgen, twice, "conflict", "sample_seq"),
    *(
        (perf_analyzer, partial(of_perf_analyzer, changed=changed), "damaged", key)
        for changed, key in (
            ({"response_timestamps": [2000, 3000, 5000]}, "response_outputs"),
            ({"response_timestamps": [2000, 3000, 2500, 5000]}, "response_timestamps"),
            ({"response_outputs": [*streamed()["response_outputs"][:3], 0]}, "response_outputs"),
            ({"response_outputs": [{}, *streamed()["response_outputs"][1:]]}, "response_outputs"),
        )
    ),
    (aiperf, of_aiperf, "conflict", "x_request_id"),
]


@pytest.mark.parametrize(("form", "written", "code", "key"), CASES)
def test_a_part_of_a_run_or_what_stands_twice_is_refused(form: Any, written: Any, code: Code, key: str, tmp_path: Path) -> None:
    with refused(code, key):
        list(form.read(written(tmp_path)))
