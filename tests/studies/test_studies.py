"""Every study runs, and the judge of bars is right."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies import certificates, run
from benchmarks.studies.bars import Bar, at_least, at_most, exceeds, falls_short, mean_at_most
from benchmarks.studies.run import find_studies, run_case
from benchmarks.studies.series import SETS, Scenario, draw, generator
from orchestrator.stats.certificate import certify

STUDIES = find_studies()
LONG = ("capacity", "convergence")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in STUDIES])
def test_every_study_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STUDIES["convergence"], "MAX_ROUNDS", 33)
    rows, _ = run_case(name, 0, repetitions=2, seed=0)
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert all(type(value) in (str, int, float) for row in rows for value in row.values())


def cell(percent: float, draws: int = 1000) -> dict[str, str | int | float]:
    return {"draws": draws, "covers (%)": percent}


# Within the noise of 1,000 draws, or of 100, a cell does not fail.
@pytest.mark.parametrize(
    ("fails", "percent", "draws", "limit", "expected"),
    [
        (falls_short, 93.0, 1000, 93, False),
        (falls_short, 91.5, 1000, 93, False),
        (falls_short, 90.0, 1000, 93, True),
        (falls_short, 90.0, 100, 93, False),
        (exceeds, 8.0, 1000, 5, True),
        (exceeds, 6.0, 1000, 5, False),
    ],
)
def test_a_cell_fails_where_its_interval_excludes_the_bar(
    fails: Callable[[float, int, float], bool], percent: float, draws: int, limit: float, expected: bool
) -> None:
    assert fails(percent, draws, limit) is expected


ONE_FAILS = [cell(95.0)] * 19 + [cell(80.0)]


@pytest.mark.parametrize(
    ("bar", "holds"),
    [
        (at_least("mean", ONE_FAILS, "covers (%)", 93, 0.95), True),
        (at_least("mean", ONE_FAILS, "covers (%)", 93), False),
        (at_least("mean", [], "covers (%)", 93), False),
        (at_most("false", [cell(4.0)], "covers (%)", 5), True),
        (at_most("false", [cell(4.0), cell(9.0)], "covers (%)", 5), False),
        (mean_at_most("width", [cell(1.0), cell(3.0)], "covers (%)", 1.9), False),
    ],
)
def test_a_bar_is_missed_by_a_failing_cell_and_by_no_cell(bar: Bar, holds: bool) -> None:
    assert bar.holds == holds


def test_a_bar_that_is_missed_is_printed_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "measured", "--repetitions", "2", "--folder", str(tmp_path), "--processes", "1"])
    assert run.main() == 0
    monkeypatch.setattr(STUDIES["measured"], "bars", lambda rows: [Bar("made up", "1 %", ">= 2 %", False)])
    assert run.main() == 1
    assert capsys.readouterr().out.splitlines()[-1].split() == ["made", "up", ">=", "2", "%", "1", "%", "FAIL"]
    with (tmp_path / "measured.csv").open() as file:
        assert {row["rounds"] for row in csv.DictReader(file)} == {"60", "120", "240"}


def test_certificates_of_all_draws_at_once_are_those_of_certify() -> None:
    [drawn] = draw(generator(2), 40, 120, 8, next(one for one in SETS["tuning"] if one.name == "spells of 10 at 1/6"))
    deadlines = np.exp(drawn.effects + 0.03 * generator(3).standard_normal(drawn.effects.shape))
    units = np.arange(120) // 2
    each = [certify(row, units, 120).ns or np.inf for row in deadlines]
    assert certificates.certified(deadlines, units).tolist() == each
    assert len(set(each)) > 10


@pytest.mark.parametrize("scenario", [one for one in SETS["judging"] if not one.drift], ids=lambda one: one.name)
def test_scenarios_lose_as_many_samples_as_their_law_says(scenario: Scenario) -> None:
    [drawn] = draw(generator(0, scenario), 400, 240, 2, scenario)
    late = scenario.beyond(scenario.quantile(0.8), drawn.effects)
    assert late.mean() == pytest.approx(0.2, abs=0.03)
