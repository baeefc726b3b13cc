import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from scipy import stats
from small_campaign import read_document

from orchestrator.analysis.loading import load_trials
from orchestrator.compare.baseline import COARSE_STEP, STEP, StoredCurve, bounds_up_to, read_baseline
from orchestrator.compare.sides import add_to_baseline, means_at, write_baseline
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign


def found(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["trials"]


@pytest.mark.slow
def test_a_baseline_file_gives_the_figures_of_its_campaign(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1)
    write_baseline(open_campaign(before), AnalysisConfig(thresholds_ms=(4.0, 5.0)), tmp_path / "base.json")
    assert (tmp_path / "base.json").stat().st_size < 50_000
    codes = [
        compare(path, after, gate=True, power=True, json_file=tmp_path / name, overrides=("analysis.thresholds_ms=[4,5]",))[0]
        for path, name in ((before, "directory"), (tmp_path / "base.json", "file"))
    ]
    assert codes == [3, 3]
    assert found(tmp_path / "directory") == found(tmp_path / "file")


@pytest.mark.slow
def test_a_file_takes_its_own_thresholds_unless_fewer_are_asked_for(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a")
    write_baseline(open_campaign(campaign), AnalysisConfig(thresholds_ms=(4.0, 5.0)), tmp_path / "base.json")
    compare(tmp_path / "base.json", campaign, json_file=tmp_path / "own.json")
    assert sorted({row["threshold"] for row in found(tmp_path / "own.json")}) == ["4 ms", "5 ms", "p95"]
    compare(tmp_path / "base.json", campaign, json_file=tmp_path / "less.json", overrides=("analysis.thresholds_ms=[5]",))
    assert sorted({row["threshold"] for row in found(tmp_path / "less.json")}) == ["5 ms", "p95"]
    older = read_document(tmp_path / "base.json")
    for trial in older["trials"]:
        trial["curve"] = None
    write_json(tmp_path / "base.json", older)
    compare(tmp_path / "base.json", campaign)
    for override in ("analysis.thresholds_ms=[6]", "analysis.primary=p99"):
        with pytest.raises(InputError):
            compare(tmp_path / "base.json", campaign, overrides=(override,))


@pytest.mark.slow
def test_a_file_has_exact_figures_at_thresholds_it_was_not_written_for(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1)
    write_baseline(open_campaign(before), AnalysisConfig(), tmp_path / "base.json")
    times: dict[str, list[Any]] = {}
    for data in load_trials(open_campaign(before)):
        times.setdefault(data.record.match_key, []).append(data.times["total"])
    right = np.array([number not in (3, 7) for number in range(20)])
    for override, asked in (("analysis.primary=p50", 50), ("analysis.primary=p99.9", 99.9), ("analysis.primary='4.2 ms'", None)):
        compare(tmp_path / "base.json", after, json_file=tmp_path / "f.json", overrides=(override,), power=True)
        for row in found(tmp_path / "f.json"):
            of_trial = times[row["match_key"]]
            wanted = 4_200_000 if asked is None else percentile_inverted_cdf(np.concatenate(of_trial), asked)
            assert wanted <= row["threshold_ns"] <= 1.0021 * wanted
            exact = [float(((one <= row["threshold_ns"]) * right).mean()) for one in of_trial]
            np.testing.assert_allclose(row["baseline_repeat_means"], exact, atol=1e-11)
    compare(tmp_path / "base.json", after, json_file=tmp_path / "f.json", overrides=("analysis.thresholds_ms=[60]",))
    assert {row["baseline_mean"] for row in found(tmp_path / "f.json") if row["threshold"] == "60 ms"} == {0.9}


@given(st.lists(st.integers(900, 9_000_000), min_size=1, max_size=30), st.integers(1, 10_000_000), st.sampled_from([STEP, COARSE_STEP]))
def test_a_curve_says_what_it_knows(times: list[int], threshold: int, step: float) -> None:
    fixed = bounds_up_to(max(times), step)
    places, counts = np.unique(np.searchsorted(fixed, times), return_counts=True)
    shares = np.cumsum(counts) / len(times)
    curve = StoredCurve(
        step=step, bounds_ns=fixed[places].tolist(), on_time=np.cumsum(counts).tolist(), inferences=len(times), qualities=(shares.tolist(),)
    )
    near = curve.known_near(threshold)
    assert threshold <= near <= max(1000, threshold * step + 1)
    for asked in (near, *([threshold] if curve.knows(threshold) else [])):
        assert curve.knows(asked)
        assert curve.at(asked) == (pytest.approx(np.mean(np.array(times) <= asked)),)
    rounded = [int(fixed[np.searchsorted(fixed, time)]) for time in times]
    for percentile in (1, 50, 99.9):
        assert curve.time_at(percentile) == percentile_inverted_cdf(rounded, percentile)


@pytest.mark.slow
def test_three_campaigns_know_how_campaigns_differ(measure: Any, compare: Any, tmp_path: Path) -> None:
    path, candidate = tmp_path / "base.json", measure("e", seed=5, repeats=2)
    stored = [measure("a"), measure("b", seed=1), measure("c", seed=2, repeats=2)]
    write_baseline(open_campaign(stored[0]), AnalysisConfig(), path)
    assert compare(path, candidate, gate=True)[0] == 3
    add_to_baseline(open_campaign(stored[1]), path)
    assert compare(path, candidate, gate=True)[0] == 3
    assert len(add_to_baseline(open_campaign(stored[2]), path).campaigns) == 3
    with refused("exists"):
        add_to_baseline(open_campaign(stored[1]), path)
    code, _ = compare(path, candidate, gate=True, min_effect=10.0, json_file=tmp_path / "f.json")
    assert code == 0
    for row in found(tmp_path / "f.json"):
        assert (row["design"], len(row["baseline_repeat_means"])) == ("earlier campaigns", 3)
        for directory, mean in zip(stored, row["baseline_repeat_means"], strict=True):
            loaded = [data for data in load_trials(open_campaign(directory)) if data.record.match_key == row["match_key"]]
            threshold = Threshold("p95", row["threshold_ns"], "reference")
            assert mean == pytest.approx(np.mean(means_at(loaded, [threshold])[0]))
        t = stats.ttest_1samp(row["baseline_repeat_means"], row["mean"])
        assert row["fresh_processes"]["degrees_of_freedom"] == 2
        alone = t.statistic / np.sqrt(3) / np.sqrt(1 + 1 / 3)
        p_value = 2 * stats.t.sf(abs(alone), 2)
        assert p_value - 1e-9 <= row["fresh_processes"]["p_value"] <= min(1, 2 * p_value) + 1e-9
    compare(path, candidate, overrides=("analysis.primary=p50",), json_file=tmp_path / "f.json")
    assert {row["design"] for row in found(tmp_path / "f.json")} == {"earlier campaigns"}
    with refused("incomparable"):
        compare(path, stored[1])


def test_a_baseline_that_was_changed_is_refused(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign, path = measure("a", repeats=1), tmp_path / "base.json"
    write_baseline(open_campaign(campaign), AnalysisConfig(), path)
    text, document = path.read_text(), read_document(path)
    of_nothing = json.loads(json.dumps(document["trials"]))
    of_nothing[0]["thresholds"][0]["means"] = []
    changes: list[dict[str, Any]] = [
        {"schema_version": 99}, {"kind": "else"}, {"trials": document["trials"] * 2}, {"slow_downs": [0.1]}, {"surprise": 1}, {"trials": of_nothing},
    ]  # fmt: skip
    for changed in changes:
        write_json(path, document | changed)
        with pytest.raises(InputError):
            read_baseline(path)
    for content in (text.replace('"top1"', '"top5"'), "{", (campaign / "campaign.json").read_text()):
        path.write_text(content)
        with pytest.raises(InputError):
            compare(path, campaign)
