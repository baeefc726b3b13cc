import csv
import io
import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusals import refused
from small_campaign import contents
from visions import Campaigns, plan_trial

import orchestrator
from orchestrator.__main__ import main
from orchestrator.analysis.table import tables
from orchestrator.commands import line
from orchestrator.contracts import Code
from orchestrator.exchange.export import to_csv
from orchestrator.exchange.latex import escape, to_latex
from orchestrator.report.table import Table
from orchestrator.storage.files import write_json
from orchestrator.storage.load import read_json
from orchestrator.storage.records import CampaignRecord


def export(directory: Path, to: Path, form: str = "csv", overrides: tuple[str, ...] = ()) -> int:
    return line.run(["export", str(directory), "--to", str(to), "--format", form, *overrides])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_result_table_as_csv_is_exact(monday: Path, tmp_path: Path) -> None:
    before = contents(monday)
    assert export(monday, tmp_path / "new" / "out") == 0
    assert contents(monday) == before
    out = tmp_path / "new" / "out"
    results = orchestrator.open(monday)
    with_rows = [name for name in tables() if results.table(name).num_rows]
    assert {path.name for path in out.iterdir()} == {f"{name}.csv" for name in (*with_rows, "trials")}
    for name in with_rows:
        stored, written = results.table(name).to_pylist(), read(out / f"{name}.csv")
        assert len(stored) == len(written)
        for row, text in zip(stored, written, strict=True):
            for key, value in row.items():
                if isinstance(value, bool):
                    assert text[key] == str(value).lower()
                elif isinstance(value, int | float):
                    assert float(text[key]) == value
                elif isinstance(value, list):
                    assert json.loads(text[key]) == (dict(value) if key.endswith("parameters") else value)
                else:
                    assert text[key] == (value or "")
    assert [row["state"] for row in read(out / "trials.csv")] == ["done", "done"]


def test_no_cell_ends_its_row_and_full_width_signs_begin_no_formula() -> None:
    cells = ["a\r=cmd()", "a\n=cmd()", 'a",=cmd()', "\t=cmd()", "\r=cmd()", "\uff1dcmd()", ",=cmd()"]
    text = to_csv(pa.table({"x": cells, "n": [-1.5] * len(cells)}))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    shown = [r"a\r=cmd()", r"a\n=cmd()", 'a",=cmd()', r"\t=cmd()", r"\r=cmd()", "'\uff1dcmd()", ",=cmd()"]
    assert rows == [["x", "n"], *([cell, "-1.5"] for cell in shown)]
    assert text.count("\n") == len(rows)


def test_names_that_would_steer_a_terminal_stay_apart_and_read_back() -> None:
    names = ["a\x1b[31mA", r"a\x1b[31mA", r"a\\x1b[31mA", "\u202eb\x9b2J\x7f", "C:\\models", "Größe 模型", "\r\n\t", "\U000e0041"]
    table = pa.table({"x": names, "several": [[name] for name in names]})
    text = to_csv(table)
    assert all(line.isprintable() for line in text.split("\n"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["x"].encode("latin-1", "backslashreplace").decode("unicode_escape") for row in rows] == names  # as docs/export.md has it
    assert [json.loads(row["several"]) for row in rows] == [[name] for name in names]
    assert rows[5] == {"x": names[5], "several": f'["{names[5]}"]'}


def test_tidy_parquet_holds_every_time_with_its_labels(campaigns: Campaigns, tmp_path: Path) -> None:
    directory = campaigns("monday", [plan_trial([3]), plan_trial([3, 7], raises_on=[5], rounds=31), plan_trial([3], count=10)])
    export(directory, tmp_path / "out", "parquet")
    table = pq.read_table(tmp_path / "out" / "timings.parquet")
    results = orchestrator.open(directory)
    trials = results.trials().to_pylist()
    assert table.num_rows == 30 * 20 + 31 * 20 + 30 * 10
    assert table.column_names[:9] == ["trial", "match_key", "model", "task", "system", "runtime", "server", "batch", "repeat"]
    rows = table.to_pylist()
    for trial in trials:
        mine = [row for row in rows if row["trial"] == trial["trial"]]
        timings, samples = results.timings(trial["trial"]).to_pylist(), results.samples(trial["trial"]).to_pylist()
        rounds = {row["round"]: row for row in results.rounds(trial["trial"]).to_pylist()}
        assert len(mine) == len(timings)
        for row, timing in zip(mine, timings, strict=True):
            assert all(row[key] == value for key, value in timing.items())
            stages = [timing[stage] for stage in ("preprocess_ns", "inference_ns", "postprocess_ns")]
            assert row["total_ns"] == (None if None in stages else sum(stages))
            sample = samples[timing["sample"]]
            assert (row["name"], row["score_top1"], row["slice_parity"]) == (sample["name"], sample["score_top1"], sample["slice_parity"])
            assert row["started_at"] == rounds[timing["round"]]["started_at"]
            assert (row["model"], row["repeat"]) == (trial["model"], 0)
    assert sum(row["outcome"] == "error" for row in rows) == 31


def test_latex_tables_say_where_thresholds_come_from(monday: Path, tmp_path: Path) -> None:
    export(monday, tmp_path / "out", "latex", ("analysis.thresholds_ms=[14]",))
    texts = {path.stem: path.read_text("utf-8") for path in (tmp_path / "out").iterdir()}
    assert {"tail-quality-1", "tail-quality-2", "deadline-1", "latency-1", "own-thresholds-1"} <= set(texts)
    for name, text in texts.items():
        assert text.count("\\begin{tabular}") == text.count("\\toprule") == text.count("\\midrule") == text.count("\\bottomrule") >= 1
        unescaped = re.sub(r"\\[&%$#_{}]", "", text)
        assert unescaped.count("{") == unescaped.count("}"), name
        for block in text.split("\\begin{tabular}")[1:]:
            columns = re.match(r"\{@\{\}((?:[lr]|>\{\\ragged\w+\\arraybackslash\}p\{[\d.]+pt\})+)@\{\}\}", block)
            count = len(re.findall(r"[lr]|p\{", re.sub(r">\{[^}]*\}", "", columns[1])))
            body = block.split("\\toprule")[1].split("\\bottomrule")[0]
            rows = [line for line in body.splitlines() if line.endswith("\\\\")]
            assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {count}
        assert not re.search(r"(?<!\\)[%#$]", text.split("\n", 1)[1].replace("$-$", ""))


def test_latex_prints_any_text_as_it_is() -> None:
    assert escape("a_b & 100% #1 $x$ {y} \\input{z} ~^<>|") == (
        "a\\_b \\& 100\\% \\#1 \\$x\\$ \\{y\\} \\textbackslash{}input\\{z\\} "
        "\\textasciitilde{}\\textasciicircum{}\\textless{}\\textgreater{}\\textbar{}"
    )
    assert escape("---") == "-{}-{}-"
    assert escape("two\nlines\x1b[0m") == r"two\textbackslash{}nlines\textbackslash{}x1b{[}0m"
    row = to_latex(Table(title="t", columns=["a"], rows=[["x"], ["[2cm]"], ["*"]]), "n")
    assert "x \\\\\n{[}2cm{]} \\\\\n{*} \\\\\n" in row


def test_places_that_hold_something_else_are_refused(monday: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    out, file = tmp_path / "o", tmp_path / "b"
    cases: tuple[tuple[list[str | Path], Code, str], ...] = (
        ([monday, "--to", monday / "trials" / "x"], "exists", "--to"),
        ([monday, "--to", tmp_path / "file"], "unreadable", "--to"),
        ([tmp_path, "--to", out], "not_found", ""),
        ([monday, "--baseline", tmp_path], "not_found", ""),
        ([monday, "--baseline", monday / "b.json"], "exists", ""),
    )
    for words, code, key in cases:
        with refused(code, key or None):
            line.run(["export", *map(str, words)])
    for wrong in ([monday, "--to", out, "task.limit=1"], ["baseline", "--add", file, monday], [monday, "--add", "--to", out]):
        assert main(["export", *map(str, wrong)]) == 2
    assert not out.exists()


@pytest.mark.parametrize("spelling", ["words", "option"])
def test_a_baseline_by_either_spelling(monday: Path, tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "baseline.json"
    words = ["baseline", path, monday] if spelling == "words" else [monday, "--baseline", path]
    assert main(["export", *map(str, words)]) == 0
    assert json.loads(path.read_text("utf-8"))["kind"] == "baseline"


def test_a_campaign_is_added_once(monday: Path, tmp_path: Path) -> None:
    path, copy = tmp_path / "baseline.json", tmp_path / "tuesday"
    shutil.copytree(monday, copy)
    record = read_json(copy / "campaign.json", CampaignRecord)
    later = record.model_copy(update={"created_at": record.created_at + timedelta(days=1)})
    write_json(copy / "campaign.json", later.model_dump(mode="json"))
    assert main(["export", "baseline", str(path), str(monday)]) == 0
    assert main(["export", "baseline", "--add", str(path), str(copy)]) == 0
    before = path.read_bytes()
    assert main(["export", "baseline", "--add", str(path), str(copy)]) == 2
    assert path.read_bytes() == before
