"""What neighbours cost at each deadline; and the envelope over budgets: the most that any of them keeps at each deadline, and the deadline from which another leads."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, in_turns, results_of, rows_made
from scipy import stats

from orchestrator.analysis.ranking import Ranking
from orchestrator.analysis.reading import readings
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.charts.neighbours import neighbours_chart
from orchestrator.report.charts.quality import envelope_chart
from orchestrator.report.findings.task import of_task

BUDGETS = {"4": (8, 10.0), "16": (16, 20.0), "64": (32, 40.0)}  # right answers of 40, median in ms


def trials(noise: Any, system: str = "cpu", repeats: int = 1) -> list[TrialData]:
    return [
        build_trial(
            system, noise(30, 40, ms), right=right, repeat=repeat, blocks={"model": {"max_tokens": int(tokens)}},
            trial_id=f"{system}-{tokens}-r{repeat}", match_key=tokens,
        )
        for repeat in range(repeats)
        for tokens, (right, ms) in BUDGETS.items()
    ]  # fmt: skip


def kept(data: TrialData, ns: int) -> np.ndarray[Any, Any]:
    return ((np.array(data.predictions)[:, 0] == data.references) & (data.times["total"] <= ns)).mean(axis=1)


@pytest.mark.parametrize("repeats", [1, 3])
def test_each_deadline_has_the_most_that_a_budget_keeps_and_a_larger_one_leads_once_that_is_shown(noise: Any, repeats: int) -> None:
    made = in_turns(trials(noise, repeats=repeats))
    rows = rows_made("envelope", made)
    for row in rows:
        means = {
            tokens: np.mean([kept(data, row["threshold_ns"]) for data in made if data.record.match_key == tokens]) for tokens in BUDGETS
        }
        assert row["mean"] == pytest.approx(max(means.values())) == means[row["match_key"]]
    led = {row["match_key"]: row["threshold_ns"] for row in rows if row["leads"]}
    assert list(led) == list(BUDGETS)
    # Of 32 right answers 16 are in time at the median of the largest budget, as many as the middle one has.
    assert [led["16"], led["64"]] == pytest.approx([20e6, 40e6], rel=0.06)
    for row in (row for row in rows if repeats == 1 and 30e6 < row["threshold_ns"] < 50e6):
        visits = [kept(data, row["threshold_ns"]).reshape(15, -1).mean(axis=1) for data in made[1:]]
        shown = stats.ttest_rel(*visits[::-1]).confidence_interval(1 - 0.05 / 3).low > 0
        assert shown == (row["threshold_ns"] >= led["64"])


def test_trials_that_take_no_turns_change_places_by_their_means_and_nothing_is_tested(noise: Any) -> None:
    rows = [row for row in rows_made("envelope", trials(noise)) if row["mean"] > 0]
    before = [None, *(row["match_key"] for row in rows)]
    assert {(row["tied"], row["leads"] == (row["match_key"] != one)) for row, one in zip(rows, before, strict=False)} == {(None, True)}


def test_each_system_has_an_envelope_and_what_names_alone_tell_apart_has_none(noise: Any) -> None:
    rows = rows_made("envelope", [*trials(noise, "cpu"), *trials(noise, "gpu")])
    assert {(row["envelope"], row["system"]) for row in rows} == {(0, "cpu"), (1, "gpu")}
    assert rows_made("envelope", [build_trial(name, noise(30, 40, 20)) for name in ("cpu", "gpu")]) == []


def test_a_report_draws_a_line_for_each_budget_and_the_most_of_them_and_names_what_leads_from_when_on(noise: Any) -> None:
    results = results_of(in_turns(trials(noise)), AnalysisConfig(seed=0), "envelope", "latency", "tail_quality")
    spec = envelope_chart(*readings(results)).spec
    steps = [(np.array(line["x"]), np.array(line["y"])) for line in spec["data"]["values"]]
    assert sorted(y[-1] for _, y in steps) == pytest.approx([0.2, 0.4, 0.8], rel=0.01)
    for point in spec["layer"][1]["data"]["values"]:
        at = [y[max(0, np.searchsorted(x, float(f"{point['x']:.4g}"), "right") - 1)] for x, y in steps]
        assert max(at) == pytest.approx(point["y"], abs=1e-4)
    [said] = [one.values for one in of_task(results, Ranking(results.groups[0], ())) if one.kind == "envelope"]
    led = [(f"model.max_tokens={row['match_key']}", row["threshold_ns"]) for row in results.rows("envelope") if row["leads"]]
    assert list(zip(said["names"], said["from_ns"], strict=True)) == led


USED = {"duration_ns": np.full(30, 1e9), "neighbour_cpu_ns": np.full(30, 4e8)}  # two fifths of a core


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_neighbour_is_compared_with_none_at_each_deadline_and_flagged_where_it_was_starved(noise: Any, repeats: int) -> None:
    cases = [("cpu", "none", 20, {}), ("cpu", "beside", 40, {}), ("cpu", "same", 20, {"cores": "same"}), ("gpu", "beside", 40, {})]
    made = [
        build_trial(
            system, noise(30, 40, ms), repeat=repeat, trial_id=f"{system}-{name}-r{repeat}", match_key=f"{system}-{name}",
            blocks={"neighbour": {"name": "n", "command": ["x"], **more}} if name != "none" else {}, facts={"neighbour_alone_cores": 1.0},
        )
        for repeat in range(repeats)
        for system, name, ms, more in cases
    ]  # fmt: skip
    settings = AnalysisConfig(seed=0, primary="30 ms")
    measured = [replace(data, evidence=data.evidence | USED) for data in in_turns(made)]
    results = results_of(measured, settings, "neighbours", "latency", "tail_quality")
    [group], rows = results.groups, results.rows("neighbours")
    starved = {data.record.match_key for data in group.trials if any("starved" in flag for flag in group.flags[data.trial_id])}
    assert starved == {"cpu-none", "cpu-beside", "gpu-beside"}  # beside it could have had a core, on the same one half
    for row in rows:
        one, other = (
            np.array([kept(data, row["threshold_ns"]) for data in group.trials if data.record.match_key == key])
            for key in ("cpu-none", row["match_key"])
        )
        assert row["difference"] == pytest.approx(other.mean() - one.mean())
    (said,) = (one.values for one in of_task(results, Ranking(group, ())) if one.kind == "neighbours")
    assert [(one["name"], one["kind"]) for one in said["costs"]] == [("n beside", "shown"), ("n on the same cores", "not shown")]
    drawn = neighbours_chart(*readings(results)).spec["data"]["values"]
    assert (len(drawn), said["most"]["cost"]) == (2, -min(row["difference"] for row in rows))
