from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.campaign_analysis import FORMS
from orchestrator.analysis.deadline import deadline_rows, lowest_ideal
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, DeadlineConfig

ANALYSIS = AnalysisConfig(seed=0)


@pytest.fixture
def build(build: Any) -> Any:
    """Build trials that are read at 30 rounds, unless a test says otherwise."""
    return lambda *labels, measurement=None, **rest: build(*labels, measurement={"certify_rounds": 30, **(measurement or {})}, **rest)


def rows(trials: list[TrialData], flags: tuple[str, ...] = (), analysis: AnalysisConfig = ANALYSIS) -> list[dict[str, Any]]:
    return [row for data in trials for row in deadline_rows(data, lowest_ideal(trials), flags, analysis)]


def of(found: list[dict[str, Any]], clock: str, reference: str = "own") -> dict[str, Any]:
    [row] = [row for row in found if (row["clock"], row["reference"]) == (clock, reference)]
    return row


def test_the_deadline_of_thirty_rounds_is_the_longest_of_their_own(build: Any, noise: Any) -> None:
    times = noise(40, 50, 20)
    found = of(rows([build("a", times)]), "total")
    assert set(found) == set(FORMS["deadline"].names)
    assert found["certified"]
    # 99 % of 50 right answers leaves none to lose: a round's own deadline is its longest time. Rounds after the 30 do not count.
    assert found["deadline_ns"] == pytest.approx(times[:30].max() * 1e6, abs=1)
    assert (found["rounds"], dict(found["parameters"])["rank"]) == (30, 30)
    assert found["observed_ns"] == pytest.approx(np.sort(times.max(axis=1))[35] * 1e6, abs=1)


def test_the_inference_clock_has_a_deadline_of_its_own(build: Any, noise: Any) -> None:
    found = rows([build("a", noise(30, 20, 20))])
    assert of(found, "inference")["deadline_ns"] == pytest.approx(of(found, "total")["deadline_ns"] / 2, abs=1)


def test_a_flagged_trial_gets_no_certificate_and_says_why(build: Any, noise: Any) -> None:
    found = of(rows([build("a", noise(30, 20, 20))], flags=("unpinned",)), "total")
    assert (found["certified"], found["deadline_ns"], found["reason"], found["flags"]) == (False, None, "unpinned", ["unpinned"])
    assert found["observed_ns"] > 0


def test_too_few_rounds_are_told_how_many_more(build: Any, noise: Any) -> None:
    short = of(rows([build("a", noise(20, 20, 20))]), "total")
    assert (short["certified"], short["more_rounds"], short["reason"], short["rounds"]) == (False, 10, "10 more rounds needed", 20)
    # A look that could certify nothing has risked nothing: 0.9^29 < 0.05.
    read_too_early = of(rows([build("a", noise(20, 20, 20), measurement={"certify_rounds": 20})]), "total")
    assert read_too_early["more_rounds"] == 9
    few = build("a", noise(20, 20, 20))
    imported = replace(few, record=few.record.model_copy(update={"origin": "imported"}))
    found = of(rows([imported], flags=("imported",)), "total")
    assert (found["more_rounds"], found["reason"]) == (None, "imported"), "no number of rounds certifies it"


@pytest.mark.parametrize("visits", [None, np.repeat(np.arange(30), 2)])
def test_by_default_fewer_than_120_rounds_certify_nothing(build: Any, noise: Any, visits: Any) -> None:
    """However they were measured, and whatever the rule: in so few nothing tells whether a slow spell is yet to come."""
    fixed = {"rule": "rounds", "max_rounds": 60}
    for measurement in ({"certify_rounds": 120}, {"certify_rounds": 120, **fixed}):
        found = of(rows([build("a", noise(60, 20, 20), visits=visits, measurement=measurement, stopped="max_rounds")]), "total")
        assert (found["certified"], found["more_rounds"], found["reason"]) == (False, 60, "60 more rounds needed")
        assert found["observed_ns"] > 0


def test_all_rounds_count_where_their_number_was_fixed(build: Any, noise: Any) -> None:
    fixed = build("a", noise(60, 20, 20), measurement={"rule": "rounds", "max_rounds": 60}, stopped="max_rounds")
    cut = build("a", noise(50, 20, 20), measurement={"rule": "rounds", "max_rounds": 60}, stopped="max_seconds")
    assert of(rows([fixed]), "total")["rounds"] == 60
    assert of(rows([cut]), "total")["rounds"] == 30


def test_the_common_floor_is_what_the_weakest_model_can_keep(build: Any, noise: Any) -> None:
    strong, weak = build("a", noise(30, 20, 20), right=20), build("a", noise(30, 20, 20), right=16, model="small")
    found = rows([strong, weak])
    assert {row["reference_quality"] for row in found if row["reference"] == "common"} == {0.8}
    by_model = {row["model"]: row for row in found if (row["clock"], row["reference"]) == ("total", "common")}
    own = {row["model"]: row for row in found if (row["clock"], row["reference"]) == ("total", "own")}
    assert by_model["net"]["deadline_ns"] < own["net"]["deadline_ns"]
    assert by_model["small"]["deadline_ns"] == own["small"]["deadline_ns"]


def test_a_sample_without_a_time_is_late_at_any_deadline(build: Any, noise: Any) -> None:
    times = noise(30, 20, 20)
    times[7, 3] = np.inf
    found = of(rows([build("a", times)]), "total")
    assert (found["certified"], found["reason"]) == (False, "too many rounds never keep the quality")
    easier = AnalysisConfig(seed=0, deadline=DeadlineConfig(quality=0.9))
    assert of(rows([build("a", times)], analysis=easier), "total")["certified"]


def test_a_model_that_is_always_wrong_promises_nothing_and_hides_no_other(build: Any, noise: Any) -> None:
    wrong, right = build("a", noise(30, 20, 20), right=0), build("b", noise(30, 20, 20))
    found = [row for row in rows([wrong, right]) if row["clock"] == "total"]
    own = {row["system"]: row for row in found if row["reference"] == "own"}
    assert own["a"]["reason"] == "no answer is right, so there is no quality to keep"
    assert own["b"]["certified"]
    assert all(set(row) == set(FORMS["deadline"].names) for row in found)


def test_a_long_trial_is_read_at_certify_rounds(build: Any, noise: Any) -> None:
    times = noise(150, 20, 20)
    for visits in (None, np.repeat(np.arange(75), 2)):
        found = of(rows([build("a", times, visits=visits, measurement={"certify_rounds": 120})]), "total")
        assert (found["rounds"], found["later_rounds"], found["certified"]) == (120, 30, True)


def test_looks_at_fewer_rounds_than_certify_cost_nothing(build: Any, noise: Any) -> None:
    """An extension to 60 rounds could certify nothing; that to 150 is the second look."""
    found = of(rows([build("a", noise(150, 20, 20), looks=(60, 150), measurement={"certify_rounds": 120})]), "total")
    assert (found["rounds"], dict(found["parameters"])["look"]) == (150, 2)


def test_fewer_rounds_that_depend_on_each_other_are_not_enough(build: Any, noise: Any) -> None:
    """Long visits of one speed: thirty rounds would do if they were independent."""
    times = noise(60, 20, 20) * np.repeat(np.tile([1.0, 1.4], 3), 10)[:, None]
    found = of(rows([build("a", times)]), "total")
    assert not found["certified"]
    assert found["reason"].startswith("rounds depend on each other: ")
    assert found["more_rounds"] > 0
    assert dict(found["parameters"])["design_effect"] > 1


def test_later_rounds_withdraw_a_certificate(build: Any, noise: Any) -> None:
    """The machine becomes slower after the rounds that certified."""
    times = noise(50, 20, 20)
    times[40:] *= 3
    found = of(rows([build("a", times)]), "total")
    assert (found["certified"], found["deadline_ns"], found["later_rounds"], found["later_breaks"]) == (False, None, 20, 11)
    assert found["reason"].startswith("withdrawn: 11 of 20 later rounds broke ")
    kept = of(rows([build("a", noise(50, 20, 20))]), "total")
    assert kept["certified"]
    assert kept["later_breaks"] <= 2
