"""Tables in long form: what they may hold, and how a mistake in one is said."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusals import refused

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import Code
from orchestrator.exchange import formats
from orchestrator.exchange.campaign import import_recordings
from orchestrator.exchange.formats import table


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


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


def test_those_left_over_are_warm_up(tmp_path, imported) -> None:
    path = written(tmp_path / "t.csv", "inference_ns\n" + "".join(f"{number + 1}\n" for number in range(101)))
    found = imported(path, "--format", "table")
    trial = found.only().trial_id
    assert found.campaign.warmup(trial).column("inference_ns").to_pylist() == [1]
    assert found.campaign.timings(trial).column("inference_ns").to_pylist() == list(range(2, 102))


MISTAKES: list[tuple[str, str, Code, str]] = [
    ("csv", "inference_ns\n5\n6\nseven\n", "invalid", "inference_ns"),
    ("csv", "sample,inference_ms\na,5\n\nb,-6\n", "invalid", "inference_ms"),
    ("csv", "sample,inference_ms\na,5\nb,\n", "invalid", "inference_ms"),
    ("csv", "sample,inference_ms\na,5\nb,inf\n", "invalid", "inference_ms"),
    ("csv", "sample,inference_ms\na,5\nb\n", "damaged", ""),
    ("csv", "round,sample,inference_ms\n0,a,5\n0,a,6\n", "conflict", "sample"),
    ("csv", "round,sample,inference_ms\n0,a,5\n-1,a,6\n", "invalid", "round"),
    ("csv", "sample,inference_ms,outcome\na,5,ok\nb,6,late\n", "invalid", "outcome"),
    ("csv", "sample,inference_ms,score_f\na,5,1\nb,6,nan\n", "invalid", "score_f"),
    ("csv", "round,sample,inference_ms,score_f\n0,a,5,1\n1,a,6,0\n", "conflict", "score_f"),
    ("csv", "sample,inference_ms,total_ms\na,5,4\n", "invalid", "total"),
    ("csv", "sample,inference_ms,score_map\na,5,1\n", "unsupported", "score_map"),
    ("csv", "sample,duration\na,5\n", "invalid", ""),
    ("csv", "", "no_data", ""),
    ("csv", 'inference_ms,slice_x\n5,"a\n6,b\n7,c\n', "damaged", ""),
    ("csv", 'inference_ms,slice_x\n5,"a\n6,b\n7,"c\n', "damaged", ""),
    ("csv", "sample,sample,inference_ms\n1,2,3\n", "conflict", ""),
    ("csv", "start_s,inference_ms\n-9e9,1\n9e9,2\n", "invalid", "start_s"),
    ("csv", "inference_ms,outcome\n,error\n,timeout\n", "no_data", ""),
    ("csv", "sample,inference_ms\n", "no_data", ""),
    ("csv", "a,b\n1,2\n", "missing", ""),
    ("csv", "sample,inference_ms,inference_us\na,5,6\n", "invalid", "inference_ms"),
    ("csv", "inference_ms,start_ns,arrival_ns\n5,0,0\n6,1000000000,1500000000\n", "invalid", ""),
    ("csv", "inference_ms,first_token_ms\n5,4\n5,6\n", "invalid", ""),
    ("csv", "inference_ms,first_token_ms,last_token_ms\n5,4,3\n", "invalid", ""),
    ("csv", "inference_ms,tokens\n5,-4\n", "invalid", "tokens"),
    ("csv", "inference_ms,first_token_ms,token_gaps_ms\n5,4,4\n", "invalid", "token_gaps_ms"),
    ("jsonl", '{"inference_ms": true}\n{"inference_ms": false}\n', "invalid", "inference_ms"),
    ("jsonl", '{"inference_ms": 5}\n{"inference_ms": "x"}\n', "conflict", "inference_ms"),
    ("jsonl", '{"inference_ms": 5, "first_token_ms": 1, "token_gaps_ms": [1, 9]}\n', "invalid", ""),
    ("jsonl", '{"inference_ms": 5, "first_token_ms": 1, "token_gaps_ms": [1, -1]}\n', "invalid", "token_gaps_ms"),
    ("jsonl", '{"inference_ms": 5}\n[1]\n', "damaged", ""),
    ("jsonl", '{"inference_ms": 5}\n{"inference_ms": 5\n', "damaged", ""),
    ("parquet", "no parquet", "damaged", ""),
    ("xlsx", "x", "unsupported", ""),
]
"""Files by how their names end; code and key of their refusals."""


@pytest.mark.parametrize(("form", "text", "code", "key"), MISTAKES)
def test_a_mistake_is_refused_by_its_column(form: str, text: str, code: Code, key: str, tmp_path) -> None:
    files = [written(tmp_path / f"t.{form}", text)]
    with refused(code, key or None):
        import_recordings(formats.recordings_of("table", files, {}), "table", files, {}, CampaignConfig(), tmp_path / "r", (), str)
    assert not (tmp_path / "r").exists()


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


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_are_not_imported_are_named(form: str, tmp_path, imported) -> None:
    path = written_as(form, tmp_path, {"inference_ms": [5, 6], "ttft_ms": [1, 2], "words": [3, 4]})
    found = imported(path, "--format", "table")
    assert "ttft_ms, words" in found.out
    mapped = imported(path, "--format", "table", "--map", "first_token_ms=ttft_ms")
    assert mapped.percentile(99, "first_token") == 2_000_000


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
    (row,) = found.rows("load")
    assert (row["load"], row["arrivals"], row["dropped_share"]) == ("trace x1", 5, pytest.approx(0.2))
    if form == "csv":
        assert timings.column("token_gaps_ns").null_count == 5
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


@pytest.mark.parametrize(
    "more", [{"arrival_ms": [1, None]}, {"arrival_ms": [1, 2]}, {"arrival_ms": [1, 2], "start_ms": [1, None]}], ids=str
)
def test_a_schedule_with_holes_is_none(more: dict[str, list[Any]], tmp_path, imported) -> None:
    found = imported(written_as("csv", tmp_path, {"inference_ms": [5, 6], **more}), "--format", "table")
    assert not found.only().trial.load.is_open
    assert "response" not in {row["clock"] for row in found.rows("latency")}


@pytest.mark.parametrize(("columns", "named"), [({"inference": "latency"}, "inference"), ({"inference_ms": "latencie"}, "latencie")])
def test_a_wrong_map_is_refused(columns: dict[str, str], named: str, tmp_path) -> None:
    with refused("unknown", "--map", named):
        list(formats.recordings_of("table", [written(tmp_path / "t.csv", "latency\n5\n")], columns))


def test_a_line_that_memory_need_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LONGEST_TEXT", 10)
    assert list(formats.bounded_lines(io.StringIO("ten chars\nx"), Path("f"))) == ["ten chars\n", "x"]
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("a\n" + "x" * 100)
    with refused("too_large"):
        list(table._csv_rows(tmp_path / "t.csv.gz"))


def test_a_small_file_that_memory_need_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal long names, and long lists of equal numbers, take next to nothing in a file of Parquet."""
    monkeypatch.setattr(table, "LARGEST_TABLE", 10**6)
    pq.write_table(pa.table({"inference_ms": [5.0] * 1000, "sample": ["x" * 10_000] * 1000}), tmp_path / "t.parquet")
    pq.write_table(pa.table({"inference_ms": [5.0], "token_gaps_ms": [[0.0] * 10**6]}), tmp_path / "gaps.parquet")
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("inference_ms\n" + "5\n" * 10**6)
    for name in ("t.parquet", "gaps.parquet", "t.csv.gz"):
        assert (tmp_path / name).stat().st_size < 50_000
        with refused("too_large"):
            list(table.read(tmp_path / name, {}))
