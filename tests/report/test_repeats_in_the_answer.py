"""With repeats the answer names what every process keeps; without them, the command that would show what processes differ by."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.report.figures.reading import readings
from orchestrator.report.html.first_screen import first_screen
from orchestrator.report.html.glossary import flag_words
from orchestrator.report.markdown import to_report
from orchestrator.report.pasted import Command, measured_again
from orchestrator.report.standings import Ranking, Standing, ranking, rankings
from orchestrator.report.text import milliseconds
from orchestrator.report.verdict import repeats_needed, verdict
from orchestrator.storage.reader import open_campaign


def results_of(directory: Path) -> CampaignAnalysis:
    campaign = open_campaign(directory)
    return analyse(campaign, campaign.record.config.analysis)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    return results_of(measure_small(tmp_path_factory.mktemp("repeated") / "r", rounds=8, repeat=3))


def kept(results: CampaignAnalysis) -> list[str]:
    [reading] = readings(results, {})
    flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading))
    return list(first_screen(reading, results, flags, ranking(results, reading.group)).kept)


def all_flags(reading: Any) -> set[str]:
    return {flag for curve in reading.curves.values() for flags in curve.flags for flag in flags}


def test_the_deadline_that_is_named_is_kept_in_every_process(repeated: CampaignAnalysis) -> None:
    rows = [row for row in repeated.tables["deadline"].to_pylist() if (row["clock"], row["reference"]) == ("total", "own")]
    systems: dict[str, list[int]] = {}
    for row in rows:
        systems.setdefault(row["match_key"], []).append(row["observed_ns"])
    assert all(len(of_system) == 3 for of_system in systems.values())
    worst = min(max(of_system) for of_system in systems.values())
    assert worst != min(min(of_system) for of_system in systems.values())  # or the best process would be named as well
    [sentence] = kept(repeated)
    assert f"from {milliseconds(worst)} on in each of 3 processes" in sentence
    assert "repeat" not in sentence


def test_a_process_that_keeps_no_deadline_speaks_for_its_system(repeated: CampaignAnalysis) -> None:
    table = repeated.tables["deadline"]
    rows = table.to_pylist()
    best = min((row for row in rows if (row["clock"], row["reference"]) == ("total", "own")), key=lambda row: row["observed_ns"])
    for row in rows:
        if row["trial"] == best["trial"]:
            row["observed_ns"] = None
    changed = replace(repeated, tables={**repeated.tables, "deadline": type(table).from_pylist(rows, schema=table.schema)})
    [sentence] = kept(changed)
    assert best["system"] not in sentence


def test_whether_it_is_shown_knows_what_ties(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", repeat=3))
    repeated = analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))
    [reading] = readings(repeated, {})
    flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading))
    best, other = ranking(repeated, reading.group).found
    apart, alike = replace(other, low=best.low - 0.2, high=best.low - 0.1), replace(other, low=best.low - 0.1, high=best.low)

    def shown(*found: Standing) -> str:
        return first_screen(reading, repeated, flags, Ranking(reading.group, found)).shown[0]

    assert shown(best, apart) == "Yes, for processes started anew: every mean is over 3 of them."
    assert shown(best, alike, apart) == "Yes, for processes started anew, but for what ties: every mean is over 3 of them."
    assert shown(best, alike) == "No: all of them tie, so that these data show no difference."
    first, second = replace(best, processes=1), replace(apart, processes=1)
    assert shown(first, second).startswith(
        "For these processes yes. For processes started anew not yet. numbers: each trial is one process."
    )
    assert shown(first, replace(alike, processes=1)).startswith(
        "No: all of them tie, so that these data show no difference. numbers: each "
    )
    of_other_model = replace(apart, names={**apart.names, "model": "other"})
    assert shown(best, of_other_model) == "Yes, for processes started anew: every mean is over 3 of them."


def test_what_repeats_would_show_is_a_whole_command(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r"))
    said = list(verdict(results))
    assert [sentence for sentence in said if isinstance(sentence, Command)] == [
        "python -m orchestrator +sweep=small model=null measurement.repeat=5"
    ]
    assert said[said.index(str(measured_again(("+sweep=small", "model=null"), "measurement.repeat=5"))) - 1].endswith("repeats show:")
    assert "\n  `python -m orchestrator +sweep=small model=null measurement.repeat=5`\n" in to_report(results)
    unknown = replace(results, commands=())
    assert [sentence.partition("show: ")[2] for sentence in repeats_needed(unknown, rankings(unknown))] == [
        "measure again with measurement.repeat=5."
    ]
    several = replace(results, commands=(("+sweep=small", "results_dir=a"), ("+sweep=large",), ("+sweep=small",)))
    assert list(repeats_needed(several, rankings(several)))[1:] == [
        "python -m orchestrator +sweep=small measurement.repeat=5",
        "python -m orchestrator +sweep=large measurement.repeat=5",
    ]


def test_a_stranger_s_word_is_no_command() -> None:
    assert measured_again(("run", "+sweep=mine", "$(x)", "code=[a]", "results_dir=r", "-m")) == (
        "python -m orchestrator +sweep=mine KEY=VALUE 'code=[a]' -m"
    )


def test_a_stranger_s_value_stands_in_quotes_unless_it_could_be_a_command() -> None:
    words = ("+sweep=mine", 'analysis.primary="20 ms"', "task.folder='it is'", "model.labels={a: 1}", "$(x)", "a=$(x)", "a=`x`", "a=x;y")
    command = measured_again((*words, "a=x|y", "a=x\ny", "a=\u3164", "a=\x1b[m", "; x=1", "a=x\u202ey"))
    assert shlex.split(command) == ["python", "-m", "orchestrator", *words[:4], *["KEY=VALUE"] * 10]
