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
from orchestrator.report.claims import from_the_best_tables
from orchestrator.report.figures.grid import roundest
from orchestrator.report.standings import Less, Ranking, Standing, ranking, rests_on
from orchestrator.report.winners import winners
from orchestrator.storage.reader import open_campaign

TASK: Any = SimpleNamespace(limit=10)
GROUP: Any = SimpleNamespace(
    task="pictures",
    thresholds=SimpleNamespace(primary=SimpleNamespace(label="5 ms", ns=5_000_000, origin="absolute")),
    trials=[SimpleNamespace(metric="top1", references=[""] * 10, record=SimpleNamespace(trial=SimpleNamespace(task=TASK)))],
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
        "pictures, m, within 5 ms: tie of 3 of 5 systems at 0.808 to 0.787 of 0.811, 1 by intervals alone (top1): a with r, c with r, d with r. "
        "Behind: b with r at 0.794, 0.014 less (1.7 % of ideal quality); the last, e with r, at 0.766."
    ]


def test_a_tie_is_said_first_where_nothing_wins() -> None:
    assert said(standing("a", 0.8, 0.7, 0.9), standing("b", 0.7, 0.6, 0.8)) == [
        "pictures, m, within 5 ms: tie of both systems at 0.800 to 0.700 of 0.811, by intervals alone (top1): a with r, b with r."
    ]


def test_a_winner_is_said_with_the_difference_to_the_next_and_its_interval() -> None:
    best = standing("a", 0.5, 0.3, 0.6, {"m b": True})
    other = replace(standing("b", 0.4, 0.2, 0.5, {"m a": True}), less={"m a": Less(0.0501, 0.1499)})
    assert said(best, other) == [
        "pictures, m, within 5 ms: a with r keeps 0.500 of 0.811 (top1), the most. "
        "Behind: b with r at 0.400, 0.100 [0.050, 0.150] less (12.3 % of ideal quality)."
    ]
    assert said(replace(best, tested={}), replace(other, tested={}, low=0.1, high=0.2))[0].endswith("0.100 less (12.3 % of ideal quality).")


def test_where_a_test_shows_a_difference_its_limits_agree_though_the_interval_holds_0() -> None:
    best = standing("a", 0.9, 0.89, 0.91, {"m b": True})
    other = replace(standing("b", 0.892, 0.89, 0.9, {"m a": True}), less={"m a": Less(-0.0003, 0.0166, "p 0.0041 with all pairs counted")})
    sentence = said(best, other)[0]
    assert sentence.endswith("0.008 less, above 0 and at most 0.017 (1.0 % of ideal quality).")
    row = {"scope": "best of fresh processes", "verdict": "worse", "parameters": [("p_worse", 0.0041), ("p_better", 1.0)]}
    assert rests_on(row) == "p 0.0041 with all pairs counted"
    assert not rests_on({**row, "verdict": "no difference shown"})


def test_of_systems_that_keep_exactly_as_much_the_one_with_the_shortest_deadline_is_named_first() -> None:
    found = [replace(standing(name, 0.811, 0.8, 0.811), deadlines=(math.inf, ns)) for name, ns in (("a", 12.5e6), ("b", 21e6))]
    near = standing("c", 0.8105, 0.8, 0.811)
    assert said(*found, near, standing("d", 0.5, 0.4, 0.6))[0] == (
        "pictures, m, within 5 ms: tie of 3 of 4 systems at 0.811 to 0.810 of 0.811, 2 of them exactly, by intervals alone (top1): "
        "a with r (first by its observed deadline), b with r, c with r. Behind: d with r at 0.500, 0.311 less (38.3 % of ideal quality)."
    )
    assert said(*found) == [
        "pictures, m, within 5 ms: tie of both systems at 0.811 of 0.811, exactly (top1): a with r (first by its observed deadline), b with r."
    ]


def test_a_flag_stands_beside_every_figure_that_has_it_and_once_where_all_have_it() -> None:
    best = replace(standing("a", 0.8, 0.79, 0.81), flags=("interrupted", "unpinned", "drift"))
    middle = replace(standing("b", 0.7, 0.69, 0.71), flags=("unpinned", "drift"))
    last = replace(standing("c", 0.6, 0.59, 0.61), flags=("unpinned",))
    assert said(best, middle, last, standing("a", 0.5, 0.49, 0.51, model="n"))[1] == (
        "m within 5 ms: a with r keeps 0.800 of 0.811 (top1, flagged: interrupted, drift), the most. "
        "Behind: b with r at 0.700 (flagged: drift), 0.100 less (12.3 % of ideal quality); the last, c with r, at 0.600. "
        "All 3 flagged: unpinned."
    )
    alike = replace(middle, mean=0.795, low=0.79, high=0.81)
    assert "(top1, flagged among them: interrupted, drift): a with r, b with r" in said(best, alike, last)[0]
    assert said(best, middle)[0].endswith(" Both flagged: unpinned, drift.")


def test_models_are_told_apart_on_samples_like_these_alone() -> None:
    one, other = standing("a", 0.8, 0.79, 0.81, model="m"), standing("a", 0.7, 0.69, 0.71, model="n")
    both = "on a with r, m top1 0.800 of its 0.811; n top1 0.700 of its 0.811"
    assert said(one, other)[0] == (
        "pictures within 5 ms: on a with r, m top1 0.800 of its 0.811, the most for these 10 samples. Behind: n top1 0.700 of its 0.811, "
        "0.100 less (12.3 % of ideal quality). Other samples like these: not shown; task.limit above 10 adds some."
    )
    elsewhere = replace(other, names={**other.names, "system": "b"})
    assert (
        "models were not tested against each other: m (a with r) top1 0.800 of its 0.811; n (b with r) top1 0.700"
        in said(one, elsewhere, like_these=None)[0]
    )
    near = replace(other, mean=0.795, low=0.79, high=0.8)
    assert said(one, near)[0].startswith(
        "pictures within 5 ms: tie of both models, no difference shown for these 10 samples: on a with r, m "
    )
    assert said(one, near)[0].endswith(". Other samples like these: not shown; task.limit above 10 adds some.")
    assert "all 3 models" not in (sentence := said(one, near, replace(other, names={**other.names, "model": "o"}, trials=("o a",)))[0])
    assert "tie of 2 of 3 models, no difference shown for these 10 samples (o keeps less on them): on a with r" in sentence
    assert said(one, other, like_these=None)[0] == f"pictures within 5 ms: models were not tested against each other: {both}."
    assert said(one, other, like_these=frozenset("n"))[0] == (
        "pictures within 5 ms: on a with r, m top1 0.800 of its 0.811, the most for these 10 samples. "
        "Behind: n top1 0.700 of its 0.811, 0.100 less (12.3 % of ideal quality). Other samples like these: shown."
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
    [table] = from_the_best_tables(results)
    assert [cells[-1].startswith("not shown") for cells in table.rows] == [by_trial[row["trial"]].ties(found[0]) for row in rows]
    assert {cells[-1].partition(" by its test")[0] for cells in table.rows} <= {"shown", "not shown"}
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
