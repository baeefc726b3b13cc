"""What a study finds in times that were drawn with known effects, and in those of numpy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from built_trials import build_trial
from refusals import refused
from synthetic_study import Effects, synthetic_campaign

from orchestrator.__main__ import main
from orchestrator.analysis.groups import grouped
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.configuration.composer import shipped_folder
from orchestrator.contracts import Code, InputError
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, utc_now
from orchestrator.study.claims import read_criteria
from orchestrator.study.figures import draw
from orchestrator.study.material import Material
from orchestrator.study.study import SECTIONS, Study, differences, filled, make_study, to_document, to_json
from orchestrator.subject.samples import batches_of_round

pytestmark = pytest.mark.first

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
    assert verdicts(study)["C4a"] == "fails"
    drifting = rows_of(study, "misses", against="last rounds", system="half_core")
    assert len(drifting) == 8
    assert all("CPU time of other programs" in row["evidence"] for row in drifting)


def test_counts_of_trials_stand_with_the_limits_of_their_share(study: Study) -> None:
    found = {(row["claim"], row["figure"]): row["value"] for row in rows_of(study, "claim_figures")}
    for claim, out_of, count in (
        ("C1", "trials", "fluctuating"), ("C3", "settled", "enough"), ("C4a", "predictions", "misses"), ("C4b", "predictions", "misses"),
        ("C5a", "settled", "as narrowly"),
    ):  # fmt: skip
        exact = scipy.stats.binomtest(int(found[claim, count]), int(found[claim, out_of])).proportion_ci(method="exact")
        share = found[claim, count] / found[claim, out_of]
        assert [found[claim, name] for name in ("share", "low", "high")] == pytest.approx([share, exact.low, exact.high])


def test_the_ratio_of_variances_is_that_of_each_samples_own_share(study: Study, stored: Path) -> None:
    times = open_campaign(stored).matrix("small-numbers-two_cores-torch-r0").times[Clock.TOTAL]
    bound = np.percentile(times[:10], 95, method="inverted_cdf")
    right, on_time = (np.arange(12) < 10).astype(float), times[10:] <= bound
    own, rounds = on_time.mean(axis=0), len(on_time)
    chance = rounds / (rounds - 1) * (right**2 * own * (1 - own)).sum() / 12**2
    [row] = rows_of(study, "fluctuation", **FIRST)
    assert row["variance ratio"] == pytest.approx((on_time * right).mean(axis=1).var(ddof=1) / chance)


def test_factors_have_the_shares_that_times_were_drawn_with(study: Study) -> None:
    of_sample = np.random.default_rng(2).normal(0, 0.15, 12) + 0.1 * np.log(2 ** (np.arange(12) % 4))
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
    assert verdicts(study).items() >= dict.fromkeys(("C6a", "C6b", "C6c", "C6d"), "holds").items()


def test_the_same_samples_are_slow_everywhere(study: Study) -> None:
    rows = rows_of(study, "agreement")
    assert len(rows) == 4
    assert all(row["Spearman least"] > 0.9 for row in rows)
    assert all(row["Kendall W of lateness"] > 0.7 for row in rows)


def test_no_equal_guarantee_takes_fewer_inferences(study: Study) -> None:
    assert verdicts(study).items() >= {"C5a": "fails", "C5b": "fails"}.items()
    for row in rows_of(study, "inferences"):
        assert row["used"] < row["equal guarantee takes"]
        assert row["half-width"] > row["MLPerf's half-width"]


def test_every_difference_of_the_program_is_shown_on_every_system(study: Study) -> None:
    rows = rows_of(study, "program")
    assert {row["difference"] for row in rows} == {
        "run order", "least rounds", "bandwidth floor", "recomputed percentile", "divisor of train JSD",
    }  # fmt: skip
    of_percentile = rows_of(study, "program", difference="recomputed percentile", system="half_core")
    assert all(row["as in its program"] < row["mended"] for row in of_percentile)
    assert {row["repeat"] for row in rows} == {"0"}


CLAIM = "claims/C1/verdict"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = Effects(model={"small": 0.0}, system={"two_cores": 0.0})
    return synthetic_campaign(tmp_path_factory.mktemp("short") / "campaign", few, repeats=1, rounds=24, samples=10)


def test_every_number_of_the_text_stands_in_the_json(study: Study) -> None:
    cells = set(json.loads(to_json(study))["numbers"].values())
    shown = set()
    for table in study.tables.values():
        shown |= {cell for row in table.to_table().rows for cell in row}
    assert shown <= cells
    assert {name for _, tables, _ in SECTIONS for name in tables} | {"measured", "claims", "claim_figures"} == set(study.tables)


def test_a_document_is_filled_and_then_agrees(study: Study) -> None:
    text = f"The verdict is <!-- study:{CLAIM} -->nothing<!-- /study -->.\n\n<!-- study:measured --><!-- /study -->\nMine.\n"
    full = filled(text, study, "page.md")
    assert f"-->{study.numbers()[CLAIM]}<!-- /study -->." in full
    assert full.endswith("<!-- /study -->\nMine.\n")
    assert "## What was measured" in full
    assert list(differences(full, study, "page.md")) == []
    assert filled(full, study, "page.md") == full


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nothing", "missing"),
        ("<!-- study:claims/C1/verdikt -->x<!-- /study -->", "unknown"),
        ("<!-- study:claims -->x", "missing"),
        ("<!-- study:claims -->x<!-- /study --> <!-- study:claims -->", "invalid"),
    ],
)
def test_a_document_that_cannot_be_filled_is_refused(text: str, code: Code, study: Study) -> None:
    with refused(code):
        filled(text, study, "page.md")


def test_criteria_are_read_and_mistakes_in_them_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = (shipped_folder() / "study.yaml").read_text()
    path.write_text(text.replace("first_rounds: 20 ", "first_rounds: 7 "))
    assert read_criteria(path).first_rounds == 7
    wrong = (
        f"{text}more: 1\n",
        text.replace("    margin: 0.01", ""),
        text.replace("first_rounds: 20", "first_rounds: 0"),
        "[1]",
        "a: [",
        "[" * 5000,
    )
    for content in wrong:
        path.write_text(content)
        with pytest.raises(InputError):
            read_criteria(path)
    with refused("unreadable"):
        read_criteria(tmp_path / "none.yaml")


def test_the_command_writes_fills_and_checks_and_writes_the_same_bytes_again(short: Path, tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "out"
    page.write_text(f"<!-- study:{CLAIM} --><!-- /study -->\n")
    assert main(["study", str(short), "--to", str(folder), "--fill", str(page)]) == 0
    assert {path.name for path in folder.iterdir()} >= {"study.md", "study.json", "quality-numbers.svg", "heat.svg"}
    assert "-->holds<!--" in page.read_text()
    page.write_text(page.read_text().replace("holds", "fails"))
    assert main(["study", str(short), "--check", str(page)]) == 1
    assert not (short / "study").exists()
    assert main(["study", str(short)]) == 0
    first, second = ({path.name: path.read_bytes() for path in written.iterdir()} for written in (folder, short / "study"))
    assert first == second


SAMPLES = 12


def built(system: str, repeat: int, rounds: int, lost: float = 0.0, right: int = 9, **more: Any) -> TrialData:
    random = np.random.default_rng([repeat, len(system), rounds])
    times = random.lognormal(2, 0.2, (rounds, SAMPLES))
    times[random.random(times.shape) < lost] = np.inf
    trial = build_trial(system, times, right=right, repeat=repeat, **more).record.trial
    for number, row in enumerate(times):
        for batch in batches_of_round(trial, SAMPLES, number):
            row[batch] = row[batch[0]]
    return build_trial(system, times, right=right, repeat=repeat, started_at=utc_now(), **more)


@pytest.mark.parametrize(
    ("case", "rounds"),
    [
        ({"metrics": ("f1_macro",)}, 20), ({"lost": 0.05}, 1), ({"lost": 1.0}, 20), ({"right": 0}, 1),
        ({"measurement": {"batch": 4, "order": "shuffled"}}, 20),
    ],
    ids=["no mean", "without times", "nothing has a time", "nothing right", "shuffled batches"],
)  # fmt: skip
def test_a_study_is_made_of_whatever_is_stored(case: dict[str, Any], rounds: int) -> None:
    trials = [built(system, repeat, rounds, **case) for system in ("one", "other") for repeat in (0, 1)]
    analysis = AnalysisConfig(tolerance=ToleranceConfig(median_ms=8, sigma=0.5))
    campaign, records = CampaignRecord(code_version="1", name="odd"), tuple(data.record for data in trials)
    study = make_study(Material(campaign, records, grouped(trials, analysis), analysis, read_criteria()))
    document = json.loads(to_json(study))
    assert len(document["tables"]["latency"]["rows"]) == 8
    assert {row["verdict"] for row in document["tables"]["claims"]["rows"]} <= {"holds", "fails", "not shown"}
    assert len(document["tables"]["tolerance"]["rows"]) == 2
    assert "nan" not in to_document(study).lower().split()
    assert all("NaN" not in draw(figure) for figure in study.figures)
