"""With repeats the answer names what every process keeps; without them, the command that would show what processes differ by."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.report.figures.charts import charts_of
from orchestrator.report.figures.charts.quality import curve_chart
from orchestrator.report.figures.reading import readings
from orchestrator.report.html.first_screen import KeptFrom, differs_at, first_screen, is_shown
from orchestrator.report.html.glossary import flag_words
from orchestrator.report.html.ranking import kept_deadlines, ranked_rows
from orchestrator.report.markdown import to_report
from orchestrator.report.pasted import Command, measured_again
from orchestrator.report.result_tables import trouble_tables
from orchestrator.report.standings import Ranking, Standing, apart_by, ranking, rankings
from orchestrator.report.table import bound
from orchestrator.report.text import milliseconds, quality
from orchestrator.report.verdict import repeats_needed, verdict, what_next
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord


def results_of(directory: Path) -> CampaignAnalysis:
    campaign = open_campaign(directory)
    return analyse(campaign, campaign.record.config.analysis)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    return results_of(measure_small(tmp_path_factory.mktemp("repeated") / "r", rounds=8, repeat=3))


@pytest.fixture(scope="module")
def ranked_at(tmp_path_factory: pytest.TempPathFactory) -> CampaignAnalysis:
    campaign = open_campaign(measure_small(tmp_path_factory.mktemp("ranked") / "r", rounds=8, repeat=3))
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))


def kept(results: CampaignAnalysis) -> list[str]:
    [reading] = readings(results, {})
    flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading))
    return [one.text for one in first_screen(reading, results, flags, ranking(results, reading.group)).kept[Clock.TOTAL]]


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


def test_the_deadline_is_that_of_the_best_and_another_s_is_called_so(ranked_at: CampaignAnalysis) -> None:
    best, *others = ranking(ranked_at, ranked_at.groups[0]).found
    table = ranked_at.tables["deadline"]
    rows = table.to_pylist()
    for row in rows:
        row["certified"], row["observed_ns"] = False, 9_000_000 if row["trial"] in best.trials else 3_000_000
    changed = replace(ranked_at, tables={**ranked_at.tables, "deadline": type(table).from_pylist(rows, schema=table.schema)})
    [sentence] = kept(changed)
    own, other = sentence.split("; another, ")
    assert best.names["system"] in own
    assert ", the best, kept 99 % of its ideal quality from 9.00 ms on in each of 3 processes" in own
    assert "kept 99 % from 3.00 ms on in each of 3 processes" in other
    assert any(one.names["system"] in other for one in others)


def test_what_is_doubtful_is_said_of_systems_and_not_of_their_processes(ranked_at: CampaignAnalysis) -> None:
    [reading] = readings(ranked_at, {})
    flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading))
    ranked = ranking(ranked_at, reading.group)
    found = (replace(ranked.found[0], low=0.0, high=1.0), *(replace(one, low=one.mean, high=one.mean) for one in ranked.found[1:]))
    screen = first_screen(reading, ranked_at, flags, replace(ranked, found=found))
    doubts = screen.doubts
    label = next(entry.system_label for entry in reading.entries if entry.key == found[0].trials[0])
    assert [doubt.whose for doubt in doubts if doubt.word.term == "unsteady"] == [label]
    assert not any("repeat" in doubt.whose for doubt in doubts)


def test_a_list_of_tasks_names_the_system_its_deadline_and_the_rounds_that_could_certify_it(ranked_at: CampaignAnalysis) -> None:
    table = ranked_at.tables["deadline"]

    def brief(**columns: Any) -> KeptFrom:
        rows = [row | columns for row in table.to_pylist()]
        changed = replace(ranked_at, tables={**ranked_at.tables, "deadline": type(table).from_pylist(rows, schema=table.schema)})
        [reading] = readings(changed, {})
        flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading))
        [found] = first_screen(reading, changed, flags, ranking(changed, reading.group)).brief
        return found

    seen: dict[str, Any] = {"certified": False, "observed_ns": 9_000_000, "flags": [], "more_rounds": 112}
    found = brief(**seen)
    assert (found.ns, found.text) == (9_000_000, "9.00 ms observed, not certified (112 more rounds a process could do it)")
    assert found.label == ranking(ranked_at, ranked_at.groups[0]).found[0].names["system"]
    assert [found.late(ns) for ns in (8_999_999, 9_000_000)] == [True, False]
    assert brief(**{**seen, "flags": ["unpinned"]}).text == "9.00 ms observed, not certified", "no number of rounds takes a flag away"
    assert brief(**{**seen, "certified": True, "deadline_ns": 9_500_000}).text == "9.50 ms certified"
    never = brief(**{**seen, "observed_ns": None})
    assert (never.ns, never.text, never.late(1)) == (None, "none", False)


def test_the_command_keeps_the_deadline_that_is_in_use(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r"))
    at = replace(results, analysis=results.analysis.model_copy(update={"primary": "14 ms"}))
    assert list(repeats_needed(at, rankings(at)))[1:] == [
        "python -m orchestrator +sweep=small model=null measurement.repeat=5 'analysis.primary=\"14 ms\"'"
    ]


def test_an_unfinished_campaign_is_gone_on_with_before_anything_is_measured_anew(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r"))
    first, *others = results.campaign.trials
    trials = (first.model_copy(update={"state": "interrupted"}), *(one.model_copy(update={"state": "planned"}) for one in others))
    begun = replace(results, campaign=results.campaign.model_copy(update={"trials": trials}))
    told = list(what_next(begun, rankings(begun)))
    assert told[0] == f"This campaign is not finished: of {len(trials)} trials, 1 interrupted, {len(others)} planned. First go on with it:"
    assert [sentence.partition("  #")[0] for sentence in told[1:]] == ["python -m orchestrator resume DIR"]
    assert "- This campaign is not finished: " in to_report(begun)
    titles = [[table.title for table in trouble_tables(begun, unfinished)] for unfinished in (True, False)]
    assert ["Trials that are not done" in of_table for of_table in titles] == [True, False]  # the terminal has that one sentence of them


def test_what_caused_a_flag_is_left_out_of_the_command(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r"))
    given = replace(results, commands=(("+sweep=small", "cluster=inline", "system.exclusive=false"),))
    ranked = [replace(one, found=tuple(replace(system, flags=("unpinned",)) for system in one.found)) for one in rankings(given)]
    sentence, command = repeats_needed(given, ranked)
    assert sentence.endswith("repeats show (without cluster=inline, for which trials are flagged):")
    assert command == "python -m orchestrator +sweep=small system.exclusive=false measurement.repeat=5"


def test_what_was_imported_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of(measure_small(tmp_path / "r"))
    monkeypatch.setattr(TrialRecord, "imported", property(lambda record: True))
    [sentence] = repeats_needed(results, rankings(results))
    assert sentence.endswith("repeats show: import repeats of the same names.")


def test_whether_it_is_shown_knows_what_ties(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", repeat=3))
    repeated = analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14ms"}))
    [reading] = readings(repeated, {})
    flags = flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading) | {"interrupted"})
    best, other = (replace(one, tested={}, flags=("in-sample",)) for one in ranking(repeated, reading.group).found)
    apart, alike = replace(other, low=best.low - 0.2, high=best.low - 0.1), replace(other, low=best.low - 0.1, high=best.low)

    def shown(*found: Standing, like_these: frozenset[str] | None = None) -> str:
        return first_screen(reading, repeated, flags, Ranking(reading.group, found, like_these)).shown.said

    yes = "Yes, also for processes started anew (3 of each system)"
    assert shown(best, apart) == f"{yes}."
    assert shown(best, alike, apart) == f"{yes}; not between systems that tie."
    flagged = replace(apart, flags=("interrupted", "in-sample"))
    assert shown(best, flagged) == f"{yes}. With reserve, for trials are flagged: interrupted."
    no = "No: within 14 ms no system is told from the best."
    assert shown(best, alike) == no
    full = replace(best, mean=best.ideal)
    assert shown(full, replace(full, mean=best.mean)) == "No: within 14 ms the best keep all there is, and no other is told from them."
    first, second = replace(best, processes=1), replace(apart, processes=1)
    assert shown(first, second) == "For these processes yes. For processes started anew not yet."
    of_other_model = replace(apart, names={**apart.names, "model": "other"})
    assert shown(best, of_other_model, like_these=frozenset(["other"])) == f"{yes}."
    assert shown(best, apart, of_other_model) == f"{yes}; between models on these samples yes, on others like these not shown."
    alike_model = replace(alike, names={**alike.names, "model": "other"})
    assert shown(best, apart, alike, alike_model) == f"{yes}; not between models, nor between systems that tie."
    assert shown(best, alike_model) == no


def test_where_nothing_is_shown_the_nearest_deadline_is_named_at_which_systems_differ(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r"))
    analysis = campaign.record.config.analysis.model_copy(update={"thresholds_ms": (1, 8, 11, 14, 18), "primary": "1ms"})
    results = analyse(campaign, analysis)
    ranked = ranking(results, results.groups[0])
    shown, nearest = is_shown(results, ranked), differs_at(results, ranked)
    assert nearest is not None
    assert shown.said == "No: within 1 ms no system is told from the best."
    assert shown.elsewhere == (f"Within {bound(nearest)} systems differ.", nearest.ns)
    assert shown.brief == f"Shown: {shown.said[:1].lower()}{shown.said[1:]}"
    assert len(shown.commands) == 1
    assert shown.needed.endswith("one process. Whether fresh processes do the same, repeats show:")
    all_kept = replace(ranked, found=tuple(replace(one, mean=one.ideal) for one in ranked.found))
    [cannot, *_] = repeats_needed(results, [all_kept])
    assert cannot.endswith("Repeats do not tell apart systems that keep all there is. Whether fresh processes do the same, repeats show:")
    apart_at = {row["threshold_ns"] for row in results.rows("comparison") if row["scope"] == "best of this data set" and apart_by(row)}
    assert nearest.ns == min(apart_at)
    at = replace(results.groups[0], thresholds=replace(results.groups[0].thresholds, primary=nearest))
    assert is_shown(results, ranking(results, at)).elsewhere is None


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
    [reading] = readings(ranked_at, {})
    found = ranking(ranked_at, reading.group).found
    assert len(reading.entries) == 3 * len(reading.systems) == 3 * len(found)
    grid = reading.grids[reading.clock]
    for one in found:
        [system] = [entry for entry in reading.systems if entry.members[0].key == one.trials[0]]
        curve = reading.curves[reading.clock, system.key]
        at = (curve.mean, curve.low, curve.high, curve.worst)
        assert [values[grid.start] for values in at] == pytest.approx([one.mean, one.low, one.high, one.worst])
        assert reading.times[reading.clock, system.key].size == sum(reading.times[reading.clock, key].size for key in one.trials)
    rows = ranked_rows(reading, flag_words(all_flags(reading)))
    assert [row.mean for row in rows] == [quality(one.mean) for one in found]
    assert {row.rounds for row in rows} == {"3 × 8"}  # noqa: RUF001


def test_a_system_keeps_the_longest_deadline_of_its_processes(repeated: CampaignAnalysis) -> None:
    [reading] = readings(repeated, {})
    rows = [row for row in repeated.rows("deadline") if (row["clock"], row["reference"]) == ("total", "own")]
    for kept_row in (row for row in kept_deadlines(reading).rows if row.clock == "total"):
        mine = [row["observed_ns"] for row in rows if row["match_key"] == kept_row.entry.key]
        assert kept_row.observed == milliseconds(max(mine))
        assert kept_row.reason.endswith("(3 of 3 processes)")


def test_figures_draw_a_line_per_system_and_the_page_knows_no_other_names(repeated: CampaignAnalysis) -> None:
    [reading] = readings(repeated, {})
    keys = reading.short_keys()
    assert set(keys.values()) == {f"e{number + 1}" for number in range(len(reading.systems))}
    for chart in charts_of(reading):
        assert {series.entry for series in chart.series if series.entry} <= set(keys)
    drawn = [series for series in curve_chart(reading).series if series.tags == {"clock": "total", "figure": "mean"}]
    assert [series.faint for series in drawn] == [True, True, True, False] * len(reading.systems)
