from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from visions import Campaigns, plan_trial

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.loading import load_trials
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import Campaign, open_campaign

pytestmark = pytest.mark.slow

WHO = {"trial", "match_key", "model", "batch", "samples"}
"""Columns that tell a batch of five from a single sample."""


def without_names(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in WHO} for row in rows]


def rows_of(results: CampaignAnalysis, table: str) -> list[dict[str, Any]]:
    return without_names(results.tables[table].to_pylist())


@pytest.fixture
def twins(campaigns: Campaigns) -> Callable[..., tuple[Campaign, Campaign]]:
    """Measures 20 samples one by one, and 100 in 20 batches on a clock that tells the same times; a right answer is five there."""

    def run(**measurement: Any) -> tuple[Campaign, Campaign]:
        single = campaigns("single", [plan_trial([3], **measurement)], paced=True)
        batched = campaigns("batched", [plan_trial([15, 16, 17, 18, 19], count=100, batch=5, **measurement)], paced=True)
        return open_campaign(single), open_campaign(batched)

    return run


@pytest.mark.parametrize("rule", ["settled", "paper"])
def test_a_batch_is_one_time_to_every_stopping_rule(twins: Callable[..., tuple[Campaign, Campaign]], rule: str) -> None:
    checks, those_of_batches = (
        without_names(analyse(campaign, AnalysisConfig(seed=0)).rows("convergence")) for campaign in twins(rule=rule)
    )
    assert checks
    assert any(check["rjsd_total"] is not None for check in checks)
    assert those_of_batches == [
        {**check, **({} if check["quality_mean"] is None else {"quality_mean": pytest.approx(check["quality_mean"])})}
        | ({} if check["half_width"] is None else {"half_width": pytest.approx(check["half_width"])})
        for check in checks
    ]


def test_tables_over_times_are_those_of_as_many_single_samples(twins: Callable[..., tuple[Campaign, Campaign]]) -> None:
    single, batched = (analyse(campaign, AnalysisConfig(seed=0)) for campaign in twins(rounds=60))
    assert rows_of(single, "latency") == rows_of(batched, "latency")
    for table in ("prediction", "deadline"):
        assert rows_of(single, table)
        for one, other in zip(rows_of(single, table), rows_of(batched, table), strict=True):
            assert {name: pytest.approx(value, nan_ok=True) if isinstance(value, float) else value for name, value in one.items()} == other
    for one, other in zip(rows_of(single, "tail_quality"), rows_of(batched, "tail_quality"), strict=True):
        assert (one["threshold"], one["threshold_ns"], one["flags"]) == (other["threshold"], other["threshold_ns"], other["flags"])
        assert one["mean"] == pytest.approx(other["mean"])
        if one["interval_method"] == "korn-graubard" and one["metric"] == other["metric"]:
            assert dict(other["interval_parameters"]) == pytest.approx(dict(one["interval_parameters"]))
    assert single.groups[0].flags[single.records[0].trial_id] == batched.groups[0].flags[batched.records[0].trial_id]


def measured(campaigns: Campaigns, **measurement: Any) -> Campaign:
    """Return 60 rounds of 22 samples in batches of 4, the last of 2."""
    return open_campaign(campaigns("monday", [plan_trial([3], count=22, batch=4, rounds=60, **measurement)]))


@pytest.mark.parametrize("order", ["fixed", "shuffled"])
def test_every_inference_is_found_once(campaigns: Campaigns, order: str) -> None:
    campaign = measured(campaigns, order=order, raises_on=[5], max_errors=22)
    [data] = load_trials(campaign)
    assert data.inferences["total"].shape == (60, 6)
    for number, (of_samples, of_inferences) in enumerate(zip(data.times["total"], data.inferences["total"], strict=True)):
        ran = np.random.default_rng([0, number]).permutation(22) if order == "shuffled" else np.arange(22)
        assert of_inferences.tolist() == [of_samples[ran[first]] for first in range(0, 22, 4)]
        assert np.isinf(of_inferences).sum() == 1  # that of sample 5, of whose batch all samples have failed
        assert np.isinf(of_samples).sum() in (2, 4)
    [row] = [
        row
        for row in analyse(campaign, AnalysisConfig(seed=0)).tables["latency"].to_pylist()
        if (row["clock"], row["percentile"]) == ("total", 50)
    ]
    pooled = np.sort(data.inferences["total"], axis=None)
    assert (row["samples"], row["without_time"], row["value_ns"]) == (360, 60, pooled[179])
    assert row["mean_ns"] == pytest.approx(pooled[np.isfinite(pooled)].mean())
