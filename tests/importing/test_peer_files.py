"""Real files of other programs give the figures that their own numbers, read by hand, give."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from peer_files import PEERS, needs_peers, percentile

from orchestrator.configuration.analysis import AnalysisConfig

PERCENTS = (50, 90, 95, 99, 99.9)


def in_time(times: list[int], bound_ns: int) -> float:
    return sum(time <= bound_ns for time in times) / len(times)


def check(found, times: list[int], bound_ms: float) -> None:
    """Counts, percentiles, mean, extremes and the share in time, on both clocks, which are one."""
    for clock in ("inference", "total"):
        assert [found.percentile(percent, clock) for percent in PERCENTS] == [percentile(times, percent) for percent in PERCENTS]
        row = found.rows("latency", clock=clock)[0]
        assert (row["samples"], row["min_ns"], row["max_ns"]) == (len(times), min(times), max(times))
        assert row["mean_ns"] == pytest.approx(sum(times) / len(times), rel=1e-12)
        (row,) = found.rows("tail_quality", clock=clock, threshold_ns=int(bound_ms * 1e6), threshold_origin="absolute")
        assert row["metric"] == "on_time"
        assert row["ideal"] == 1
        assert row["mean"] == pytest.approx(in_time(times, int(bound_ms * 1e6)), abs=1e-12)
    assert found.only().imported
    assert found.only().state == "done"
    assert {"imported", "no quality"} <= set(row["flags"])


def check_clock(found, clock: str, times: list[int]) -> None:
    """Percentiles and mean of one clock."""
    assert [found.percentile(percent, clock) for percent in PERCENTS] == [
        pytest.approx(percentile(times, percent), abs=1) for percent in PERCENTS
    ]
    assert found.rows("latency", clock=clock)[0]["mean_ns"] == pytest.approx(sum(times) / len(times), abs=1)


def check_gaps(found, gaps: list[list[float]]) -> None:
    """The table of gaps between tokens, of gaps in ns by answer."""
    every, longest = sorted(gap for some in gaps for gap in some), [max(some) for some in gaps]
    (row,) = found.rows("token_gaps")
    assert (row["answers"], row["gaps"]) == (len(gaps), len(every))
    hand = [percentile(every, percent) for percent in (50, 95, 99)] + [every[-1], percentile(longest, 50), percentile(longest, 99)]
    names = ("p50_ns", "p95_ns", "p99_ns", "longest_ns", "longest_p50_ns", "longest_p99_ns")
    assert [row[name] for name in names] == [pytest.approx(value, abs=2) for value in hand]


def at(bound_ms: float) -> AnalysisConfig:
    return AnalysisConfig(thresholds_ms=(bound_ms,))


@needs_peers
def test_guidellm(imported) -> None:
    path = PEERS / "guidellm" / "benchmarks.json"
    requests = json.loads(path.read_text())["benchmarks"][0]["requests"]["successful"]
    times = [round((one["info"]["timings"]["request_end"] - one["info"]["timings"]["request_start"]) * 1e9) for one in requests]
    assert times == [pytest.approx(one["request_latency"] * 1e9, abs=1000) for one in requests]
    found = imported(path, "--format", "guidellm", analysis=at(250))
    check(found, times, 250)
    assert "one round" in found.rows("tail_quality")[0]["flags"]
    # What GuideLLM itself says of each request.
    check_clock(found, "response", [round(one["request_scheduled_latency"] * 1e9) for one in requests])
    moments = [one["info"]["timings"] for one in requests]
    check_clock(found, "first_token", [round((one["first_token_iteration"] - one["targeted_start"]) * 1e9) for one in moments])
    check_clock(found, "per_token", [round(one["inter_token_latency_ms"] * 1e6) for one in requests])
    (schedule,) = found.rows("load")
    due = [one["targeted_start"] for one in moments]
    assert (schedule["load"], schedule["streams"], schedule["arrivals"]) == ("poisson 1/s", 1, len(due))
    assert schedule["scheduled_per_s"] == pytest.approx((len(due) - 1) / (max(due) - min(due)), rel=1e-6)
    assert schedule["own_delay_max_ns"] == pytest.approx(max(one["request_dispatch_delay"] for one in requests) * 1e9, abs=1)
    assert schedule["idle_arrivals"] == len(due)
    sent = [one["request_start"] for one in moments]
    assert schedule["delivered_per_s"] == pytest.approx((len(due) - 1) / (max(sent) - min(sent)), rel=1e-6)


@needs_peers
def test_aiperf(imported) -> None:
    path = PEERS / "aiperf" / "profile_export.jsonl"
    values = [json.loads(line)["metrics"]["request_latency"] for line in path.read_text().splitlines()]
    assert {value["unit"] for value in values} == {"ms"}
    found = imported(path, "--format", "aiperf", analysis=at(400))
    check(found, [round(value["value"] * 1e6) for value in values], 400)
    own = next(
        line for line in (PEERS / "aiperf" / "profile_export_aiperf.csv").read_text().splitlines() if line.startswith("Request Latency")
    )
    metrics = [json.loads(line)["metrics"] for line in path.read_text().splitlines()]
    check_clock(found, "first_token", [round(one["time_to_first_token"]["value"] * 1e6) for one in metrics])
    check_clock(found, "per_token", [round(one["inter_token_latency"]["value"] * 1e6) for one in metrics])
    check_gaps(found, [[gap * 1e6 for gap in one["inter_chunk_latency"]["value"]] for one in metrics])
    tokens = found.campaign.timings(found.only().trial_id).column("tokens").to_pylist()
    assert tokens == [one["usage_completion_tokens"]["value"] for one in metrics]
    mean, least, most = (float(cell) for cell in own.split(",")[1:4])
    row = found.rows("latency", clock="inference")[0]
    assert [row["mean_ns"] / 1e6, row["min_ns"] / 1e6, row["max_ns"] / 1e6] == pytest.approx([mean, least, most], abs=0.006)


@needs_peers
@pytest.mark.parametrize("name", ["profile_export_tiny.json", "profile_export_openai.json"])
def test_perf_analyzer(name: str, imported) -> None:
    path = PEERS / "perf_analyzer" / name
    requests = json.loads(path.read_text())["experiments"][0]["requests"]
    times = [one["response_timestamps"][-1] - one["timestamp"] for one in requests]
    found = imported(path, "--format", "perf_analyzer", analysis=at(50))
    check(found, times, 50)
    if "openai" in name:
        pieces = [
            [moment - one["timestamp"] for moment, output in zip(one["response_timestamps"], one["response_outputs"], strict=True)
             if re.search(r'"(content|text)":"[^"]', output["response"])]
            for one in requests
        ]  # fmt: skip
        check_clock(found, "first_token", [moments[0] for moments in pieces])
        check_clock(found, "per_token", [round((moments[-1] - moments[0]) / (len(moments) - 1)) for moments in pieces])
        check_gaps(found, [np.diff(moments).tolist() for moments in pieces])


@needs_peers
def test_loadgen(imported) -> None:
    folder = PEERS / "mlperf_loadgen"
    events = re.findall(
        r'"ph":"b".*"ts":([0-9.]+),"args":\{"sample_seq":(\d+).*"issue_start_ns":(\d+),"complete_ns":(\d+)',
        (folder / "mlperf_log_trace.json").read_text(),
    )
    times = [int(complete) - int(issue) for _, _, issue, complete in events]
    assert len(times) == 288
    found = imported(folder, "--format", "loadgen", analysis=at(5))
    check(found, times, 5)
    # LoadGen's own percentiles are those of the times from the schedule, which the delay of issuing is a part of.
    log = (folder / "mlperf_log_detail.txt").read_text()
    own = dict(re.findall(r'"result_([0-9.]+)_percentile_latency_ns", "value": (\d+)', log))
    assert int(own["99.00"]) == sorted(int(complete) for _, _, _, complete in events)[int(288 * 0.99)]
    check_clock(found, "response", [int(complete) for *_, complete in events])
    assert {percent: found.percentile(percent, "response") for percent in (90, 95, 99)} == {
        percent: int(own[f"{percent}.00"]) for percent in (90, 95, 99)
    }
    (mean,) = re.findall(r'"result_mean_latency_ns", "value": (\d+)', log)
    assert int(found.rows("latency", clock="response")[0]["mean_ns"]) == int(mean)
    (schedule,) = found.rows("load")
    assert (schedule["load"], schedule["idle"], schedule["policy"]) == ("poisson 100/s", "unknown", "unknown")
    assert schedule["own_delay_p99_ns"] == percentile([int(issue) for _, _, issue, _ in events], 99)
    assert schedule["mean_wait_ns"] == pytest.approx(np.mean([int(issue) for _, _, issue, _ in events]))
    facts = found.only().facts["loadgen"]
    assert facts["result_query_count"] == "288"
    assert found.only().started_at > datetime(2026, 1, 1, tzinfo=UTC)
    rounds = found.campaign.matrix(found.only().trial_id)
    assert rounds.times["inference"].shape == (24, 12)
    by_schedule = [
        int(complete) - int(issue) for ts, _, issue, complete in sorted(events, key=lambda event: float(event[0]) * 1000 + int(event[2]))
    ]
    np.testing.assert_array_equal(rounds.times["inference"].ravel(), by_schedule)


def test_vllm_as_its_writer_forms_it(tmp_path, imported) -> None:
    """No file of vLLM is recorded here: this one has the form that vllm/benchmarks/serve.py writes with --save-detailed."""
    rng = np.random.default_rng(5)
    ttfts, itls = rng.uniform(0.05, 0.2, 26).tolist(), rng.uniform(0.01, 0.02, (26, 7)).tolist()
    document = {
        "model_id": "org/some-model", "request_rate": "inf", "ttfts": ttfts, "itls": itls, "errors": [""] * 25 + ["503"],
        "start_times": np.arange(100.0, 126.0).tolist(), "input_lens": [3] * 26, "output_lens": [8] * 26, "generated_texts": ["x"] * 26,
    }  # fmt: skip
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    found = imported(path, "--format", "vllm", analysis=at(200))
    times = [round((first + sum(gaps)) * 1e9) for first, gaps in zip(ttfts[:25], itls[:25], strict=True)]
    (late,) = found.rows("latency", clock="inference", percentile=99)
    assert (late["value_ns"], late["without_time"], late["samples"]) == (None, 1, 26)
    assert found.percentile(50) == percentile([*times, 10**18], 50)
    (row,) = found.rows("tail_quality", clock="inference", threshold_ns=200_000_000, threshold_origin="absolute")
    assert row["mean"] == pytest.approx(sum(time <= 200_000_000 for time in times) / 26, abs=1e-12)
    assert found.only().trial.model.name == "org_some-model"
    per_token = [round(sum(gaps) / 7 * 1e9) for gaps in itls[:25]]
    for clock, values in (("first_token", [round(first * 1e9) for first in ttfts[:25]]), ("per_token", per_token)):
        assert found.percentile(50, clock) == pytest.approx(percentile([*values, 10**18], 50), abs=1)
    check_gaps(found, [[gap * 1e9 for gap in gaps] for gaps in itls[:25]])


@pytest.mark.parametrize("kind", ["concurrent", "constant"])
def test_moments_of_guidellm_are_a_schedule_where_its_strategy_has_one(kind: str, tmp_path, imported) -> None:
    def request(second: int) -> dict:
        timings = {"targeted_start": second, "request_start": second + 0.25, "request_end": second + 0.75, "first_token_iteration": None}
        return {"info": {"timings": timings}}

    requests = {"successful": [request(second) for second in (1, 2, 3)], "incomplete": [{"info": {"timings": {}}}]}
    config = {"strategy": {"type_": kind, "rate": 1.0}}
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"benchmarks": [{"requests": requests, "config": config}]}))
    found = imported(path, "--format", "guidellm")
    assert found.campaign.timings(found.only().trial_id).num_rows == 3
    assert found.only().trial.load.is_open == (kind == "constant")
    if kind == "constant":
        assert found.percentile(99, "response") == 750_000_000


@pytest.mark.parametrize(
    ("form", "text", "code"),
    [
        ("guidellm", "[1]", "missing"),
        ("guidellm", '{"benchmarks": [{"requests": {"successful": [1]}}]}', "invalid"),
        ("guidellm", '{"benchmarks": [{"requests": {"successful": [{"info": 3}]}}]}', "missing"),
        ("vllm", '{"ttfts": [true], "itls": [[]], "errors": [""]}', "invalid"),
        ("vllm", f'{{"more": {"[" * 250}{"]" * 250}}}', "damaged"),
        ("vllm", '{"ttfts": [], "itls": [], "errors": []}', "no_data"),
        ("vllm", '{"ttfts": [1e308], "itls": [[0.01]], "errors": [""]}', "invalid"),
    ],
)
def test_a_file_of_another_form_is_refused(form: str, text: str, code: str, tmp_path, call) -> None:
    path = tmp_path / "made.json"
    path.write_text(text)
    answer = call("import", path, "--format", form, "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    assert (answer.returncode, answer.refusal) == (2, code)


def test_several_benchmarks_are_several_trials_and_files_of_one_system_are_repeats(tmp_path, imported) -> None:
    def request(start: float, time: float) -> dict:
        return {"info": {"timings": {"targeted_start": start, "request_start": start, "request_end": start + time}}}

    def benchmark(time: float) -> dict:
        return {
            "requests": {
                "successful": [request(number, time) for number in range(3)],
                "errored": [{"info": {"timings": {}}}],
                "incomplete": None,
            }
        }

    path = tmp_path / "b.json"
    path.write_text(json.dumps({"benchmarks": [benchmark(0.5), benchmark(0.25)]}))
    found = imported(path, "--format", "guidellm")
    assert [trial.trial.system.name for trial in found.campaign.trials()] == ["b-0", "b-1"]
    found = imported(path, "--format", "guidellm", "system=host")
    assert [trial.trial.repeat for trial in found.campaign.trials()] == [0, 1]
    assert len({trial.match_key for trial in found.campaign.trials()}) == 1


@pytest.mark.parametrize("form", ["aiperf", "guidellm", "vllm"])
def test_graded_answers_count_as_by_hand(form: str, tmp_path, imported, call) -> None:
    random, numbers = np.random.default_rng(3), range(30)
    times, right = random.uniform(10, 90, 30).round(3), random.random(30) < 0.7
    said = [str(number) if right[number] else "no" for number in numbers]
    bodies = [json.dumps({"body": {"messages": [{"content": [{"type": "text", "text": f"Say {number}"}]}]}}) for number in numbers]
    moments = [{"timings": {"request_start": number, "request_end": number + times[number] / 1000}} for number in numbers]
    asked = [{"x_request_id": f"r{number}", "request_start_ns": number, "request_end_ns": number + 1} for number in numbers]
    lists = {"ttfts": (times / 1000).tolist(), "itls": [[]] * 30, "errors": [""] * 30, "generated_texts": said}
    files = {
        "guidellm": [
            {
                "benchmarks": [
                    {"requests": {"successful": [{"info": moments[n], "request_args": bodies[n], "output": said[n]} for n in numbers]}}
                ]
            }
        ],
        "aiperf": [{"metadata": asked[n], "metrics": {"request_latency": {"value": times[n], "unit": "ms"}}} for n in numbers],
        "vllm": [lists | {"prompts": [f"Say {number}" for number in numbers]}],
        "mine.jsonl": [{"prompt": f"Say {number}", "answers": [str(number)]} for number in numbers],
        "accuracy_export.jsonl": [{"x_request_id": f"r{number}", "passed": bool(right[number])} for number in reversed(numbers)],
    }
    for name, rows in files.items():
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    grade = [] if form == "aiperf" else ["--grade", "task=prompts", "--grade", f"task.path={tmp_path / 'mine.jsonl'}"]
    found = imported(tmp_path / form, "--format", form, *grade, analysis=at(50))
    row = next(one for one in found.rows("tail_quality", clock="inference", threshold="50 ms") if one["metric"] == found.only().metrics[0])
    assert (row["ideal"], row["mean"], "no quality" in found.only().flags) == (right.mean(), (right & (times <= 50)).mean(), False)
    for name in ("mine.jsonl", "accuracy_export.jsonl"):
        (tmp_path / name).write_text(json.dumps(files[name][0]))
    answer = call("import", tmp_path / form, "--format", form, *grade, "--task", "t", "--quiet", f"results_dir={tmp_path / 'r'}")
    assert (answer.returncode, answer.refusal, "29 of 30" in answer.stderr) == (2, "incomparable", True)
