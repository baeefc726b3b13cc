from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made
from scipy.stats import beta

from orchestrator.analysis.table import tables
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, DeadlineConfig

ANALYSIS = AnalysisConfig(seed=0)


VISITS = np.repeat(np.arange(60), 2)


def build(system: str, times: Any, visits: Any = VISITS, **rest: Any) -> TrialData:
    """Build a trial in visits of 2 rounds, unless a test says otherwise."""
    return build_trial(system, times, visits=visits[: len(times)], **rest)


def rows(trials: list[TrialData], flags: tuple[str, ...] = (), analysis: AnalysisConfig = ANALYSIS) -> list[Any]:
    return rows_made("deadline", trials, analysis, flags)


def of(found: list[dict[str, Any]], clock: str, reference: str = "own") -> dict[str, Any]:
    [row] = [row for row in found if (row["clock"], row["reference"]) == (clock, reference)]
    return row


def test_a_deadline_rests_on_the_rounds_fixed_beforehand(noise: Any) -> None:
    times = noise(150, 50, 20)
    found = of(rows([build("a", times, visits=np.repeat(np.arange(75), 2))]), "total")
    assert set(found) == set(tables()["deadline"].schema.names)
    assert found["certified"]
    # 99 % of 50 right answers leaves none to lose: a round's own deadline is its longest time.
    own = np.sort(times[:120].max(axis=1))
    breaks, effective = int(dict(found["parameters"])["breaks"]), dict(found["parameters"])["n_eff"]
    assert found["deadline_ns"] == pytest.approx(own[119 - breaks] * 1e6, abs=1)
    upper, next_upper = (beta.ppf(0.95, lost * effective / 120 + 1, effective * (1 - lost / 120)) for lost in (breaks, breaks + 1))
    assert upper <= 0.1 < next_upper
    assert (found["rounds"], found["later_rounds"]) == (120, 30)
    assert found["later_breaks"] == (times[120:].max(axis=1) * 1e6 > found["deadline_ns"]).sum()
    assert found["observed_ns"] == pytest.approx(own[107] * 1e6, abs=1)


def test_the_observed_deadline_is_that_of_the_exact_share(noise: Any) -> None:
    times = noise(100, 20, 20)
    analysis = AnalysisConfig(seed=0, deadline=DeadlineConfig(late_share=0.41))  # 100 * (1 - 0.41) > 59 in binary
    found = of(rows([build("a", times)], analysis=analysis), "total")
    assert found["observed_ns"] == pytest.approx(np.sort(times.max(axis=1))[58] * 1e6, abs=1)


def test_a_flagged_trial_gets_no_certificate_and_says_why(noise: Any) -> None:
    flags = ("one stretch", "unpinned")
    found = of(rows([build("a", noise(120, 20, 20))], flags=flags), "total")
    assert (found["certified"], found["deadline_ns"], found["reason"], found["flags"]) == (False, None, ", ".join(flags), [*flags])
    assert found["observed_ns"] > 0


def test_too_few_rounds_need_more_unless_no_number_of_them_certifies(noise: Any) -> None:
    short = build("a", noise(60, 20, 20))
    imported = replace(short, record=short.record.model_copy(update={"origin": "imported"}))
    for trial, flags, more in ((short, (), 60), (imported, ("imported",), None)):
        found = of(rows([trial], flags=flags), "total")
        assert (found["certified"], found["more_rounds"], found["rounds"]) == (False, more, 60)


def test_the_common_floor_is_what_the_weakest_model_can_keep(noise: Any) -> None:
    strong, weak = build("a", noise(120, 20, 20), right=20), build("a", noise(120, 20, 20), right=16, model="small")
    found = rows([strong, weak])
    assert {row["reference_quality"] for row in found if row["reference"] == "common"} == {0.8}
    by_model = {row["model"]: row for row in found if (row["clock"], row["reference"]) == ("total", "common")}
    own = {row["model"]: row for row in found if (row["clock"], row["reference"]) == ("total", "own")}
    assert by_model["net"]["deadline_ns"] < own["net"]["deadline_ns"]
    assert by_model["small"]["deadline_ns"] == own["small"]["deadline_ns"]


def test_a_sample_without_a_time_is_late_at_any_deadline(noise: Any) -> None:
    times = noise(120, 20, 20)
    times[::10, 3] = np.inf
    easier = AnalysisConfig(seed=0, deadline=DeadlineConfig(quality=0.9))
    assert [of(rows([build("a", times)], analysis=one), "total")["certified"] for one in (ANALYSIS, easier)] == [False, True]
