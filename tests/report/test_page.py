from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.analysis.ranking import rankings
from orchestrator.analysis.reading import readings
from orchestrator.report.findings import in_words
from orchestrator.report.findings.task import of_task
from orchestrator.report.html.page import render
from orchestrator.report.text import quality, quality_within

pytestmark = pytest.mark.slow


def data_of(text: str) -> Any:
    """Return what the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def without_scripts(text: str) -> str:
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_equal_results_give_equal_bytes(report: Any) -> None:
    assert render(report.results) == report.page.read_text(encoding="utf-8")


def test_several_tasks_are_listed_with_their_answers(report: Any) -> None:
    (group,) = report.results.groups
    html = without_scripts(render(replace(report.results, groups=(group, replace(group, task="others")))))
    listed = html[html.index("All tasks in short") : html.index('id="task-0"')]
    _, answer = in_words(next(iter(of_task(report.results, rankings(report.results)[0]))), "html")
    assert listed.count(answer) == 2
    assert [f'href="#task-{number}">{name} (top1)' in listed for number, name in enumerate(("numbers", "others"))] == [True, True]


def test_the_page_is_one_file_that_reaches_nothing(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    assert {found for found in re.findall(r'(?:src|href)="([^"]+)"', without_scripts(text)) if found[0] != "#"} == {"data:,"}
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert policy[1].count("sha256-") == len(re.findall(r"<script>", text)) == 3
    for unsafe in ("unsafe-eval", "script-src &#39;unsafe", "http"):
        assert unsafe not in policy[1]


def test_the_page_of_eight_trials_weighs_at_most_1_4_megabytes(eight_trials: Any) -> None:
    assert len(render(eight_trials).encode()) <= 1_400_000


def test_a_reader_finds_the_answer_before_what_it_rests_on(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    places = [text.index(f'id="{name}"') for name in ("title-0", "figure-tail-quality-0", "deadline-0", "problems", "set-up", "glossary")]
    assert places == sorted(places)


def test_every_flag_is_explained_where_its_link_leads(report: Any) -> None:
    html = without_scripts(report.page.read_text(encoding="utf-8"))
    led = set(re.findall(r'href="#(flag-[^"]+)"', html))
    assert led
    for name in led:
        found = re.search(rf'id="{name}"><dt>.*?</dt><dd>(.*?)</dd>', html)
        assert found is not None
        assert len(found[1]) > 20


def test_one_trial_is_compared_with_nothing(report: Any) -> None:
    group = report.results.groups[0]
    tables = {**report.results.tables, "comparison": report.results.tables["comparison"].slice(0, 0)}
    alone = replace(report.results, groups=(replace(group, trials=group.trials[:1]),), tables=tables)
    html = without_scripts(render(alone))
    assert "Result within" in html
    before_the_glossary = html[: html.index('id="glossary"')].replace("Ranking of", "")
    for word in ("Ranking within", "Runner-up", "Differences from"):
        assert word not in before_the_glossary


def test_the_slider_moves_what_was_computed(report: Any) -> None:
    [reading], moved = readings(report.results), data_of(report.page.read_text("utf-8"))["tasks"][0]["grids"]
    keys = reading.short_keys()
    for clock in reading.clocks:
        grid = reading.grids[clock]
        assert moved[clock]["ms"] == grid.ms.tolist()
        for entry in reading.systems:
            curve, shown = reading.curves[clock, entry.key], moved[clock]["systems"][keys[entry.key]]
            assert shown["mean"] == [quality(one) for one in curve.mean]
            assert shown["worst"] == [quality(one) for one in curve.worst]
            assert shown["interval"] == [quality_within(low, high, curve.ideal) for low, high in zip(curve.low, curve.high, strict=True)]
            assert shown["place"] == reading.ranks(clock)[entry.key].tolist()


def test_curves_at_common_thresholds_are_those_of_the_tables(report: Any) -> None:
    [reading] = readings(report.results)
    rows = [row for row in report.results.rows("tail_quality") if row["threshold_origin"] != "own" and row["metric"] == "top1"]
    assert rows
    for row in rows:
        grid, curve = reading.grids[row["clock"]], reading.curves[row["clock"], row["trial"]]
        index = list(grid.ns).index(row["threshold_ns"])
        assert row["threshold"] in grid.labels[index]
        found = (curve.mean[index], curve.worst[index], curve.low[index], curve.high[index])
        assert found == pytest.approx((row["mean"], row["worst"], row["interval_low"], row["interval_high"]), abs=1e-12)


def test_flips_are_all_pairs_that_change_places(report: Any) -> None:
    [reading] = readings(report.results)
    grid = reading.grids["total"]
    common = [index for index, label in enumerate(grid.labels) if label]
    means = {entry.label: reading.curves["total", entry.key].mean for entry in reading.entries}
    expected = {
        (one, other, grid.labels[before], grid.labels[after])
        for before, after in pairwise(common)
        for one in means
        for other in means
        if means[one][before] > means[other][before] + 1e-9 and means[one][after] < means[other][after] - 1e-9
    }
    assert {flip[:4] for flip in reading.flips()} == expected


def test_what_failed_stands_with_its_reason(report: Any) -> None:
    text = without_scripts(report.page.read_text(encoding="utf-8"))
    assert "offers &lt;/script&gt; no such runtime" in text
    failed = next(planned for planned in report.results.campaign.trials if planned.state == "failed")
    assert failed.trial_id in text[text.index('id="problems"') :]


def test_a_campaign_without_a_round_has_a_page(report: Any) -> None:
    empty = {name: table.slice(0, 0) for name, table in report.results.tables.items()}
    assert "No trial has a stored round." in render(replace(report.results, groups=(), tables=empty))
