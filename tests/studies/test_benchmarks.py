"""The runner of benchmarks: bars, what is left out, the page of results and the exit code."""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.common import Bar, Benchmark, Figure, LeftOut, at_least, at_most, cells, left_out, neighbours, shown

BUSY = {"busy": True}


def of_figures(*figures: Figure) -> Benchmark:
    def measure(asked: Namespace) -> Iterator[Figure]:
        yield from figures

    return Benchmark("made_up", "Nothing", measure, {"time": at_most(5), "rate": at_least(2)})


def rows(benchmark: Benchmark, quick: bool = False) -> list[dict[str, object]]:
    return list(benchmark.rows(Namespace(json=True, quick=quick)))


@pytest.mark.parametrize(("bar", "kept", "missed"), [(at_most(5), (5, -1), (5.1, math.nan)), (at_least(0.9), (0.9, 2), (0.89, math.nan))])
def test_a_bar_holds_up_to_its_limit_and_never_for_nothing(bar: Bar, kept: tuple[float, ...], missed: tuple[float, ...]) -> None:
    assert all(bar.holds(value) for value in kept)
    assert not any(bar.holds(value) for value in missed)


def test_figures_have_the_bar_of_their_name() -> None:
    found = rows(of_figures(Figure("time", 6, "s", "SciPy 9 s"), Figure("rate", 3), Figure("more", 1)))
    assert [(row["figure"], row["bar"], row["pass"]) for row in found] == [
        ("time", "<= 5", False),
        ("rate", ">= 2", True),
        ("more", "", None),
    ]
    assert found[0]["peer"] == "SciPy 9 s"
    assert json.loads(json.dumps(found)) == found


def test_a_bar_that_no_figure_has_is_missed_by_a_whole_run_alone() -> None:
    assert [(row["figure"], row["pass"]) for row in rows(of_figures(Figure("time", 1)))] == [("time", True), ("rate", False)]
    assert len(rows(of_figures(Figure("time", 1)), quick=True)) == 1
    without = Benchmark("made_up", "Nothing", lambda asked: iter([left_out("peer")]), {"times as fast as peer": at_least(2)})
    assert [(row["figure"], row["pass"]) for row in rows(without)] == [("peer", None)]


def test_a_benchmark_that_cannot_run_is_left_out_and_misses_nothing() -> None:
    def measure(asked: Namespace) -> Iterator[Figure]:
        raise LeftOut("pip install peer")
        yield

    [row] = rows(Benchmark("made_up", "Nothing", measure, {"time": at_most(5)}))
    assert (row["figure"], row["note"], row["pass"]) == ("left out", "pip install peer", None)


@pytest.mark.parametrize(("value", "text"), [(0.98765, "0.988"), (1234.5, "1,234"), (5.6e-17, "5.6e-17"), (12, "12")])
def test_numbers_have_three_digits_or_are_whole(value: float, text: str) -> None:
    assert shown(value) == text


def test_every_benchmark_declares_itself_under_the_name_of_its_file() -> None:
    found = run.find_benchmarks()
    assert len(found) > 15
    assert {name: one.name for name, one in found.items()} == {name: name for name in found}
    assert all(one.bars or one.peer for one in found.values())


def run_with(monkeypatch: pytest.MonkeyPatch, benchmark: Benchmark, *words: str) -> int:
    monkeypatch.setattr(run, "find_benchmarks", lambda: {"made_up": benchmark})
    monkeypatch.setattr(run, "rows_of", lambda name, quick: [row | BUSY for row in rows(benchmark, quick)])
    monkeypatch.setattr(sys, "argv", ["run", *words])
    return run.main()


def test_the_exit_code_is_1_where_a_bar_is_missed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(monkeypatch, of_figures(Figure("time", 5)), "--quick") == 0
    assert run_with(monkeypatch, of_figures(Figure("time", 6)), "made_up", "--quick") == 1
    assert capsys.readouterr().out.splitlines()[-1].split() == ["made_up", "time", "6", "<=", "5", "MISSED"]


def test_a_whole_run_replaces_the_page_of_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "RESULTS.md")
    (tmp_path / "RESULTS.md").write_text("old")
    benchmark = of_figures(Figure("time", 1, "ms", "SciPy | 9 ms"), Figure("rate", 2))
    for words in (("--quick",), ("made_up",)):
        run_with(monkeypatch, benchmark, *words)
        assert (tmp_path / "RESULTS.md").read_text() == "old"
    run_with(monkeypatch, benchmark)
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    assert lines[-4:] == [
        "| benchmark | figure | value | bar | peer | pass |",
        "| --- | --- | ---: | ---: | --- | --- |",
        r"| made_up\* | time | 1 ms | <= 5 | SciPy \| 9 ms | yes |",
        r"| made_up\* | rate | 2 | >= 2 |  | yes |",
    ]
    assert any(line.startswith("Machine: ") for line in lines)


def test_a_benchmark_that_ends_early_is_a_failed_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    row = rows(of_figures(Figure("time", 1), Figure("rate", 2)))[0]
    (tmp_path / "benchmarks" / "made_up.py").write_text(f"import sys\nprint({json.dumps(row)!r})\nsys.exit(3)\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "LOOK_S", 0.01)
    found = list(run.rows_of("made_up", quick=True))
    assert [(one["figure"], one["note"], one["pass"]) for one in found] == [("time", "", True), ("failed", "exit code 3", False)]
    assert cells(found[-1])[-1] == "MISSED"


def test_neighbours_end_with_what_they_are_beside() -> None:
    with pytest.raises(SystemExit), neighbours([[0]], 0.01, 0.02):
        raise SystemExit(1)
