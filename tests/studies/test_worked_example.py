"""The page of statistics: its example gives what the package computes, its tables are those of the CSV files, its names exist."""

import csv
import pkgutil
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.stats import constants
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.latency import latency_percentiles
from orchestrator.stats.pair import paired

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statistics.md").read_text("utf-8")
DEADLINE_NS = 100_000_000


def blocks() -> tuple[str, str]:
    """Return the program of the example and what it prints."""
    found = re.search(r"```python\n(import numpy.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1], found[2]


def test_the_example_prints_what_the_page_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    program, says = blocks()
    monkeypatch.chdir(ROOT)
    exec(compile(program, "example", "exec"), {})
    assert capsys.readouterr().out == says


def test_the_example_agrees_with_the_package() -> None:
    table = pq.read_table(ROOT / "docs" / "statistics" / "example.parquet")
    times, right = (table[name].to_numpy().reshape(2, 120, 20) for name in ("time_ns", "right"))
    quality, units = 0.9 - ((times > DEADLINE_NS) & right).sum(axis=2) / 20, np.arange(120) // 2
    [mean] = mean_intervals(quality[:1], 0.9, 18, units)
    [p95] = latency_percentiles(times[0], [95], units)
    difference = paired(*quality.reshape(2, 60, 2).mean(axis=2), resolution=1 / 40, within=(-0.9, 0.9))
    expected = [
        *(quality[0].mean(), mean.low, mean.high),
        *(difference.difference, difference.low, difference.high),
        *(p95.value_ns, p95.low_ns, p95.high_ns),
    ]
    printed = [float(number) for number in re.findall(r"-?\d[\d.e+-]*", re.sub(r"p95", "", blocks()[1]))]
    assert printed == pytest.approx(expected, rel=1e-6)


def test_every_function_and_file_that_the_page_names_exists() -> None:
    named = re.findall(r"`(stats\.[\w.]+)`", PAGE)
    assert len(named) > 10
    for name in named:
        assert pkgutil.resolve_name(f"orchestrator.{name}")
    for file in re.findall(r"\]\(([\w./]+\.(?:csv|parquet))\)", PAGE):
        assert (ROOT / "docs" / file).exists(), file


def test_the_table_of_constants_has_their_values() -> None:
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([\d.e, -]+) \|", PAGE, re.MULTILINE)
    assert len(rows) > 5
    for names, values in rows:
        assert [getattr(constants, name) for name in re.findall(r"[A-Z_]+", names)] == [float(value) for value in values.split(",")]


@pytest.mark.parametrize(("what", "file"), [("Mean", "coverage"), ("Percentiles", "percentiles"), ("Pairs", "pairs")])
def test_what_is_said_of_coverage_is_that_of_its_rows(what: str, file: str) -> None:
    found = re.search(rf"\*\*{what}\*\*.*?average (\d+) to (\d+) %, in the worst cell\s+(\d+) %", PAGE, re.DOTALL)
    assert found
    with (ROOT / "benchmarks" / "studies" / "results" / f"{file}.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["set"] == "judging" and row["within reach"] == "yes" and row["rounds"] != "30"]
    covers = {rounds: [float(row["covers (%)"]) for row in rows if row["rounds"] == rounds] for rounds in {row["rounds"] for row in rows}}
    least, most, worst = map(int, found.groups())
    assert all(least <= round(float(np.mean(one))) <= most for one in covers.values())
    assert worst == round(min(min(one) for one in covers.values()))
