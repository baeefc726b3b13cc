"""Files that hold a part of a run, or contradict themselves, are refused, or what they lack is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contracts import InputError
from orchestrator.exchange.formats import LAW_LOST, aiperf, loadgen

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
    ("made", "told"),
    [
        ({"queries": range(3)}, "holds 3 of 4 queries (result_query_count of mlperf_log_detail.txt)"),
        ({"queries": [0, 1, 2, 2]}, "holds 3 of 4 queries"),
        ({"queries": [None] * 3, "end": ""}, "is cut off, since it has no LastTrace"),
        ({"end": ""}, "is cut off"),
        ({"queries": range(3), "end": "", "told": False}, "is cut off"),
    ],
)
def test_a_part_of_a_trace_is_refused(made: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        list(loadgen.read(logs(tmp_path, **made)))
    assert str(refused.value).startswith(f"{tmp_path / loadgen.TRACE} {told}")


def test_a_sample_of_loadgen_that_stands_twice_is_refused(tmp_path: Path) -> None:
    trace = logs(tmp_path) / loadgen.TRACE
    trace.write_text(trace.read_text().replace('"query_seq": ', '"sample_seq": 7, "query_seq": '))
    with pytest.raises(InputError, match=r"line 3 is the sample of line 2 once more \(sample_seq 7\); remove one of them"):
        list(loadgen.read(tmp_path))


def test_all_logs_of_a_folder_are_known_by_their_digests(tmp_path: Path, imported: Callable[..., Any]) -> None:
    found = imported(logs(tmp_path), "--format", "loadgen")
    names = (loadgen.TRACE, loadgen.DETAIL)
    assert found.only().facts["imported"]["files"] == [
        {"name": name, "sha256": hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()} for name in names
    ]


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
    ("changed", "told"),
    [
        ({"response_timestamps": [2000, 3000, 5000]}, "has 3 response_timestamps and 4 response_outputs"),
        ({"response_outputs": streamed()["response_outputs"][:3]}, "has 4 response_timestamps and 3 response_outputs"),
        ({"response_timestamps": [2000, 3000, 2500, 5000]}, "its response_timestamps go back in time"),
        ({"response_outputs": [*streamed()["response_outputs"][:3], 0]}, "response 3 holds no text, as its others do"),
        ({"response_outputs": [*streamed()["response_outputs"][:3], {"response": [1]}]}, "response 3 holds no text"),
        ({"response_outputs": [{}, *streamed()["response_outputs"][1:]]}, "response 0 holds no text, as its others do"),
    ],
)
def test_a_broken_answer_of_perf_analyzer_is_refused_by_its_place(changed: dict[str, Any], told: str, tmp_path: Path, call) -> None:
    path = of_perf_analyzer(tmp_path, streamed(**changed))
    answer = call("import", path, "--format", "perf_analyzer", "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"error: {path} experiment 0, request 1")
    assert told in line


def test_answers_without_times_or_numbers_of_tokens_are_told(tmp_path: Path, imported: Callable[..., Any]) -> None:
    silent = streamed(response_outputs=[{"response": 'data: {"choices":[]}'}] * 4)
    path = of_perf_analyzer(tmp_path, silent, streamed(response_timestamps=[], response_outputs=[]))
    found = imported(path, "--format", "perf_analyzer")
    told = "Answers of which the file has no first token, and which so are late by the clocks of tokens"
    assert f"{told}: 1 of 2, {path} experiment 0, request 1 first." in found.out
    timings = {"targeted_start": 1.0, "request_start": 1.0, "first_token_iteration": 1.02, "request_end": 1.2}
    guidellm = tmp_path / "g.json"
    requests = [{"info": {"timings": timings}, "output_tokens": tokens} for tokens in (5, 0, None)]
    guidellm.write_text(json.dumps({"benchmarks": [{"requests": {"successful": requests}}]}))
    found = imported(guidellm, "--format", "guidellm")
    assert (
        f"no number of tokens, or 0, and whose per_token so is as of a single one, from there to their end: 2 of 3, {guidellm}" in found.out
    )
    assert "successful request 1 first." in found.out


def request_of_aiperf(number: int) -> str:
    about = {"x_request_id": f"id-{number}", "request_start_ns": 10**18, "request_end_ns": 10**18 + 10**8}
    return json.dumps({"metadata": about, "metrics": {f"other_{number}": {"value": 1}}}) + "\n"


def test_a_request_of_aiperf_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(map(request_of_aiperf, (0, 1, 0))))
    with pytest.raises(InputError, match=r"a\.jsonl line 3 is the request of line 1 once more \(x_request_id id-0\); remove one of them"):
        list(aiperf.read(path))


def test_every_metric_that_is_not_imported_is_kept_by_name(tmp_path: Path, imported: Callable[..., Any]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(map(request_of_aiperf, range(8))))
    found = imported(path, "--format", "aiperf")
    assert "(other_0, other_1, other_2, other_3, other_4, other_5 and 2 more)" in found.out
    assert found.only().facts["aiperf"] == {"not_imported": [f"other_{number}" for number in range(8)]}
    (row,) = found.rows("resources")
    assert (row["changed_samples"], row["differing_samples"]) == (None, None), "no answer is stored"


def test_a_rate_of_guidellm_that_no_load_has_is_told(tmp_path: Path, call: Callable[..., Any]) -> None:
    path = tmp_path / "g.json"
    timings = {"targeted_start": 1.0, "request_start": 1.0, "request_end": 1.2}
    benchmark = {
        "requests": {"successful": [{"info": {"timings": timings}}]},
        "config": {"strategy": {"type_": "constant", "rate": 1e9}},
    }
    path.write_text(json.dumps({"benchmarks": [benchmark]}))
    answer = call("import", path, "--format", "guidellm", "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    assert LAW_LOST in answer.out
