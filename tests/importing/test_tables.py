"""Tables in long form: what they may hold, and how a mistake in one is said."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.exchange import formats
from orchestrator.exchange.formats import table
from orchestrator.exchange.long_form import long_form


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def refused(call, path: Path, *words: str) -> str:
    answer = call("import", path, "--format", "table", "--task", "t", "--quiet", f"results_dir={path.parent / 'refused'}", *words)
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert not (path.parent / "refused").exists()
    return line


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_units(unit: str, tmp_path, imported) -> None:
    per = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}[unit]
    times = [7_000_000_000, 3_000_000_000, 11_000_000_000]
    path = written(tmp_path / "t.csv", f"latency,id\n{times[0] // per},a\n{times[1] // per},b\n{times[2] // per},c\n")
    found = imported(path, "--format", "table", "--map", f"inference_{unit}=latency", "--map", "sample=id")
    assert [found.percentile(50), found.percentile(99)] == [7_000_000_000, 11_000_000_000]


def test_stages_outcomes_scores_slices_and_answers(tmp_path, imported) -> None:
    rows = [
        {"round": 1, "sample": name, "preprocess_ms": 1, "inference_ms": time, "postprocess_ms": 2, "outcome": "ok", "score_own": score,
         "slice_kind": kind, "reference": "A", "prediction": "B", "input_size": size}
        for name, time, score, kind, size in (("one", 5, 1.0, "x", 3), ("two", 7, 0.5, "y", 4))
    ]  # fmt: skip
    second = [{**rows[0], "round": 2, "inference_ms": None, "outcome": "timeout"}, {**rows[1], "round": 2, "inference_ms": 20}]
    path = written(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n" for row in [*rows, *second]))
    found = imported(path, "--format", "table", analysis=AnalysisConfig(thresholds_ms=(9, 30), slices=("kind",)))
    mean = {
        (row["clock"], row["slice"], row["threshold"]): row["mean"]
        for row in found.rows("tail_quality", threshold_origin="absolute", metric="own")
    }
    assert mean["total", "all", "9 ms"] == pytest.approx((0.5 * 1 + 0) / 2)
    assert mean["inference", "all", "9 ms"] == pytest.approx((0.75 + 0) / 2)
    assert mean["total", "all", "30 ms"] == pytest.approx((0.75 + 0.25) / 2)
    [of_group] = found.rows("slices", clock="total", slice="kind=y", threshold="30 ms", metric="own")
    assert (of_group["mean"], of_group["members"], of_group["unit"]) == (pytest.approx(0.5), 1, "samples")
    samples = found.campaign.samples(found.only().trial_id)
    assert samples.column("name").to_pylist() == ["one", "two"]
    assert samples.column("input_size").to_pylist() == [3, 4]
    assert samples.column("prediction").to_pylist() == ["B", "B"]


def test_scores_of_the_file_count_and_not_a_metric_of_that_name(tmp_path, imported) -> None:
    path = written(tmp_path / "t.csv", "round,sample,inference_ms,score_top1\n0,0,1,1\n0,1,1,0.25\n")
    found = imported(path, "--format", "table")
    assert {row["ideal"] for row in found.rows("tail_quality", metric="top1")} == {0.625}


def test_answers_are_judged_by_a_metric_that_the_user_names(tmp_path, imported) -> None:
    path = written(tmp_path / "t.csv", "sample,inference_ms,reference,prediction\na,1,X,X\nb,1,Y,X\nc,9,Z,Z\n")
    found = imported(
        path, "--format", "table", "analysis.metrics=[accuracy]", analysis=AnalysisConfig(metrics=("accuracy",), thresholds_ms=(5,))
    )
    (row,) = found.rows("tail_quality", clock="total", threshold="5 ms")
    assert (row["ideal"], row["mean"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_requests_in_any_order_are_put_into_rounds(tmp_path, imported) -> None:
    rng = np.random.default_rng(3)
    times = rng.integers(1, 10**7, (30, 12))
    order = rng.permutation(360)
    table = pa.table(
        {"round": np.repeat(np.arange(30), 12)[order], "sample": np.tile(np.arange(12), 30)[order], "inference_ns": times.ravel()[order]}
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=50)
    found = imported(tmp_path / "t.parquet", "--format", "table")
    np.testing.assert_array_equal(found.campaign.matrix(found.only().trial_id).times["inference"], times)


def test_overlapping_requests_and_visits_by_time(tmp_path, imported) -> None:
    """Four requests at once: their times add up to more than the rounds took. Pauses make visits."""
    rows = [(round_, 10**18 + round_ * 10**9 + (round_ // 2) * 5 * 10**9, 10**9) for round_ in range(6) for _ in range(4)]
    path = written(tmp_path / "t.csv", "round,start_ns,inference_ns\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    found = imported(path, "--format", "table")
    rounds = found.campaign.rounds(found.only().trial_id)
    assert rounds.column("duration_ns").to_pylist() == [10**9] * 6
    assert rounds.column("visit").to_pylist() == [0, 0, 1, 1, 2, 2]
    assert "Visits are formed by time: 3 of them" in found.out


def test_those_left_over_are_warm_up(tmp_path, imported) -> None:
    path = written(tmp_path / "t.csv", "inference_ns\n" + "".join(f"{number + 1}\n" for number in range(101)))
    found = imported(path, "--format", "table")
    trial = found.only().trial_id
    assert found.campaign.warmup(trial).column("inference_ns").to_pylist() == [1]
    assert found.campaign.timings(trial).column("inference_ns").to_pylist() == list(range(2, 102))
    assert "101 requests, 1 of them as warm-up" in found.out


MISTAKES = {
    "csv": {
        "inference_ns\n5\n6\nseven\n": "line 4: inference_ns='seven' is no number",
        "sample,inference_ms\na,5\n\nb,-6\n": "line 4: inference_ms='-6' is no time",
        "sample,inference_ms\na,5\nb,\n": "line 3: inference_ms is empty",
        "sample,inference_ms\na,5\nb\n": "line 3 has 1 cells",
        "sample,inference_ms\na,5\nb,inf\n": "line 3: inference_ms='inf' is no number",
        "round,sample,inference_ms\n0,a,5\n0,a,6\n": "line 3: its round has this sample twice",
        "round,sample,inference_ms\n0,a,5\n-1,a,6\n": "line 3: round='-1' must be a whole number",
        "sample,inference_ms,outcome\na,5,ok\nb,6,late\n": "line 3: outcome='late' must be one of ok, error",
        "sample,inference_ms,score_f\na,5,1\nb,6,nan\n": "line 3: score_f='nan' must be a number from 0 to",
        "round,sample,inference_ms,score_f\n0,a,5,1\n1,a,6,0\n": "line 3: score_f is another than before",
        "sample,inference_ms,total_ms\na,5,4\n": "line 2: total is below inference",
        "sample,inference_ms,score_map\na,5,1\n": "map is no mean over samples",
        "sample,duration\na,5\n": "line 2: no column holds a time",
        "": "is empty",
        'inference_ms,slice_x\n5,"a\n6,b\n7,c\n': "cannot be read as CSV (unexpected end of data)",
        'inference_ms,slice_x\n5,a\n6,"b\n7,c': "cannot be read as CSV (unexpected end of data)",
        'inference_ms,slice_x\n5,"a\n6,b\n7,"c\n': "cannot be read as CSV (",
        "sample,sample,inference_ms\n1,2,3\n": "has two columns 'sample'",
        "start_s,inference_ms\n-9e9,1\n9e9,2\n": "line 2: start_s='-9e9' is no time",
        "sample,inference_ms,score_f\na,5,1\nb,6,1e300\n": "line 3: score_f='1e300' must be a number from 0 to",
        "inference_ms,outcome\n,error\n,timeout\n": "none was answered",
        "sample,inference_ms\n": "holds no request",
        "a,b\n1,2\n": "has no column of the long form",
        "sample,inference_ms,inference_us\na,5,6\n": "is a second column of one time",
        "inference_ms,start_ns,arrival_ns\n5,0,0\n6,1000000000,1500000000\n": "line 3: it begins before it is scheduled",
        "inference_ms,first_token_ms\n5,4\n5,6\n": "line 3: its first token comes after the end of its answer",
        "inference_ms,first_token_ms,last_token_ms\n5,4,3\n": "line 2: its last token comes before its first",
        "inference_ms,last_token_ms\n5,4\n": "without it other times of its tokens tell nothing",
        "inference_ms,tokens\n5,-4\n": "tokens='-4' must be a whole number from 0 to 2,147,483,647",
        "inference_ms,first_token_ms,token_gaps_ms\n5,4,4\n": "token_gaps_ms='4' is no list of times",
    },
    "jsonl": {
        '{"inference_ms": true}\n{"inference_ms": false}\n': "line 1: inference_ms=True must be a number",
        '{"inference_ms": 5, "round": true}\n': "line 1: round=True must be a number",
        '{"inference_ms": 5}\n{"inference_ms": "x"}\n': "values of 'inference_ms' differ in kind (Could not convert 'x'",
        "\n"
        + '{"inference_ms": 5}\n' * 17
        + '{"inference_ms": [5]}\n'
        + '{"inference_ms": 5}\n' * 9: "values of 'inference_ms' differ in kind (cannot mix list",
        '{"inference_ms": 5, "score_a": 1}\n{"inference_ms": 5, "score_a": 99999999999999999999}\n': (
            "values of 'score_a' differ in kind (Python int too large"
        ),
        '{"total_s": 5, "total_ns": 5}\n': "total_s=5 is a second column of one time",
        '{"inference_ms": 5, "first_token_ms": 1, "token_gaps_ms": [1]}\n{"inference_ms": 5, "first_token_ms": 1, "token_gaps_ms": [1, 4]}\n': (
            "line 2: its gaps between tokens add up to more than its answer took"
        ),
        '{"inference_ms": 5, "first_token_ms": 1, "token_gaps_ms": [1, -1]}\n': "line 1: token_gaps_ms=[1, -1] holds what is no time",
        '{"inference_ms": 5}\n[1]\n': "line 2 is no object",
        '{"inference_ms": 5}\n{"inference_ms": 5\n': "line 2 is no JSON",
        '{"inference_ms": 5}\n\n{"inference_ms": 0}\n': "line 3: inference_ms=0 is no time",
    },
    "parquet": {"no parquet": "is no whole Parquet file"},
    "xlsx": {"x": "must end with .csv"},
}
"""Files by how their names end, and what is said of each."""


@pytest.mark.parametrize(("form", "text", "told"), [(form, *case) for form, cases in MISTAKES.items() for case in cases.items()])
def test_a_mistake_is_one_line_with_file_and_place(form: str, text: str, told: str, tmp_path, call) -> None:
    path = written(tmp_path / f"t.{form}", text)
    line = refused(call, path)
    assert told in line
    assert line.startswith("error: ")
    assert str(path) in line or "is no mean" in line


def written_as(form: str, folder: Path, rows: dict[str, list[Any]]) -> Path:
    """Write columns as CSV, Parquet or JSON lines."""
    path = folder / f"t.{form}"
    if form == "parquet":
        pq.write_table(pa.table(rows), path)
        return path
    each = list(zip(*rows.values(), strict=True))
    if form == "csv":
        cells = [",".join("" if value is None else str(value) for value in row) for row in each]
        return written(path, "\n".join([",".join(rows), *cells]) + "\n")
    return written(path, "".join(json.dumps(dict(zip(rows, row, strict=True))) + "\n" for row in each))


FORMS = ("csv", "parquet", "jsonl")


def test_words_for_nothing_are_names_in_columns_of_text(tmp_path) -> None:
    words = ["nan", "NaN", "NULL", "null", "NA", "N/A", "None", "-", '""']
    text = "sample,total_ms,slice_a,reference,tokens\n" + "".join(f"{word},5,{word},{word},NULL\n" for word in [*words, "s"])
    recording = next(table.read(written(tmp_path / "t.csv", text), {}))
    for name in ("sample", "slice_a", "reference"):
        assert recording.table.column(name).to_pylist() == [*words[:-1], None, "s"]
    with pytest.raises(InputError, match="line 10: sample is empty"):
        long_form(recording)
    words.remove('""')
    text = "sample,total_ms,tokens\n" + "".join(f"{word},5,NULL\n" for word in words)
    rows = long_form(next(table.read(written(tmp_path / "t.csv", text), {})))
    assert (rows.column("sample").to_pylist(), rows.column("tokens").null_count) == (words, len(words))


@pytest.mark.parametrize(("cells", "names"), [("10 9", ["9", "10"]), ("10 9 nan", ["10", "9", "nan"])])
def test_samples_are_numbers_where_all_of_them_are(cells: str, names: list[str], tmp_path, imported) -> None:
    path = written(tmp_path / "t.csv", "sample,inference_ms\n" + "".join(f"{cell},5\n" for cell in cells.split()))
    found = imported(path, "--format", "table")
    assert found.campaign.samples(found.only().trial_id).column("name").to_pylist() == names


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_are_not_imported_are_named(form: str, tmp_path, imported) -> None:
    path = written_as(form, tmp_path, {"inference_ms": [5, 6], "ttft_ms": [1, 2], "words": [3, 4]})
    found = imported(path, "--format", "table")
    assert "Not imported: the columns ttft_ms, words, since the long form has none of these names" in found.out
    assert "there is no response time from the schedule" in found.out
    mapped = imported(path, "--format", "table", "--map", "first_token_ms=ttft_ms")
    assert "Not imported: the columns words, since" in mapped.out
    assert mapped.percentile(99, "first_token") == 2_000_000
    assert "there is no clock per_token" in mapped.out


@pytest.mark.parametrize("form", FORMS)
def test_a_schedule_and_times_of_tokens(form: str, tmp_path, imported) -> None:
    """Two requests at once, one that failed, one that was never sent, one that began too early by the other clock."""
    rows: dict[str, list[Any]] = {
        "arrival_ms": [100, 110, 120, 130, 200],
        "start_ms": [101, 115, 121, None, 199.5],
        "inference_ms": [30, 20, None, None, 10],
        "outcome": ["ok", "ok", "error", "dropped", "ok"],
        "first_token_ms": [10, None, 3, None, 4],
        "tokens": [3, 0, 1, None, 1],
    }
    if form != "csv":
        rows["token_gaps_us"] = [[5000, 14999.9999], None, [1], None, []]
    found = imported(written_as(form, tmp_path, rows), "--format", "table")
    timings = found.campaign.timings(found.only().trial_id)
    assert timings.column("arrival_ns").to_pylist() == [0, 10_000_000, 20_000_000, 30_000_000, 100_000_000]
    assert timings.column("queue_ns").to_pylist() == [1_000_000, 5_000_000, None, None, 0]
    matrix = found.campaign.matrix(found.only().trial_id)
    inf = float("inf")
    assert matrix.times["response"].tolist() == [[31_000_000, 25_000_000, inf, inf, 10_000_000]]
    assert matrix.times["first_token"].tolist() == [[11_000_000, inf, inf, inf, 4_000_000]]
    assert matrix.times["per_token"].tolist() == [[10_000_000, inf, inf, inf, 6_000_000]]
    assert "Of its requests 1 began before they were scheduled, by 500 us at most" in found.out
    (row,) = found.rows("load")
    assert (row["load"], row["arrivals"], row["dropped_share"]) == ("trace x1", 5, pytest.approx(0.2))
    if form == "csv":
        assert timings.column("token_gaps_ns").null_count == 5
        assert "it came with the end of the answer" in found.out
    else:
        assert timings.column("token_gaps_ns").to_pylist() == [[5_000_000, 15_000_000], None, None, None, []]


def test_streams_begin_after_pauses_and_rounds_may_lack_samples(tmp_path, imported) -> None:
    """Three streams of two rounds, the last of which lacks a sample."""
    rows = [
        {"round": number, "sample": sample, "arrival_s": 100 * (number // 2) + 2 * number + sample, "late_s": (number + sample) / 10}
        for number in range(6)
        for sample in (0, 1)
    ]
    lines = [json.dumps(row | {"start_s": row["arrival_s"] + row.pop("late_s"), "inference_s": 0.5}) for row in rows[:-1]]
    found = imported(written(tmp_path / "t.jsonl", "\n".join(lines)), "--format", "table")
    rounds = found.campaign.rounds(found.only().trial_id)
    assert rounds.column("stream").to_pylist() == rounds.column("visit").to_pylist() == [0, 0, 1, 1, 2, 2]
    assert found.campaign.timings(found.only().trial_id).column("arrival_ns").to_pylist() == [
        second * 10**9 for second in (0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2)
    ]
    (row,) = found.rows("load")
    assert (row["streams"], row["scheduled_per_s"]) == (3, pytest.approx(8 / 8))
    assert row["own_delay_max_ns"] == pytest.approx(0.5e9)
    assert "Streams are formed by time: 3 of them" in found.out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"arrival_ms": [1, None]}, "1 of 2 requests have none"),
        ({"arrival_ms": [1, 2]}, "the file does not say when requests began (start_ns)"),
        ({"arrival_ms": [1, 2], "start_ms": [1, None]}, "the file does not say when 1 of the requests that were answered began"),
    ],
)
def test_a_schedule_with_holes_is_none(more: dict[str, list[Any]], told: str, tmp_path, imported) -> None:
    found = imported(written_as("csv", tmp_path, {"inference_ms": [5, 6], **more}), "--format", "table")
    assert f"Not imported: the scheduled times in the file as a clock response, since {told}." in found.out
    assert not found.only().trial.load.is_open
    assert "response" not in {row["clock"] for row in found.rows("latency")}


def test_a_key_that_is_not_read_may_hold_anything(tmp_path, imported) -> None:
    mixed = ["1", '"x"', "[2]", '{"a": [1, "b"]}', "99999999999999999999", "null"]
    path = written(tmp_path / "t.jsonl", "".join(f'{{"inference_ms": 5, "more": {value}, "\\u00a4": 1}}\n' for value in mixed))
    assert "Not imported: the columns more, ?, since the long form" in imported(path, "--format", "table").out


def test_a_row_of_parquet_is_named(tmp_path, call) -> None:
    pq.write_table(pa.table({"inference_ns": [5] * 99 + [0]}), tmp_path / "t.parquet")
    assert f"{tmp_path / 't.parquet'} row 99: inference_ns=0 is no time" in refused(call, tmp_path / "t.parquet")


def test_a_wrong_map_is_said(tmp_path, call) -> None:
    path = written(tmp_path / "t.csv", "latency\n5\n")
    assert "--map inference=latency: inference is no column of the long form" in refused(call, path, "--map", "inference=latency")
    assert "has no column 'latencie'" in refused(call, path, "--map", "inference_ms=latencie")
    assert "--map x: must be OURS=THEIRS" in refused(call, path, "--map", "x")


def test_a_taken_directory_is_left_alone(tmp_path, call) -> None:
    path = written(tmp_path / "t.csv", "inference_ms\n5\n")
    words = ("import", path, "--format", "table", "--task", "t", "--quiet", f"results_dir={tmp_path / 'there'}")
    assert call(*words).code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "there").rglob("*") if file.is_file()}
    answer = call(*words)
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "holds a campaign already" in answer.err
    assert {file: file.read_bytes() for file in (tmp_path / "there").rglob("*") if file.is_file()} == before


def test_a_line_that_memory_need_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LONGEST_TEXT", 10)
    assert list(formats.bounded_lines(io.StringIO("ten chars\nx"), Path("f"))) == ["ten chars\n", "x"]
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("a\n" + "x" * 100)
    with pytest.raises(InputError, match=r"t\.csv\.gz line 2 is longer than 10 characters"):
        list(table._csv_rows(tmp_path / "t.csv.gz"))


def test_a_small_file_that_memory_need_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call) -> None:
    """Equal long names, and long lists of equal numbers, take next to nothing in a file of Parquet."""
    monkeypatch.setattr(table, "LARGEST_TABLE", 10**6)
    pq.write_table(pa.table({"inference_ms": [5.0] * 1000, "sample": ["x" * 10_000] * 1000}), tmp_path / "t.parquet")
    pq.write_table(pa.table({"inference_ms": [5.0], "token_gaps_ms": [[0.0] * 10**6]}), tmp_path / "gaps.parquet")
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("inference_ms\n" + "5\n" * 10**6)
    for name in ("t.parquet", "gaps.parquet", "t.csv.gz"):
        assert (tmp_path / name).stat().st_size < 50_000
        assert "import it in parts" in refused(call, tmp_path / name)
