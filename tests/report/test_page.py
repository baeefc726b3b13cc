"""The page and ``report.md``: the answer first, then every table and figure as they were computed."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.reading import readings
from orchestrator.commands.reading import store_report
from orchestrator.report.chart_files import quality_picture
from orchestrator.report.html.page import render
from orchestrator.report.markdown import FOLDED, PICTURE, to_report
from orchestrator.report.result_tables import shown, shown_in
from orchestrator.report.table import Table
from orchestrator.report.text import quality, quality_within
from orchestrator.storage.reader import open_campaign

pytestmark = pytest.mark.slow


def data_of(text: str) -> Any:
    """Return what the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found[1])


def without_scripts(text: str) -> str:
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_equal_results_give_equal_bytes(report: Any) -> None:
    assert render(report.results) == report.page.read_text(encoding="utf-8")


def test_the_page_is_one_file_that_reaches_nothing(report: Any) -> None:
    text = report.page.read_text(encoding="utf-8")
    assert {found for found in re.findall(r'(?:src|href)="([^"]+)"', without_scripts(text)) if found[0] != "#"} == {"data:,"}
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert "default-src &#39;none&#39;" in policy[1]
    assert policy[1].count("sha256-") == len(re.findall(r"<script>", text)) == 3
    for unsafe in ("unsafe-eval", "script-src &#39;unsafe", "http"):
        assert unsafe not in policy[1]


def test_the_page_of_eight_trials_weighs_at_most_1_4_megabytes(report: Any) -> None:
    assert len(render(report.results).encode()) <= 1_400_000


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
        assert len(found[1]) > 20


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


OLD_CAMPAIGN = Path(__file__).parents[1] / "data" / "before_the_house" / "campaign"


def all_tables(results: CampaignAnalysis) -> list[Table]:
    """Return every table of the report."""
    parts = ([*shown_in(results, name), *(table for make in makers for table in make(results))] for name, makers in FOLDED)
    return [table for part in parts for table in part]


@pytest.fixture(scope="module")
def stored() -> Any:
    campaign = open_campaign(OLD_CAMPAIGN)
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14 ms"}))


def test_of_eight_trials_at_most_sixty_lines_are_visible(report: Any) -> None:
    lines = re.sub(
        r"<details>\n<summary>(.*?)</summary>\n.*?</details>\n", r"\1\n", to_report(report.results), flags=re.DOTALL
    ).splitlines()
    assert 20 < len(lines) <= 60
    assert sum(line.startswith("| ---") for line in lines) == 1
    assert sum(line.startswith(("| small_model |", "| large_model |")) for line in lines) == 8


def test_folded_parts_open_and_close_as_html_and_hold_markdown_tables(stored: Any) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(to_report(stored))
    blocks = [token.content for token in tokens if token.type == "html_block"]
    assert [block.startswith("<details>") for block in blocks] == [True, False] * (len(blocks) // 2)
    assert sum(token.type == "table_open" for token in tokens) >= len(all_tables(stored))


def test_the_picture_lies_beside_the_report(report: Any) -> None:
    found = quality_picture(report.results)
    store_report(report.directory, report.results.analysis)
    assert (report.directory / PICTURE).read_text("utf-8") == found
    assert f"]({PICTURE})" in (report.directory / "report.md").read_text("utf-8")


def rows(report: Any, name: str, **columns: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = report.results.tables[name].to_pylist()
    return [row for row in found if all(row[column] == value for column, value in columns.items())]


def test_every_cell_of_the_cross_system_tables_is_its_row(report: Any) -> None:
    tables = list(shown(report.results, "tail_quality"))
    assert [("reference" in table.title, "absolute" in table.title) for table in tables] == [(True, False), (False, True)]
    for table, origin in zip(tables, ("reference", "absolute"), strict=True):
        metric = re.search(r"\((\w+)\)", table.title)[1]  # type: ignore[index]
        stored = rows(report, "tail_quality", clock="total", slice="all", metric=metric, threshold_origin=origin)
        heads = [column for column in table.columns if column.endswith(("ms", "ms)"))]
        assert len(table.rows) * len(heads) == len(stored) > 8
        cells = [cell for row in table.rows for cell in row[-len(heads) :]]
        assert sorted(cell.split()[0] for cell in cells) == sorted(quality(row["mean"]) for row in stored)
