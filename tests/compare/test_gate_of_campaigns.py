import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis.loading import load_trials
from orchestrator.contracts import InputError
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.pair import Replicates, gate
from orchestrator.storage.files import write_json
from orchestrator.storage.load import read_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import Pairing, TrialRecord
from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow


def verdicts(path: Path) -> dict[str, str]:
    return {row["system"]: row["verdict"] for row in json.loads(path.read_text())["trials"]}


def test_a_campaign_compared_with_itself_says_nothing(measure: Any, compare: Any) -> None:
    campaign = measure("a")
    assert compare(campaign, campaign, gate=True)[0] == 3
    with CampaignWriter.reopen(campaign) as writer:
        writer.set_state(writer.record.trials[0].trial_id, "failed", "out of memory")
    assert compare(campaign, campaign, gate=True)[0] == 1


def test_campaigns_measured_apart_have_both_intervals_and_no_verdict(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1)
    for options in ({}, {"allow_no_verdict": True}):
        assert compare(before, after, gate=True, json_file=tmp_path / "found.json", **options)[0] == 3
    assert compare(before, after)[0] == 0
    for row in json.loads((tmp_path / "found.json").read_text())["trials"]:
        assert (row["verdict"], row["design"], row["samples_like_these"]) == ("no verdict: measured apart", None, None)
        found = row["fresh_processes"]
        assert found["difference"] == pytest.approx(row["mean"] - row["baseline_mean"])
        assert (found["method"], found["low"], found["high"]) == ("none", None, None)
        for interval, means in ((row["baseline_interval"], row["baseline_repeat_means"]), (row["interval"], row["repeat_means"])):
            t = stats.ttest_1samp(means, 0).confidence_interval()
            assert interval == pytest.approx([t.low, min(t.high, 0.9)])


def test_without_pairs_enough_there_is_no_verdict(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    pair = measure_pairs(repeats=2, systems=("cpu_all",))
    assert compare(*pair, gate=True, json_file=tmp_path / "found.json")[0] == 3
    assert set(verdicts(tmp_path / "found.json").values()) == {"no verdict: noise floor unknown"}
    assert compare(*pair, gate=True, allow_no_verdict=True)[0] == 0


def test_the_gate_finds_exactly_the_slower_system(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    """20 % more inference time is 10 % more total time here, and processes differ by 1 %."""
    before, after = measure_pairs(repeats=5, after={"slower": {"cpu_1core": 0.2}})
    assert compare(before, after, gate=True, json_file=tmp_path / "found.json")[0] == 1
    assert verdicts(tmp_path / "found.json") == {"cpu_1core": "worse", "cpu_all": "no difference shown"}
    assert compare(before, after)[0] == 0
    # The other way round it is a gain, which passes.
    code, _ = compare(after, before, gate=True, min_effect=10.0, json_file=tmp_path / "back.json")
    assert (code, verdicts(tmp_path / "back.json")) == (0, {"cpu_1core": "better", "cpu_all": "no difference shown"})


def test_figures_follow_from_the_stored_timings(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure_pairs()
    compare(before, after, json_file=tmp_path / "found.json", power=True)
    sides: list[dict[str, list[Any]]] = [{}, {}]
    for side, directory in zip(sides, (before, after), strict=True):
        for data in load_trials(open_campaign(directory)):
            side.setdefault(data.record.match_key, []).append(data)
    thresholds = {key: percentile_inverted_cdf(np.concatenate([one.times["total"] for one in each]), 95) for key, each in sides[0].items()}

    def means(side: dict[str, list[Any]], longer: float = 0.0) -> dict[str, list[float]]:
        right = np.array([number not in (3, 7) for number in range(20)])
        return {
            key: [float(((one.times["total"] * (1 + longer) <= thresholds[key]) * right).mean()) for one in each]
            for key, each in side.items()
        }

    here, there = means(sides[0]), means(sides[1])
    expected = gate({key: Replicates(here[key], there[key], resolution=1 / 400, within=(-0.9, 0.9)) for key in here})
    for row in json.loads((tmp_path / "found.json").read_text())["trials"]:
        key = row["match_key"]
        assert (row["threshold_ns"], row["design"]) == (thresholds[key], "pairs")
        np.testing.assert_allclose(row["baseline_repeat_means"], here[key], atol=1e-12)
        np.testing.assert_allclose(row["repeat_means"], there[key], atol=1e-12)
        found, verdict = row["fresh_processes"], expected[key]
        np.testing.assert_allclose(
            [found[name] for name in ("difference", "low", "high", "p_value", "detectable_drop")],
            [verdict.found.difference, verdict.found.low, verdict.found.high, verdict.p_value, verdict.detectable_drop],
            atol=1e-12,
        )
        if found["detectable_slow_down"] is not None:
            lost = np.mean(here[key]) - np.mean(means(sides[0], found["detectable_slow_down"])[key])
            assert lost >= verdict.detectable_drop
            less = np.mean(here[key]) - np.mean(means(sides[0], found["detectable_slow_down"] / 1.17)[key])
            assert less < verdict.detectable_drop
        assert row["samples_like_these"]["method"] == "two-way variance"


def test_pairs_that_do_not_alternate_have_no_verdict(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    """As where one side was lost and measured anew after the other."""
    before, _ = measure_pairs()
    record = open_campaign(before).record
    after = Path(shutil.copytree(before, tmp_path / "later"))
    pairing = {"pairing": Pairing(id="0" * 32, side="b")}
    write_json(after / "campaign.json", record.model_copy(update=pairing).model_dump(mode="json"))
    assert compare(before, after, gate=True, json_file=tmp_path / "same.json")[0] == 0
    assert set(verdicts(tmp_path / "same.json").values()) == {"no difference shown"}
    for folder in after.glob("trials/*"):
        record_of = read_json(folder / "trial.json", TrialRecord)
        elsewhere = record_of.model_copy(update={"placement": record_of.placement | {"boot_id": "another"}})
        write_json(folder / "trial.json", elsewhere.model_dump(mode="json"))
    assert compare(before, after, gate=True, json_file=tmp_path / "apart.json")[0] == 3
    assert set(verdicts(tmp_path / "apart.json").values()) == {"no verdict: measured apart"}


def test_a_gate_that_cannot_see_says_so(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure_pairs()
    compare(before, after, json_file=tmp_path / "found.json", gate=True)
    effects = [row["fresh_processes"]["smallest_effect"] for row in json.loads((tmp_path / "found.json").read_text())["trials"]]
    least = min(effects) * 0.99
    assert compare(before, after, json_file=tmp_path / "found.json", gate=True, min_effect=least)[0] == 3
    assert set(verdicts(tmp_path / "found.json").values()) == {"no verdict: too blind"}
    assert compare(before, after, gate=True, min_effect=least, allow_no_verdict=True)[0] == 0
    assert compare(before, after, gate=True, min_effect=max(effects))[0] == 0
    # A trial that sees at one of its thresholds is not blind.
    options = {"gate": True, "min_effect": max(effects) * 2, "overrides": ("analysis.thresholds_ms=[1000]",)}
    assert compare(before, after, json_file=tmp_path / "found.json", **options)[0] == 0
    assert None in [row["fresh_processes"]["smallest_effect"] for row in json.loads((tmp_path / "found.json").read_text())["trials"]]
    # What is found is found, however blind the gate is to less.
    slow = measure_pairs(repeats=5, after={"slower": {"cpu_1core": 0.2}})
    assert compare(*slow, gate=True, min_effect=1e-6)[0] == 1


def test_the_users_thresholds_are_of_the_same_family(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure_pairs()
    compare(before, after, json_file=tmp_path / "one.json")
    compare(before, after, json_file=tmp_path / "more.json", overrides=("analysis.thresholds_ms=[4,5]",))
    one, more = (json.loads((tmp_path / name).read_text())["trials"] for name in ("one.json", "more.json"))
    assert [row["threshold"] for row in one] == ["p95", "p95"]
    assert sorted(row["threshold"] for row in more) == ["4 ms", "4 ms", "5 ms", "5 ms", "p95", "p95"]
    width = {
        len(rows): [row["fresh_processes"]["high"] - row["fresh_processes"]["low"] for row in rows if row["threshold"] == "p95"]
        for rows in (one, more)
    }
    assert min(width[6]) > min(width[2])


def test_a_trial_that_only_one_side_has(measure: Any, compare: Any) -> None:
    both, one = measure("a"), measure("one", systems=("cpu_all",))
    assert compare(both, one, gate=True)[0] == 1
    assert compare(one, both, gate=True)[0] == 3


@pytest.mark.parametrize(("state", "repeats"), [("failed", slice(-1, None)), ("planned", slice(None))])
def test_a_candidate_that_failed_or_is_not_finished_does_not_pass(measure: Any, compare: Any, state: str, repeats: slice) -> None:
    before, after = measure("a"), measure("b", seed=1)
    with CampaignWriter.reopen(after) as writer:
        for planned in writer.record.trials[repeats]:
            writer.set_state(planned.trial_id, state, None)
    assert compare(before, after, gate=True, allow_no_verdict=True)[0] == 1
    assert compare(after, before, gate=True)[0] == 3


def test_what_is_not_there_and_keys_that_are_no_analysis_are_refused(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a")
    for paths, overrides in (((tmp_path / "nowhere", campaign), ()), ((campaign, campaign), ("task.limit=3",))):
        with pytest.raises(InputError):
            compare(*paths, overrides=overrides)
