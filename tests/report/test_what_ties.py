"""What ties: the stored difference from the best decides, else intervals; models are told apart on samples like these alone."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.comparison import on_samples
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.figures.grid import roundest
from orchestrator.report.standings import Ranking, Standing, ranking
from orchestrator.report.verdict import winners
from orchestrator.storage.reader import open_campaign

GROUP: Any = SimpleNamespace(
    task="pictures",
    thresholds=SimpleNamespace(primary=SimpleNamespace(label="5 ms", ns=5_000_000, origin="absolute")),
    trials=[SimpleNamespace(metric="top1", references=[""] * 10)],
)


def standing(system: str, mean: float, low: float, high: float, tested: dict[str, bool] | None = None, model: str = "m") -> Standing:
    names = {"model": model, "system": system, "runtime": "r", "batch": "1", "settings": ""}
    return Standing(names, (f"{model} {system}",), mean, low, high, low, 0.811, PLAIN, 1, (), tested or {})


def said(*found: Standing, like_these: frozenset[str] | None = frozenset()) -> list[str]:
    return list(winners(Ranking(GROUP, found, like_these)))


def test_a_stored_difference_decides_where_intervals_overlap() -> None:
    found = [
        standing("a", 0.808, 0.798, 0.811, {"m b": True, "m d": False}),
        standing("b", 0.794, 0.783, 0.802, {"m a": True}),
        standing("c", 0.788, 0.762, 0.802),
        standing("d", 0.787, 0.786, 0.788, {"m a": False}),
        standing("e", 0.766, 0.757, 0.774),
    ]
    assert said(*found) == [
        "pictures, m, within 5 ms: a with r keeps 0.808 of 0.811 (top1), the most; d with r ties with it; c with r is not told apart from it "
        "by their intervals. b with r keeps 0.794, 1.7 % of ideal quality less; the last, e with r, 0.766."
    ]


def test_where_nothing_is_told_apart_the_answer_says_so() -> None:
    assert said(standing("a", 0.8, 0.7, 0.9), standing("b", 0.7, 0.6, 0.8)) == [
        "pictures, m, within 5 ms: a with r keeps 0.800 of 0.811 (top1), the most; none is told apart from it, down to b with r, which keeps 0.700."
    ]


def test_a_difference_is_said_with_its_interval_where_those_of_the_two_overlap() -> None:
    best = standing("a", 0.5, 0.3, 0.6, {"m b": True})
    other = replace(standing("b", 0.4, 0.2, 0.5, {"m a": True}), less={"m a": (0.0501, 0.1499)})
    assert said(best, other)[0].endswith("b with r keeps 0.400, 12.3 % of ideal quality less (interval of the difference [0.050, 0.150]).")


def test_of_systems_that_keep_exactly_as_much_the_one_with_the_shortest_deadline_is_named() -> None:
    found = [replace(standing(name, 0.811, 0.8, 0.811), deadlines=(math.inf, ns)) for name, ns in (("a", 12.5e6), ("b", 21e6))]
    assert (
        "a with r keeps 0.811 of 0.811 (top1), the most (2 systems keep exactly as much; its observed deadline is the shortest); b"
        in said(*found, standing("c", 0.5, 0.4, 0.6))[0]
    )
    assert said(*found) == ["pictures, m, within 5 ms: all 2 systems keep 0.811 of 0.811 (top1)."]


def test_flags_of_the_best_are_named_and_the_last_is_too_with_several_models() -> None:
    flagged = replace(standing("a", 0.8, 0.79, 0.81), flags=("interrupted", "unpinned"))
    others = [standing("b", 0.7, 0.69, 0.71), standing("c", 0.6, 0.59, 0.61), standing("a", 0.5, 0.49, 0.51, model="n")]
    sentence = said(flagged, *others)[1]
    assert "(top1, flagged: interrupted, unpinned)" in sentence
    assert sentence.endswith("; the last, c with r, 0.600.")


def test_models_are_told_apart_on_samples_like_these_alone() -> None:
    one, other = standing("a", 0.8, 0.79, 0.81, model="m"), standing("a", 0.7, 0.69, 0.71, model="n")
    both = "m (a with r) top1 0.800, 98.6 % of its ideal; n (a with r) top1 0.700, 86.3 % of its ideal"
    assert said(one, other)[0] == f"pictures within 5 ms: these 10 samples cannot tell models apart: {both}."
    assert said(one, other, like_these=None)[0] == f"pictures within 5 ms: models are not tested here: {both}."
    assert said(one, other, like_these=frozenset("n"))[0] == (
        "pictures within 5 ms: m (a with r) keeps the most, top1 0.800, 98.6 % of its ideal, and would on other samples like these; "
        "next is n (a with r) top1 0.700, 86.3 % of its ideal, 12.3 % of ideal quality less."
    )


def results_of(directory: Path) -> CampaignAnalysis:
    campaign = open_campaign(directory)
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))


@pytest.mark.parametrize(("repeat", "scope"), [(1, "best of this data set"), (3, "best of fresh processes")])
def test_what_ties_is_what_the_stored_difference_from_the_best_says(repeat: int, scope: str, tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r", rounds=8, repeat=repeat))
    [group] = results.groups
    found = ranking(results, group).found
    rows = [row for row in results.rows("comparison") if row["threshold_ns"] == 14_000_000 and row["scope"] == scope]
    assert len(rows) == len(found) - 1
    by_trial = {trial: one for one in found for trial in one.trials}
    for row in rows:
        one, baseline = by_trial[row["trial"]], by_trial[row["baseline"]]
        assert baseline is found[0]
        within = row["interval_low"] <= 0 <= row["interval_high"] if repeat == 1 else row["verdict"] == "no difference shown"
        assert one.is_compared(baseline)
        assert baseline.is_compared(one)
        assert one.ties(baseline) == baseline.ties(one) == within
    one, other = (next(data for data in group.trials if data.trial_id == each.trials[0]) for each in found[:2])
    primary = group.thresholds.primary
    assert primary is not None
    difference = on_samples(other, one, primary, seed=0)
    assert difference is not None
    if repeat == 1:
        assert difference.difference == pytest.approx(found[0].mean - found[1].mean)


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
