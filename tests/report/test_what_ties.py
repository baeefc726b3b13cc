"""What ties: the stored difference from the best decides alone; models are told apart on samples like these alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.curves import roundest
from orchestrator.analysis.ranking import ranking
from orchestrator.analysis.turns import on_samples
from orchestrator.report.result_tables import shown
from orchestrator.storage.reader import open_campaign


def test_what_ties_is_what_the_stored_difference_from_the_best_says(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", rounds=8, repeat=3))
    results = analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))
    [group] = results.groups
    found = ranking(results, group).found
    rows = [row for row in results.rows("comparison") if (row["threshold_ns"], row["scope"]) == (14_000_000, "best of fresh processes")]
    assert len(rows) == len(found) - 1
    by_trial = {trial: one for one in found for trial in one.trials}
    for row in rows:
        one, baseline = by_trial[row["trial"]], by_trial[row["baseline"]]
        assert baseline is found[0]
        assert {trial: less.shown for trial, less in one.less.items()} == {baseline.trials[0]: row["verdict"] == "worse"}
        assert one.less[baseline.trials[0]].difference == -row["difference"]
    [table] = shown(results, "from_the_best")
    assert [cells[-1] for cells in table.rows] == [row["verdict"] for row in rows]
    primary = group.thresholds.primary
    assert primary is not None
    sides = [[data for data in group.trials if data.trial_id in each.trials] for each in found[:2]]
    difference = on_samples(*sides, primary)
    assert difference is not None
    assert on_samples(sides[0][:1], sides[1][:1], primary) is None, "single processes of no common visits are not compared"


@given(st.floats(1e4, 1e8), st.floats(1.5, 1e4), st.integers(3, 60))
def test_deadlines_between_the_common_ones_are_round(low: float, ratio: float, count: int) -> None:
    places = np.geomspace(low, low * ratio, count)
    found = roundest(places)
    assert (found[0], found[-1]) == (places[0], places[-1])
    assert all(one < other for one, other in pairwise(found))
    assert all(one <= round_one <= other for one, round_one, other in zip(places[:-2], found[1:-1], places[2:], strict=True))
    if ratio > 100 and count > 30:
        power = 10 ** np.ceil(np.log10(places[1]))
        assert power in found


def test_thirty_milliseconds_is_computed_and_not_what_is_next_to_it() -> None:
    assert 30e6 in roundest(np.geomspace(8.7e6, 131.2e6, 48))
