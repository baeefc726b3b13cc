from __future__ import annotations

import html
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from orchestrator.analysis.loading import load_trials
from orchestrator.contracts import InputError
from orchestrator.stats.interval import mean_intervals
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
    code, out = compare(campaign, campaign, gate=True)
    assert code == 3
    assert "The candidate has the name and the time of a campaign of the baseline" in " ".join(out.split())
    with CampaignWriter.reopen(campaign) as writer:
        writer.set_state(writer.record.trials[0].trial_id, "failed", "out of memory")
    assert compare(campaign, campaign, gate=True)[0] == 1


def test_campaigns_measured_apart_have_both_intervals_and_no_verdict(measure: Any, compare: Any, tmp_path: Path) -> None:
    command = ("-m", "model=null", "task=numbers", "results_dir=x")
    before, after = measure("a", repeats=5), measure("s", repeats=5, seed=1, slower={"cpu_1core": 0.1}, command=command)
    for options in ({}, {"allow_no_verdict": True}):
        code, out = compare(before, after, gate=True, json_file=tmp_path / "found.json", **options)
        assert code == 3
        assert out.splitlines()[:3] == [
            "No verdict on 2 trials: measured apart.",
            "What would give a verdict:",
            "python -m orchestrator compare --run A B -m model=null task=numbers --gate  # in pairs; A and B: folders of code, or overrides",
        ]
    assert compare(before, after)[0] == 0
    for row in json.loads((tmp_path / "found.json").read_text())["trials"]:
        assert (row["verdict"], row["design"], row["samples_like_these"]) == ("no verdict: measured apart", None, None)
        found = row["fresh_processes"]
        assert found["difference"] == pytest.approx(row["mean"] - row["baseline_mean"])
        assert (found["method"], found["low"], found["high"]) == ("none", None, None)
        for interval, means in ((row["baseline_interval"], row["baseline_repeat_means"]), (row["interval"], row["repeat_means"])):
            t = stats.ttest_1samp(means, 0).confidence_interval()
            assert interval == pytest.approx([t.low, min(t.high, 0.9)])
    missing = measure("one", systems=("cpu_all",))
    assert compare(before, missing, gate=True)[0] == 1


def test_a_single_process_has_the_interval_of_its_visits(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a", repeats=1, rounds=60)
    compare(campaign, measure("b", repeats=1, rounds=60, seed=1), json_file=tmp_path / "found.json")
    rows = {row["system"]: row for row in json.loads((tmp_path / "found.json").read_text())["trials"]}
    for data in load_trials(open_campaign(campaign)):
        row = rows[data.record.trial.system.name]
        curve = data.judged("top1").curve(data.times["total"], [row["threshold_ns"]])
        [expected] = mean_intervals(curve, 0.9, 18.0, data.visits)
        assert row["baseline_interval"] == pytest.approx([expected.low, expected.high])


def test_without_pairs_enough_there_is_no_verdict(measure_pairs: Any, compare: Any) -> None:
    pair = measure_pairs(repeats=2)
    code, out = compare(*pair, gate=True)
    assert code == 3
    assert "no verdict: noise floor unknown" in out
    code, out = compare(*pair, gate=True, allow_no_verdict=True)
    assert code == 0
    assert out.startswith("Pass, although 2 trials have no verdict, which was allowed.")
    assert compare(*pair)[0] == 0


def test_the_gate_finds_exactly_the_slower_system(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    """10 % more inference time is 5 % more total time here, and processes differ by 1 %."""
    before, after = measure_pairs(repeats=6, after={"slower": {"cpu_1core": 0.1}})
    code, out = compare(before, after, gate=True, json_file=tmp_path / "found.json")
    assert code == 1
    assert verdicts(tmp_path / "found.json") == {"cpu_1core": "worse", "cpu_all": "no difference shown"}
    assert out.splitlines()[0] == "Fail: 1 worse, 1 no difference shown."
    assert compare(before, after)[0] == 0
    # The other way round it is a gain, which passes.
    code, _ = compare(after, before, gate=True, min_effect=10.0, json_file=tmp_path / "back.json")
    assert (code, verdicts(tmp_path / "back.json")) == (0, {"cpu_1core": "better", "cpu_all": "no difference shown"})


def test_figures_follow_from_the_stored_timings(measure_pairs: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure_pairs(repeats=4)
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
    before, after = measure_pairs(repeats=6)
    compare(before, after, json_file=tmp_path / "found.json", gate=True)
    effects = [row["fresh_processes"]["smallest_effect"] for row in json.loads((tmp_path / "found.json").read_text())["trials"]]
    least = min(effects) * 0.99
    code, out = compare(before, after, json_file=tmp_path / "found.json", gate=True, min_effect=least)
    assert code == 3
    assert out.startswith("No verdict on 2 trials: too blind")
    assert set(verdicts(tmp_path / "found.json").values()) == {"no verdict: too blind"}
    assert compare(before, after, gate=True, min_effect=least, allow_no_verdict=True)[0] == 0
    assert compare(before, after, gate=True, min_effect=max(effects))[0] == 0
    # A trial that sees at one of its thresholds is not blind.
    options = {"gate": True, "min_effect": max(effects) * 2, "overrides": ("analysis.thresholds_ms=[1000]",)}
    assert compare(before, after, json_file=tmp_path / "found.json", **options)[0] == 0
    assert None in [row["fresh_processes"]["smallest_effect"] for row in json.loads((tmp_path / "found.json").read_text())["trials"]]
    # What is found is found, however blind the gate is to less.
    slow = measure_pairs(repeats=6, after={"slower": {"cpu_all": 0.5}})
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


def test_another_primary_threshold_takes_the_place_of_p95(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a")
    for primary, label in (("p50", "p50"), ("'4 ms'", "4 ms")):
        compare(campaign, campaign, json_file=tmp_path / "found.json", overrides=(f"analysis.primary={primary}",))
        assert {row["threshold"] for row in json.loads((tmp_path / "found.json").read_text())["trials"]} == {label}


def test_a_trial_that_only_one_side_has(measure: Any, compare: Any) -> None:
    both, one = measure("both"), measure("one", systems=("cpu_all",))
    code, out = compare(both, one, gate=True)
    assert code == 1
    assert out.startswith("Fail: 1 missing, 1 no verdict. The candidate has nothing like 1 trial of the baseline.\n")
    code, out = compare(one, both, gate=True)
    assert code == 3
    assert "Only the candidate has null-numbers-cpu_1core-torch-b1-" in out


def test_other_settings_are_another_trial_and_told(measure: Any, compare: Any, tmp_path: Path) -> None:
    command = ("-m", "model=null", "task=numbers", "system=cpu_1core,cpu_all", "results_dir=x", "model.sleep_ms=0")
    before = measure("a", command=command)
    after = measure("b", model={"sleep_ms": 0.01}, command=(*command[:-1], "model.sleep_ms=0.01"))
    differ = "In all trials the settings differ (baseline -> candidate): model.sleep_ms 0 -> 0.01. --by model.sleep_ms pairs them."
    code, out = compare(before, after, gate=True, json_file=tmp_path / "found.json")
    assert (code, " ".join(out.split()).startswith(f"Fail: 2 missing. {differ}")) == (1, True)
    assert "differs in model.sleep_ms 0 -> 0.01" in (tmp_path / "found.json").read_text()
    code, out = compare(before, after, html_file=tmp_path / "c.html", markdown_file=tmp_path / "c.md")
    said = f"No verdict: there is nothing to compare. {differ}"
    proposed = (
        "python -m orchestrator compare --run model.sleep_ms=0 model.sleep_ms=0.01 -m model=null task=numbers system=cpu_1core,cpu_all "
        "--gate  # what differs, in pairs"
    )
    assert (code, " ".join(out.split()).startswith(said)) == (0, True)
    assert proposed in out.splitlines()
    assert "missing (other settings)" in out
    assert "2 trials of the baseline: 2 no verdict." in " ".join(compare(before, after, by=("model.sleep_ms",))[1].split())
    for written in (html.unescape((tmp_path / "c.html").read_text()), (tmp_path / "c.md").read_text().replace("\\", "")):
        assert said in written.replace("&gt;", ">")
        assert proposed in written


def test_a_repeat_that_failed_fails_the_trial(measure: Any, compare: Any) -> None:
    before, after = measure("a"), measure("b", seed=1)
    failed = open_campaign(after).record.trials[-1].trial_id
    with CampaignWriter.reopen(after) as writer:
        writer.set_state(failed, "failed", "process killed")
    code, out = compare(before, after, gate=True, allow_no_verdict=True)
    assert code == 1
    assert "repeat 2 failed: process killed" in " ".join(out.split())
    assert compare(after, before, gate=True)[0] == 3


def test_a_campaign_that_is_not_finished_does_not_pass(measure: Any, compare: Any) -> None:
    before, after = measure("a"), measure("b", seed=1)
    with CampaignWriter.reopen(after) as writer:
        for planned in writer.record.trials:
            writer.set_state(planned.trial_id, "planned", None)
    code, out = compare(before, after, gate=True, allow_no_verdict=True)
    assert code == 1
    assert "finish the campaign first" in " ".join(out.split())
    code, out = compare(after, before, gate=True)
    assert code == 3
    assert "not measured in the baseline" in out


def test_a_trial_that_failed_before_any_round(measure: Any, compare: Any) -> None:
    good, broken = measure("a"), measure("b", model={"fails_to_load": True})
    assert compare(broken, broken, gate=True)[0] == 1
    assert compare(good, broken, gate=True)[0] == 1


@pytest.mark.parametrize("rounds", [1, 2])
def test_few_rounds_without_any_spread(measure_pairs: Any, compare: Any, rounds: int, tmp_path: Path) -> None:
    """Every time is the same: no repeat differs from another, which shows no noise and is not none."""
    compare(*measure_pairs(rounds=rounds, noise=0.0), gate=True, json_file=tmp_path / "same.json", power=True)
    for row in json.loads((tmp_path / "same.json").read_text())["trials"]:
        half = stats.t.isf(0.05 / 4, 2) * np.sqrt(2) / 3 / (20 * rounds)
        assert row["fresh_processes"]["high"] == pytest.approx(min(half, 0.9))
    slower = measure_pairs(rounds=rounds, noise=0.0, after={"slower": {"cpu_all": 0.1}})
    code, _ = compare(*slower, gate=True, min_effect=10.0, json_file=tmp_path / "slower.json")
    assert (code, verdicts(tmp_path / "slower.json")) == (1, {"cpu_1core": "no difference shown", "cpu_all": "worse"})


def test_a_model_that_is_never_right_has_no_drop(measure_pairs: Any, compare: Any) -> None:
    code, out = compare(*measure_pairs(model={"wrong": list(range(20))}), gate=True, power=True)
    assert code == 3
    assert "no slow-down costs that much quality" in " ".join(out.split())
    assert out.startswith("No verdict on 2 trials: too blind, ")
    assert "no answer is right" in " ".join(out.split())


def test_equal_files_and_seed_give_equal_files(measure: Any, compare: Any, tmp_path: Path) -> None:
    before, after = measure("a"), measure("b", seed=1)
    for name in ("1", "2"):
        compare(before, after, json_file=tmp_path / name)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_mistakes_are_in_one_line(measure: Any, compare: Any, tmp_path: Path) -> None:
    campaign = measure("a", repeats=1)
    with pytest.raises(InputError, match="is not there"):
        compare(tmp_path / "nowhere", campaign)
    with pytest.raises(InputError, match="analysis keys only"):
        compare(campaign, campaign, overrides=("task.limit=3",))
    with pytest.raises(InputError, match="folder that exists"):
        compare(campaign, campaign, json_file=tmp_path / "no" / "file.json")
