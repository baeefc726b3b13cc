"""What ties: the stored difference from the best decides alone; models are told apart on samples like these alone."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.report.claims import from_the_best_tables
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.curves import roundest
from orchestrator.analysis.ranking import Less, Ranking, Standing, ranking, rests_on
from orchestrator.analysis.turns import on_samples
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.answer import answers
from orchestrator.report.text import milliseconds
from orchestrator.report.winners import winners
from orchestrator.stats.latency import percentile_inverted_cdf
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


def test_the_tie_ends_at_the_first_system_that_is_shown_worse() -> None:
    found = [
        standing("a", 0.808, 0.798, 0.811),
        standing("d", 0.797, 0.786, 0.798, {"m a": False}),
        standing("b", 0.794, 0.783, 0.802, {"m a": True}),
        standing("c", 0.788, 0.762, 0.802, {"m a": False}),
        standing("e", 0.766, 0.757, 0.774),
    ]
    assert said(*found) == [
        "pictures, m, within 5 ms: tie of 2 of 5 systems at 0.808 to 0.797 of 0.811 (top1): a with r, d with r. "
        "Behind: b with r at 0.794, 0.014 less (1.7 % of ideal quality); the last, c with r, at 0.788. Not tested against it: e with r."
    ]


def test_a_tie_is_said_first_where_nothing_wins() -> None:
    best, other = standing("a", 0.8, 0.7, 0.9), standing("b", 0.7, 0.6, 0.8, {"m a": False})
    assert said(best, other) == ["pictures, m, within 5 ms: tie of both systems at 0.800 to 0.700 of 0.811 (top1): a with r, b with r."]
    assert said(best, replace(other, tested={})) == [
        "pictures, m, within 5 ms: a with r keeps 0.800 of 0.811 (top1). Not tested against it: b with r."
    ]


def test_a_winner_is_said_with_the_difference_over_common_visits_and_its_limits() -> None:
    """The means are of all rounds, and so may miss the limits."""
    best = standing("a", 0.5, 0.3, 0.6)
    other = replace(standing("b", 0.4, 0.2, 0.5, {"m a": True}), less={"m a": Less(0.16, 0.1101, 0.2099)})
    assert said(best, other) == [
        "pictures, m, within 5 ms: a with r keeps 0.500 of 0.811 (top1), the most. "
        "Behind: b with r at 0.400, 0.160 [0.110, 0.210] less over common visits (19.7 % of ideal quality)."
    ]


def test_where_a_test_shows_a_difference_its_limits_agree_though_the_interval_holds_0() -> None:
    best = standing("a", 0.9, 0.89, 0.91)
    less = Less(0.008, -0.0003, 0.0166, "p 0.0041 with all pairs counted")
    sentence = said(best, replace(standing("b", 0.892, 0.89, 0.9, {"m a": True}), less={"m a": less}))[0]
    assert sentence.endswith("0.008 less, above 0 and at most 0.017 (1.0 % of ideal quality).")
    row = {"scope": "best of fresh processes", "verdict": "worse", "parameters": [("p_adjusted", 0.0041)]}
    assert rests_on(row) == "p 0.0041 with all pairs counted"
    assert not rests_on({**row, "verdict": "no difference shown"})


def test_without_a_deadline_the_answer_asks_for_one(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r"))
    results = analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": None}))
    found = ranking(results, results.groups[0])
    assert (found.found, list(answers([found]))) == ((), [])
    found_p95s = (percentile_inverted_cdf(data.inferences["total"], 95) for data in results.groups[0].trials)
    p95s = sorted(filter(math.isfinite, found_p95s))
    assert list(winners(found)) == [
        f"""numbers: No common deadline: add 'analysis.primary="{float(f"{math.sqrt(p95s[0] * p95s[-1]) / 1e6:.2g}"):g} ms"' """
        f"to rank systems (observed p95: {' to '.join(dict.fromkeys(map(milliseconds, (p95s[0], p95s[-1]))))})."
    ]


def test_of_systems_that_keep_exactly_as_much_the_one_with_the_shortest_deadline_is_named_first() -> None:
    found = [
        replace(standing(name, 0.811, 0.8, 0.811, {"m a": False}), deadlines=(math.inf, ns)) for name, ns in (("a", 12.5e6), ("b", 21e6))
    ]
    near = standing("c", 0.8105, 0.8, 0.811, {"m a": False})
    assert said(*found, near, standing("d", 0.5, 0.4, 0.6, {"m a": True}))[0] == (
        "pictures, m, within 5 ms: tie of 3 of 4 systems at 0.811 to 0.810 of 0.811, 2 of them exactly (top1): "
        "a with r (first by its observed deadline), b with r, c with r. Behind: d with r at 0.500, 0.311 less (38.3 % of ideal quality)."
    )
    assert said(*found) == [
        "pictures, m, within 5 ms: tie of both systems at 0.811 of 0.811, exactly (top1): a with r (first by its observed deadline), b with r."
    ]


def test_a_flag_stands_beside_every_figure_that_has_it_and_once_where_all_have_it() -> None:
    best = replace(standing("a", 0.8, 0.79, 0.81), flags=("interrupted", "unpinned", "drift"))
    middle = replace(standing("b", 0.7, 0.69, 0.71, {"m a": True}), flags=("unpinned", "drift"))
    last = replace(standing("c", 0.6, 0.59, 0.61, {"m a": True}), flags=("unpinned",))
    assert said(best, middle, last, standing("a", 0.5, 0.49, 0.51, model="n"))[1] == (
        "m within 5 ms: a with r keeps 0.800 of 0.811 (top1, flagged: interrupted, drift), the most. "
        "Behind: b with r at 0.700 (flagged: drift), 0.100 less (12.3 % of ideal quality); the last, c with r, at 0.600. "
        "All 3 flagged: unpinned."
    )
    alike = replace(middle, mean=0.795, low=0.79, high=0.81, tested={"m a": False})
    assert "(top1, flagged among them: interrupted, drift): a with r, b with r" in said(best, alike, last)[0]
    assert said(best, middle)[0].endswith(" Both flagged: unpinned, drift.")


def test_models_are_told_apart_on_samples_like_these_alone() -> None:
    one, other = standing("a", 0.8, 0.79, 0.81, model="m"), standing("a", 0.7, 0.69, 0.71, {"m a": True}, model="n")
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
    near = replace(other, mean=0.795, low=0.79, high=0.8, tested={"m a": False})
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


def test_a_system_of_another_model_that_was_not_tested_is_in_no_tie() -> None:
    one, other = standing("a", 0.8, 0.79, 0.81, model="m"), standing("a", 0.7, 0.69, 0.81, model="n")
    assert said(one, other)[0].startswith("pictures within 5 ms: models were not tested against each other: ")


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
        assert one.tested == {baseline.trials[0]: row["verdict"] == "worse"}
        assert one.less[baseline.trials[0]].difference == -row["difference"]
    [table] = from_the_best_tables(results)
    assert [cells[-1].startswith("not shown") for cells in table.rows] == [row["verdict"] == "no difference shown" for row in rows]
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
