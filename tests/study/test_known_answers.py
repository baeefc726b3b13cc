"""What a study finds in times that were drawn with known effects, and in those of numpy alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from synthetic_study import Effects, synthetic_campaign

from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign
from orchestrator.study.claims import read_criteria
from orchestrator.study.material import Material, read_material
from orchestrator.study.prediction import foretold, prediction_claims
from orchestrator.study.quality import choice_claims, choices, fluctuation_claim
from orchestrator.study.study import Study

EFFECTS = Effects(bursts={"two_cores": (0.06, 6.0)}, drift={"half_core": 0.3}, slope=0.1, process_sd=0.01)
FIRST = {"model": "small", "runtime": "torch", "system": "two_cores", "repeat": "0"}


def rows_of(study: Study, name: str, **wanted: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = study.tables[name].to_json()["rows"]  # type: ignore[assignment]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def verdicts(study: Study) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in rows_of(study, "claims")}


def test_quality_at_own_percentiles_is_what_numpy_finds(study: Study, stored: Path) -> None:
    campaign = open_campaign(stored)
    times = campaign.matrix("small-numbers-two_cores-torch-r0").times[Clock.TOTAL]
    right = np.arange(12) < 10
    for used, count in (("first 20", 20), ("all", 90)):
        for percentile in (90, 95, 99):
            bound = np.percentile(times[:count], percentile, method="inverted_cdf")
            quality = ((times[:count] <= bound) & right).mean(axis=1)
            [row] = rows_of(study, "quality", **FIRST, clock="total", percentile=f"p{percentile}", **{"rounds used": used})
            found = [row[name] for name in ("threshold", "mean", "min", "max", "sd", "ideal")]
            expected = [bound, quality.mean(), quality.min(), quality.max(), quality.std(ddof=1), 10 / 12]
            assert found == pytest.approx(expected)


def test_predictions_are_what_numpy_finds(study: Study, stored: Path) -> None:
    times = open_campaign(stored).matrix("small-numbers-two_cores-torch-r0").times[Clock.INFERENCE]
    right = np.arange(12) < 10
    fit, test = times[:60], times[60:]
    bounds = [np.percentile(part, 90, method="inverted_cdf") for part in (fit, test)]
    first, frozen, own = (
        ((part <= bound) & right).mean(axis=1) for part, bound in ((fit, bounds[0]), (test, bounds[0]), (test, bounds[1]))
    )
    [row] = rows_of(study, "prediction", **FIRST, against="last rounds", clock="inference", percentile="p90")
    for name, figure in (("mean", np.mean), ("min", np.min), ("variance", np.var)):
        assert row[f"{name} frozen"] == pytest.approx(abs(figure(first) - figure(frozen)), abs=1e-9)
        assert row[f"{name} as in paper"] == pytest.approx(abs(figure(first) - figure(own)), abs=1e-9)
    bar = max(0.02 * 10 / 12, 2 * first.std(ddof=1) * np.sqrt(1 / 60 + 1 / 30))
    assert row["bar"] == pytest.approx(bar)
    assert row["miss"] == (row["mean frozen"] > bar)


def test_a_drift_makes_predictions_miss_and_evidence_says_why(study: Study) -> None:
    found = verdicts(study)
    assert found["C4a"] == "fails"
    misses = rows_of(study, "misses", against="last rounds")
    assert {row["system"] for row in misses} >= {"half_core"}
    drifting = [row for row in misses if row["system"] == "half_core"]
    assert len(drifting) == 12
    assert all("CPU time of other programs" in row["evidence"] for row in drifting)
    assert all("drifts" in row["evidence"] for row in drifting)


def test_steady_times_are_predicted(tmp_path: Path) -> None:
    steady = Effects(model={"small": 0.0}, runtime={"torch": 0.0}, process_sd=0.0, round_sd=0.0)
    campaign = open_campaign(synthetic_campaign(tmp_path / "steady", steady, repeats=4, rounds=60, samples=12))
    material = read_material(campaign, campaign.record.config.analysis, read_criteria())
    [last, fresh] = prediction_claims(material, list(foretold(material, [95], "last rounds", [Clock.TOTAL])))
    assert (last.verdict, last.numbers["predictions"]) == ("holds", 8)
    assert (fresh.verdict, fresh.figure) == ("not shown", "0 of 0 miss")


def test_counts_of_trials_stand_with_the_limits_of_their_share(study: Study) -> None:
    found = {(row["claim"], row["figure"]): row["value"] for row in rows_of(study, "claim_figures")}
    for claim, out_of, count in (
        ("C1", "trials", "fluctuating"), ("C3", "settled", "enough"), ("C4a", "predictions", "misses"), ("C4b", "predictions", "misses"),
        ("C5a", "settled", "as narrowly"),
    ):  # fmt: skip
        exact = scipy.stats.binomtest(int(found[claim, count]), int(found[claim, out_of])).proportion_ci(method="exact")
        share = found[claim, count] / found[claim, out_of]
        assert [found[claim, name] for name in ("share", "low", "high")] == pytest.approx([share, exact.low, exact.high])
        [row] = rows_of(study, "claims", claim=claim)
        of = f"{found[claim, count]:.0f} of {found[claim, out_of]:.0f} ({share:.3f} [{exact.low:.3f}, {exact.high:.3f}])"
        assert of in row["found"]


def test_fewer_inferences_and_as_narrowly_stand_with_their_own_denominators(study: Study) -> None:
    found = {(row["claim"], row["figure"]): int(row["value"]) for row in rows_of(study, "claim_figures") if row["figure"] != "share"}
    for claim in ("C5a", "C5b"):
        [row] = rows_of(study, "claims", claim=claim)
        fewer, narrow, settled = (found[claim, name] for name in ("fewer", "as narrowly", "settled"))
        assert f"fewer in {fewer} of {settled} trials that settled; of these {fewer}, as narrowly in {narrow} and" in row["found"]


def test_the_median_ratio_of_variances_says_of_how_many_trials_it_is(study: Study, material: Material) -> None:
    table = study.tables["fluctuation"]
    ratio = list(table.heads).index("variance ratio")
    assert (
        "median variance 1" in fluctuation_claim(material, table).figure or "median variance 0" in fluctuation_claim(material, table).figure
    )
    some = [[*row[:ratio], None if place < 6 else row[ratio], *row[ratio + 1 :]] for place, row in enumerate(table.rows)]
    partly = fluctuation_claim(material, replace(table, rows=some)).figure
    assert f"median variance of the {len(some) - 6} trials that have a ratio" in partly


def test_the_ratio_of_variances_is_that_of_each_samples_own_share(study: Study, stored: Path) -> None:
    times = open_campaign(stored).matrix("small-numbers-two_cores-torch-r0").times[Clock.TOTAL]
    bound = np.percentile(times[:10], 95, method="inverted_cdf")
    right, on_time = (np.arange(12) < 10).astype(float), times[10:] <= bound
    own, rounds = on_time.mean(axis=0), len(on_time)
    chance = rounds / (rounds - 1) * (right**2 * own * (1 - own)).sum() / 12**2
    [row] = rows_of(study, "fluctuation", **FIRST)
    assert row["variance ratio"] == pytest.approx((on_time * right).mean(axis=1).var(ddof=1) / chance)


def test_a_claim_that_holds_by_its_count_says_where_its_limits_do_not(tmp_path: Path) -> None:
    steady = Effects(model={"small": 0.0}, runtime={"torch": 0.0}, process_sd=0.0, round_sd=0.0)
    campaign = open_campaign(synthetic_campaign(tmp_path / "few", steady, repeats=1, rounds=60, samples=12))
    material = read_material(campaign, campaign.record.config.analysis, read_criteria())
    [last, _] = prediction_claims(material, list(foretold(material, [95], "last rounds", [Clock.TOTAL])))
    assert (last.verdict, last.numbers["predictions"], last.numbers["misses"]) == ("holds", 2, 0)
    assert "the limits reach beyond 16.7%" in last.figure


def test_quality_stands_with_its_count_of_samples(study: Study) -> None:
    for table in ("quality", "tail"):
        assert {row["samples"] for row in rows_of(study, table)} == {12}


def test_rare_long_answers_turn_the_conventional_choice(study: Study, tmp_path: Path) -> None:
    """Five repeats that took turns show it at three of the thresholds; three, with two degrees of freedom, leave it open."""
    campaign = open_campaign(synthetic_campaign(tmp_path / "five", EFFECTS, repeats=5, rounds=90, samples=12))
    material = read_material(campaign, campaign.record.config.analysis, read_criteria())
    found = choices(material)
    costing = [one for one in found if one.view == "mean latency" and one.outcome == "costs"]
    assert len(costing) == 3
    assert all(0 < one.low < one.cost < one.high for one in costing)
    assert choice_claims(material, found)[0].verdict == "holds"
    assert verdicts(study)["C2a"] == "not shown"


def test_factors_have_the_shares_that_times_were_drawn_with(study: Study) -> None:
    of_sample = np.random.default_rng(0).normal(0, 0.15, 12) + 0.1 * np.log(2 ** (np.arange(12) % 4))
    sample = of_sample.var(ddof=1)
    rare = 0.06 * 0.94 * np.log(6) ** 2 / 2
    drift = 0.3**2 / 12 / 2
    variances = {"model": 0.25**2, "runtime": 0.1**2, "system": ((0.6 + 0.3 / 2 - 0.06 * np.log(6)) / 2) ** 2}
    total = sum(variances.values()) + sample + rare + drift + 0.01**2 + 0.03**2 + 0.08**2
    shares = {row["source"]: row for row in rows_of(study, "factors", clock="total")}
    for name, variance in variances.items():
        assert shares[name]["omega2"] == pytest.approx(variance / total, abs=0.05), name
        assert shares[name]["low"] <= shares[name]["omega2"] <= shares[name]["high"]
    assert shares["model x system"]["omega2"] < 0.01
    assert "numbers: 2 x 2 x 2 levels, 3 processes each, 90 rounds in 45 visits, 12 samples" in study.tables["factors"].note
    found = verdicts(study)
    assert [found[name] for name in ("C6a", "C6b", "C6c", "C6d")] == ["holds"] * 4


def test_the_same_samples_are_slow_everywhere(study: Study) -> None:
    rows = rows_of(study, "agreement")
    assert len(rows) == 4
    assert all(row["Spearman least"] > 0.9 for row in rows)
    assert all(row["Kendall W of lateness"] > 0.7 for row in rows)


def test_no_equal_guarantee_takes_fewer_inferences(study: Study) -> None:
    found = verdicts(study)
    assert (found["C5a"], found["C5b"]) == ("fails", "fails")
    for row in rows_of(study, "inferences"):
        assert row["used"] < row["equal guarantee takes"]
        assert row["half-width"] > row["MLPerf's half-width"]


def test_systems_of_one_boot_are_called_allocations(study: Study) -> None:
    assert study.tables["measured"].note == "half_core, two_cores are 2 allocations of one machine, not 2 machines."
    assert any("allocations of one" in limit for limit in study.limits)


def test_time_goes_with_input_size(study: Study) -> None:
    rows = rows_of(study, "input_size")
    assert len(rows) == 16
    assert all(row["ms per unit of size"] > 0 for row in rows)


def test_every_difference_of_the_program_is_shown_on_every_system(study: Study) -> None:
    rows = rows_of(study, "program")
    assert {row["difference"] for row in rows} == {
        "run order", "least rounds", "bandwidth floor", "recomputed percentile", "divisor of train JSD",
    }  # fmt: skip
    of_percentile = rows_of(study, "program", difference="recomputed percentile", system="half_core")
    assert all(row["as in its program"] < row["mended"] for row in of_percentile)
    assert {row["repeat"] for row in rows} == {"0"}
    for said in ("Of the first repeat of every trial", "up to 10 samples, evenly chosen", "such as mAP, its check has no scores"):
        assert said in study.tables["program"].note


def test_short_trials_show_less_and_break_nothing(tmp_path: Path) -> None:
    from orchestrator.study.study import make_study

    one = Effects(model={"small": 0.0}, runtime={"torch": 0.0}, system={"two_cores": 0.0})
    campaign = open_campaign(synthetic_campaign(tmp_path / "short", one, repeats=1, rounds=4, samples=3))
    found = make_study(read_material(campaign, campaign.record.config.analysis, read_criteria()))
    assert set(verdicts(found).values()) == {"not shown"}
