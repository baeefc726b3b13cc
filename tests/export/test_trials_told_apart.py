"""Trials that differ in nothing but a setting, and data sets that differ under one name."""

import pytest
from visions import Campaigns, plan_trial

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.ranking import rankings
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.report.findings.campaign import findings
from orchestrator.report.markdown import to_report
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow

AT = AnalysisConfig(primary="22 ms")


def test_settings_stand_beside_equal_names(campaigns: Campaigns) -> None:
    trials = [plan_trial(wrong, rounds=8) for wrong in ([3], [4], [3, 7])]  # the last model has another name
    campaign = open_campaign(campaigns("settings", trials))
    results = analyse(campaign, AT)
    (group,) = results.groups
    assert list(group.settings.values()) == ["model.wrong=[3]", "model.wrong=[4]", ""]
    text = to_report(results)
    assert "| null1 | cpu_all | torch | model.wrong=[3] |" in text
    assert "| null1 | cpu_all | torch | model.wrong=[4] |" in text
    assert "| null2 | cpu_all | torch |  |" in text


def test_the_answer_ranks_systems_and_not_their_repeats(campaigns: Campaigns) -> None:
    trials = [plan_trial([3], repeat=number, rounds=16, batch=batch) for batch in (1, 2) for number in range(3)]
    campaign = open_campaign(campaigns("repeats", trials))
    results = analyse(campaign, AT)
    found = {one.kind: one.values for one in findings(results, rankings(results))}
    assert (found["winner"]["processes"], found["winner"]["systems"], found["winner"]["tied"]) == (3, 2, 1)
    assert (found["winner"]["name"], found["runner_up"]["name"]) == ("batch 1", "batch 2")
