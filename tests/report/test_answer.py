"""The answer: names that differ, what is kept with its interval, marks, ties and repeats."""

import shlex
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.curves import roundest
from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.ranking import Ranking, Standing, ranking
from orchestrator.analysis.reading import readings
from orchestrator.analysis.turns import on_samples
from orchestrator.report.charts import charts_of
from orchestrator.report.html.page import kept_by_system
from orchestrator.report.pasted import measured_again
from orchestrator.report.result_tables import answers, shown
from orchestrator.report.table import Table, condensed
from orchestrator.storage.reader import open_campaign


def standing(mean: float, low: float, high: float, *, processes: int = 1, flags: tuple[str, ...] = (), **names: str) -> Standing:
    known = {"model": "m", "system": "s", "runtime": "r", "batch": "1", "settings": ""} | names
    return Standing(known, ("id",), mean, low, high, low, 0.9, JudgedMean(np.array([0.9])), processes, flags)


def ranked(*found: Standing) -> list[Ranking]:
    primary = SimpleNamespace(label="50 ms", ns=50_000_000, origin="absolute")
    thresholds = SimpleNamespace(primary=primary)
    data = SimpleNamespace(metric="top1", record=SimpleNamespace(trial=None))
    group = SimpleNamespace(task="numbers", trials=[data], thresholds=thresholds)
    return [Ranking(cast("Any", group), found)]


def test_a_row_has_the_names_that_differ_and_the_figures_as_they_are_rounded() -> None:
    found = standing(0.8655, 0.8501, 0.9, system="a"), standing(0.5, 0.41, 0.58, system="b", flags=("drift",))
    (table,) = answers(ranked(*found))
    assert list(table.columns) == ["system", "kept", "95 % interval", "worst round", "ideal", "flags"]
    assert [list(row) for row in table.rows] == [
        ["a", "0.866", "[0.850, 0.900]", "0.850", "0.900", ""],
        ["b", "0.500", "[0.410, 0.580]", "0.410", "0.900", "a, b"],
    ]
    assert table.right == {"kept", "95 % interval", "worst round", "ideal"}
    assert table.note.startswith("(a) drift: ")


def test_processes_are_a_column_where_a_system_has_several_and_marks_where_one_has_any() -> None:
    (table,) = answers(ranked(standing(0.9, 0.89, 0.9, processes=3), standing(0.8, 0.79, 0.81, system="t")))
    assert list(table.columns)[-2:] == ["ideal", "processes"]
    assert [row[-1] for row in table.rows] == ["3", "1"]
    assert list(answers(ranked())) == []


def test_columns_in_which_rows_are_equal_stand_in_the_note() -> None:
    table = Table("t", ["trial", "host", "why"], [["a", "vm", ""], ["b", "vm", ""]], "More.", frozenset(["host"]))
    made = condensed(table, ["trial"])
    assert (made.columns, made.rows, made.note) == (["trial"], [["a"], ["b"]], "In all: host vm. More.")
    alone = Table("t", ["trial", "host"], [["a", "vm"]])
    assert condensed(alone, ["trial"]) is alone


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    campaign = open_campaign(measure_small(tmp_path_factory.mktemp("repeated") / "r", primary="14 ms", rounds=8, repeat=3))
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))


def test_a_stranger_s_value_stands_in_quotes_unless_it_could_be_a_command() -> None:
    words = ("+sweep=mine", 'analysis.primary="20 ms"', "task.folder='it is'", "model.labels={a: 1}", "$(x)", "a=$(x)", "b=`x`", "c=x;y")
    command = measured_again((*words, "d=x|y", "e=x\ny", "f=\u3164", "g=\x1b[m", "; x=1", "h=x\u202ey"))
    assert shlex.split(command) == ["python", "-m", "orchestrator", *words[:4], *["KEY=VALUE"] * 10]


def test_a_line_of_the_page_is_a_system_with_the_figures_of_the_answer(repeated: CampaignAnalysis) -> None:
    [reading] = readings(repeated)
    found = ranking(repeated, reading.group).found
    assert len(reading.entries) == 3 * len(reading.systems) == 3 * len(found)
    grid = reading.grids[reading.clock]
    for one in found:
        [system] = [entry for entry in reading.systems if entry.members[0].key == one.trials[0]]
        curve = reading.curves[reading.clock, system.key]
        at = (curve.mean, curve.low, curve.high, curve.worst)
        assert [values[grid.start] for values in at] == pytest.approx([one.mean, one.low, one.high, one.worst])
        assert reading.times[reading.clock, system.key].size == sum(reading.times[reading.clock, key].size for key in one.trials)


def test_a_system_keeps_the_longest_deadline_of_its_processes(repeated: CampaignAnalysis) -> None:
    [reading] = readings(repeated)
    rows = [row for row in repeated.rows("deadline") if (row["clock"], row["reference"]) == ("total", "own")]
    for key, (_, observed) in kept_by_system(reading, "total").items():
        assert observed == max(row["observed_ns"] for row in rows if row["match_key"] == key)


def test_figures_draw_a_line_per_system_and_the_page_knows_no_other_names(repeated: CampaignAnalysis) -> None:
    [reading] = readings(repeated)
    keys = reading.short_keys()
    assert set(keys.values()) == {f"e{number + 1}" for number in range(len(reading.systems))}
    drawn = {chart.name: chart.spec["data"]["values"] for chart in charts_of(reading)}
    assert {row["k"] for name in ("tail-quality", "rounds", "density") for row in drawn[name]} == set(keys.values())
    faint = [row["faint"] for row in drawn["tail-quality"] if row["clock"] == "total"]
    assert faint == [False, True, True, True] * len(reading.systems)


def test_what_ties_is_what_the_stored_difference_from_the_best_says(repeated: CampaignAnalysis) -> None:
    [group] = repeated.groups
    found = ranking(repeated, group).found
    rows = [row for row in repeated.rows("comparison") if (row["threshold_ns"], row["scope"]) == (14_000_000, "best of fresh processes")]
    assert len(rows) == len(found) - 1
    by_trial = {trial: one for one in found for trial in one.trials}
    for row in rows:
        one, baseline = by_trial[row["trial"]], by_trial[row["baseline"]]
        assert baseline is found[0]
        assert {trial: less.shown for trial, less in one.less.items()} == {baseline.trials[0]: row["verdict"] == "worse"}
        assert one.less[baseline.trials[0]].difference == -row["difference"]
    [table] = shown(repeated, "from_the_best")
    assert [cells[-1] for cells in table.rows] == [row["verdict"] for row in rows]
    primary = group.thresholds.primary
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
