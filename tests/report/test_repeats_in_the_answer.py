"""With repeats the answer names what every process keeps; without them, the command that would show what processes differ by."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.ranking import Ranking, apart_by, ranking, rankings
from orchestrator.analysis.reading import readings
from orchestrator.report.answer_parts import Said
from orchestrator.report.figures.charts import charts_of
from orchestrator.report.figures.charts.quality import curve_chart
from orchestrator.report.html.first_screen import Asker, answers_of, differs_at
from orchestrator.report.html.glossary import flag_words
from orchestrator.report.html.ranking import kept_deadlines, ranked_rows
from orchestrator.report.markdown import to_report
from orchestrator.report.pasted import Command, measured_again
from orchestrator.report.result_tables import trouble_tables
from orchestrator.report.text import milliseconds, quality
from orchestrator.report.verdict import repeats_needed, verdict, what_next
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord


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


def asker_of(results: CampaignAnalysis) -> Asker:
    [reading] = readings(results, {})
    return Asker(reading, flag_words({flag for entry in reading.entries for flag in entry.flags} | all_flags(reading) | {"interrupted"}))


def answered(results: CampaignAnalysis, ranked: Ranking | None = None) -> dict[str, Said]:
    """The answers at the primary threshold, by the question's first word and its last."""
    asker = asker_of(results)
    found = answers_of(asker, ranked or ranking(results, asker.reading.group))
    return {said.question.split()[-1]: said for said in found.rows[1:]}


def kept(results: CampaignAnalysis) -> Said:
    return answered(results)["kept"]


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
    said = kept(repeated)
    assert f"from {milliseconds(worst)} (" in said.text
    assert "99 % of ideal quality in 90 % of rounds of every process" in said.text
    assert "repeat" not in said.text


def test_a_process_that_keeps_no_deadline_speaks_for_its_system(repeated: CampaignAnalysis) -> None:
    table = repeated.tables["deadline"]
    rows = table.to_pylist()
    best = min((row for row in rows if (row["clock"], row["reference"]) == ("total", "own")), key=lambda row: row["observed_ns"])
    for row in rows:
        if row["trial"] == best["trial"]:
            row["observed_ns"] = None
    changed = replace(repeated, tables={**repeated.tables, "deadline": type(table).from_pylist(rows, schema=table.schema)})
    assert f"no deadline ({best['system']})" in kept(changed).text


def changed_deadlines(results: CampaignAnalysis, **columns: Any) -> CampaignAnalysis:
    table = results.tables["deadline"]
    rows = [row | columns for row in table.to_pylist()]
    return replace(results, tables={**results.tables, "deadline": type(table).from_pylist(rows, schema=table.schema)})


def test_whether_the_deadline_is_kept_says_from_which_one_on_and_what_could_certify_it(ranked_at: CampaignAnalysis) -> None:
    seen: dict[str, Any] = {"certified": False, "observed_ns": 9_000_000, "flags": [], "more_rounds": 112}
    found = kept(changed_deadlines(ranked_at, **seen))
    assert found.short == "Yes, from 9.00 ms on, observed"
    assert (
        found.text.count("in 90 % of rounds of every process, as observed; not certified: 112 more rounds in each process may certify it.")
        == 1
    )
    flagged = kept(changed_deadlines(ranked_at, **{**seen, "flags": ["unpinned"]}))
    assert "not certified because trials are flagged." in flagged.text, "no number of rounds takes a flag away"
    certified = kept(changed_deadlines(ranked_at, **{**seen, "certified": True, "deadline_ns": 9_500_000}))
    assert certified.short == "Yes, from 9.50 ms on, certified"
    late = kept(changed_deadlines(ranked_at, **{**seen, "observed_ns": 15_000_000}))
    assert late.short == "No: from 15.0 ms (cpu_all), 15.0 ms (cpu_1)"
    assert kept(changed_deadlines(ranked_at, **{**seen, "observed_ns": None})).short == "No, at no deadline"


def test_what_is_doubtful_is_said_of_systems_and_not_of_their_processes(ranked_at: CampaignAnalysis) -> None:
    asker = asker_of(ranked_at)
    ranked = ranking(ranked_at, asker.reading.group)
    found = (replace(ranked.found[0], low=0.0, high=1.0), *(replace(one, low=one.mean, high=one.mean) for one in ranked.found[1:]))
    doubts = answered(ranked_at, replace(ranked, found=found))["doubtful"]
    label = next(entry.system_label for entry in asker.reading.entries if entry.key == found[0].trials[0])
    [line] = [line for line in doubts.detail if line[0].text == "unsteady"]
    assert line[0].href == "#word-unsteady"
    assert line[1].text == f": {label}"
    assert "of 2 systems" in doubts.short
    assert "1 unsteady" in doubts.short
    assert "repeat" not in doubts.text


def test_the_command_keeps_the_deadline_that_is_in_use(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r", primary="14 ms"))
    at = replace(results, analysis=results.analysis.model_copy(update={"primary": "18 ms"}))
    assert list(repeats_needed(at, rankings(at)).told)[1:] == [
        "python -m orchestrator +sweep=small model=null measurement.repeat=5 'analysis.primary=\"18 ms\"'"
    ]


def test_an_unfinished_campaign_is_gone_on_with_before_anything_is_measured_anew(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r", primary="14 ms"))
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
    results = results_of(measure_small(tmp_path / "r", primary="14 ms"))
    given = replace(results, commands=(("+sweep=small", "cluster=inline", "system.exclusive=false"),))
    ranked = [replace(one, found=tuple(replace(system, flags=("unpinned",)) for system in one.found)) for one in rankings(given)]
    sentence, command = repeats_needed(given, ranked).told
    assert sentence.endswith("To test fresh processes (without cluster=inline, for which trials are flagged), run:")
    assert command == "python -m orchestrator +sweep=small system.exclusive=false measurement.repeat=5"


def test_what_was_imported_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of(measure_small(tmp_path / "r", primary="14 ms"))
    monkeypatch.setattr(TrialRecord, "imported", property(lambda record: True))
    [sentence] = repeats_needed(results, rankings(results)).told
    assert sentence.endswith("To test fresh processes, import repeats of the same names.")


def test_where_nothing_is_shown_the_nearest_deadline_is_named_at_which_systems_differ(tmp_path: Path) -> None:
    campaign = open_campaign(measure_small(tmp_path / "r", primary="14 ms", rounds=30))
    analysis = campaign.record.config.analysis.model_copy(update={"thresholds_ms": (1, 8, 11, 14, 18), "primary": "1ms"})
    results = analyse(campaign, analysis)
    ranked = ranking(results, results.groups[0])
    shown, nearest = answered(results)["shown"], differs_at(results, ranked)
    assert nearest is not None
    assert shown.short.startswith("No difference shown, with reserve (unpinned")
    pieces = [piece for line in shown.detail for piece in line]
    assert [(piece.text, piece.href) for piece in pieces if piece.href] == [
        (f"Within {nearest.label} systems differ.", f"#t={nearest.ns / 1e6:.12g}ms&clock=total")
    ]
    assert [piece.text for piece in pieces if piece.kind == "command"] == [
        "python -m orchestrator +sweep=small model=null measurement.repeat=5 'analysis.primary=\"1ms\"'"
    ]
    assert "To test fresh processes, run: " in [piece.text for piece in pieces]
    all_kept = replace(ranked, found=tuple(replace(one, mean=one.ideal) for one in ranked.found))
    [cannot, *_] = repeats_needed(results, [all_kept]).told
    assert cannot.endswith("Repeats do not tell apart systems that keep all there is. To test fresh processes, run:")
    apart_at = {row["threshold_ns"] for row in results.rows("comparison") if row["scope"] == "best of this data set" and apart_by(row)}
    assert nearest.ns == min(apart_at)


def test_what_repeats_would_show_is_a_whole_command(tmp_path: Path) -> None:
    results = results_of(measure_small(tmp_path / "r", primary="14 ms"))
    said = list(verdict(results))
    assert [sentence for sentence in said if isinstance(sentence, Command)] == [
        "python -m orchestrator +sweep=small model=null measurement.repeat=5"
    ]
    assert said[said.index(str(measured_again(("+sweep=small", "model=null"), "measurement.repeat=5"))) - 1].endswith(
        "To test fresh processes, run:"
    )
    assert "\n  `python -m orchestrator +sweep=small model=null measurement.repeat=5`\n" in to_report(results)
    unknown = replace(results, commands=())
    assert [sentence.partition("processes, ")[2] for sentence in repeats_needed(unknown, rankings(unknown)).told] == [
        "measure again with measurement.repeat=5."
    ]
    several = replace(results, commands=(("+sweep=small", "results_dir=a"), ("+sweep=large",), ("+sweep=small",)))
    assert list(repeats_needed(several, rankings(several)).told)[1:] == [
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
