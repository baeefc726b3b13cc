from __future__ import annotations

import csv
import pkgutil
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.run_studies import DOCUMENT, END, find_studies, markdown_table, publish, run_case, studies_of, with_table

STUDIES = find_studies()


@pytest.fixture(autouse=True)
def _short_courses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the one study whose trials take seconds each follow fewer rounds: its rows are made alike."""
    monkeypatch.setattr(STUDIES["convergence"], "MAX_ROUNDS", 33)


@cache
def rows_of(name: str, index: int) -> list[dict[str, str | int | float]]:
    """Return the rows of a case, computed once."""
    return run_case(name, index, repetitions=2, seed=0)[0]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs(name: str) -> None:
    rows = rows_of(name, 0)
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert all(type(value) in (str, int, float) for row in rows for value in row.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_all_cases_of_a_study_make_one_table(name: str) -> None:
    cases = STUDIES[name].CASES
    heads = {tuple(row) for index in {0, len(cases) - 1} for row in rows_of(name, index)}
    assert len(heads) == 1


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_what_it_tests(name: str) -> None:
    study = STUDIES[name]
    assert study.TITLE
    assert "\n" not in study.TITLE
    assert study.REPETITIONS > 1
    assert import_module(f"benchmarks.studies.{name}").__doc__
    names = [case.name for case in study.CASES]
    assert len(set(zip(names, map(str, study.CASES), strict=True))) == len(names)


def test_one_seed_gives_the_same_rows_again() -> None:
    first, again, other = (run_case("intervals", 0, repetitions=3, seed=seed)[0] for seed in (1, 1, 2))
    assert str(first) == str(again)  # NaN differs from itself
    assert str(first) != str(other)


def test_every_marker_belongs_to_a_study_and_every_study_has_one() -> None:
    document = DOCUMENT.read_text()
    markers = studies_of(document)
    assert sorted(markers) == sorted(STUDIES)
    assert document.count(END) == len(markers)


def test_every_function_named_in_the_document_exists() -> None:
    named = re.findall(r"`((?:stats|metrics)\.[\w.]+)`", DOCUMENT.read_text())
    assert len(named) > 30
    for name in named:
        assert pkgutil.resolve_name(f"orchestrator.{name}")


def test_the_text_counts_as_many_missed_cells_as_the_table_below_it() -> None:
    document = DOCUMENT.read_text()
    counted = list(re.finditer(r"Of (\d+)\s+cells with a bar (\w+) miss it", document))
    assert len(counted) == 2
    for sentence in counted:
        name = studies_of(document[sentence.end() :])[0]
        with (DOCUMENT.with_suffix("") / f"{name}.csv").open() as file:
            bars = [row["bar"] for row in csv.DictReader(file)]
        said = (int(sentence[1]), {"two": 2}.get(sentence[2]) or int(sentence[2]))
        assert said == (len(bars) - bars.count("none"), bars.count("missed")), name


def test_a_table_replaces_the_one_before_and_nothing_else() -> None:
    document = f"before\n<!-- study: a -->\nold\n{END}\nbetween\n<!-- study: b -->\nother\n{END}\nafter\n"
    assert with_table(document, "a", r"new \1") == document.replace("old", r"new \1")


@pytest.mark.parametrize("document", ["", "<!-- study: a -->\n", f"<!-- study: a -->\n{END}\n" * 2])
def test_a_table_without_its_one_place_is_refused(document: str) -> None:
    with pytest.raises(SystemExit, match="one place"):
        with_table(document, "a", "new")


def test_numbers_are_readable() -> None:
    table = markdown_table([{"text": "a|b", "count": 12345, "share": 0.94, "whole": 1.0, "none": float("nan"), "large": 1234.5}])
    assert table.splitlines()[-1] == r"| a\|b | 12,345 | 0.9400 | 1 | - | 1,234 |"


def test_rows_table_and_figure_are_published(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    study, document = STUDIES["intervals"], tmp_path / "page.md"
    rows = [row for index in range(len(study.CASES)) for row in rows_of("intervals", index)]
    written = []
    for _ in range(2):
        document.write_text(f"<!-- study: intervals -->\n{END}\n")
        publish("intervals", study, rows, "*source*", document)
        written.append([path.read_bytes() for path in (document, tmp_path / "page/intervals.csv", tmp_path / "page/intervals.svg")])
    assert written[0] == written[1]
    assert "(page/intervals.svg)" in document.read_text()
    with (tmp_path / "page/intervals.csv").open() as file:
        assert [float(row["covers (%)"]) for row in csv.DictReader(file)] == [row["covers (%)"] for row in rows]
