"""With repeats the answer names what every process keeps; without them, the command that would show what processes differ by."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.ranking import ranking
from orchestrator.analysis.reading import readings
from orchestrator.report.charts import charts_of
from orchestrator.report.html.page import kept_by_system
from orchestrator.report.pasted import measured_again
from orchestrator.storage.reader import open_campaign


def results_of(directory: Path) -> CampaignAnalysis:
    campaign = open_campaign(directory)
    return analyse(campaign, campaign.record.config.analysis)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    return results_of(measure_small(tmp_path_factory.mktemp("repeated") / "r", primary="14 ms", rounds=8, repeat=3))


@pytest.fixture(scope="module")
def ranked_at(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    campaign = open_campaign(measure_small(tmp_path_factory.mktemp("ranked") / "r", primary="14 ms", rounds=8, repeat=3))
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))


def test_a_stranger_s_word_is_no_command() -> None:
    assert measured_again(("run", "+sweep=mine", "$(x)", "code=[a]", "results_dir=r", "-m")) == (
        "python -m orchestrator +sweep=mine KEY=VALUE 'code=[a]' -m"
    )


def test_a_command_names_no_cluster_that_may_be_gone_and_no_key_twice() -> None:
    words = (
        "+sweep=mine",
        "cluster=address",
        "cluster.address=10.0.0.1:6379",
        "cluster.machines=node",
        "cluster.machines=node",
        "-m",
        "-m",
    )
    assert measured_again(words, "measurement.repeat=5") == (
        "python -m orchestrator +sweep=mine cluster=address cluster.address=HOST:PORT cluster.machines=node -m measurement.repeat=5"
    )


def test_a_stranger_s_value_stands_in_quotes_unless_it_could_be_a_command() -> None:
    words = ("+sweep=mine", 'analysis.primary="20 ms"', "task.folder='it is'", "model.labels={a: 1}", "$(x)", "a=$(x)", "b=`x`", "c=x;y")
    command = measured_again((*words, "d=x|y", "e=x\ny", "f=\u3164", "g=\x1b[m", "; x=1", "h=x\u202ey"))
    assert shlex.split(command) == ["python", "-m", "orchestrator", *words[:4], *["KEY=VALUE"] * 10]


def test_a_line_of_the_page_is_a_system_with_the_figures_of_the_answer(ranked_at: CampaignAnalysis) -> None:
    [reading] = readings(ranked_at)
    found = ranking(ranked_at, reading.group).found
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
