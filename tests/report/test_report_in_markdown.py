"""``report.md`` shows the answer, one table and one picture; every other table is folded and none is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial
from markdown_it import MarkdownIt

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.ranking import standings
from orchestrator.commands.reading import store_report
from orchestrator.report.chart_files import quality_picture
from orchestrator.report.markdown import FOLDED, PICTURE, reach_of_visits, to_report
from orchestrator.report.result_tables import shown_in
from orchestrator.report.table import Table
from orchestrator.report.text import markdown_text
from orchestrator.storage.reader import open_campaign

OLD_CAMPAIGN = Path(__file__).parents[1] / "data" / "before_the_house" / "campaign"
SVG = "{http://www.w3.org/2000/svg}"


def all_tables(results: CampaignAnalysis) -> list[Table]:
    """Return every table of the report."""
    parts = ([*shown_in(results, name), *(table for make in makers for table in make(results))] for name, makers in FOLDED)
    return [table for part in parts for table in part]


def visible(text: str) -> list[str]:
    """The lines that a reader sees before anything is opened: of a folded part its name alone."""
    return re.sub(r"<details>\n<summary>(.*?)</summary>\n.*?</details>\n", r"\1\n", text, flags=re.DOTALL).splitlines()


@pytest.fixture(scope="module")
def stored() -> Any:
    campaign = open_campaign(OLD_CAMPAIGN)
    return analyse(campaign, campaign.record.config.analysis.model_copy(update={"primary": "14 ms"}))


def test_of_eight_trials_at_most_sixty_lines_are_visible(eight_trials: Any) -> None:
    lines = visible(to_report(eight_trials))
    assert 20 < len(lines) <= 60
    assert sum(line.startswith("| ---") for line in lines) == 1
    assert sum(line.startswith(("| small_model |", "| large_model |")) for line in lines) == 8
    assert "- Not done: 1 of 9 trials (1 failed)" in lines


def test_the_answer_comes_first_and_its_table_has_a_row_for_each_system(stored: Any) -> None:
    text = "\n".join(visible(to_report(stored)))
    for group in stored.groups:
        table = text[text.index(f"## {group.task}") :].split("\n\n")[1].splitlines()[2:]
        assert len(table) == len(standings(stored, group))
    assert text.index(" within 14 ms: ") < text.index(f"]({PICTURE})") < text.index("| model |" if "| model |" in text else "\n| ")


def test_every_table_is_folded_in_the_order_of_the_report(stored: Any) -> None:
    text = to_report(stored)
    places = [text.index(f"## {markdown_text(table.title)}") for table in all_tables(stored)]
    assert places == sorted(places)
    assert len(places) > 8


def test_folded_parts_open_and_close_as_html_and_hold_markdown_tables(stored: Any) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(to_report(stored))
    blocks = [token.content for token in tokens if token.type == "html_block"]
    assert [block.startswith("<details>") for block in blocks] == [True, False] * (len(blocks) // 2)
    assert sum(token.type == "table_open" for token in tokens) >= len(all_tables(stored))


def test_the_picture_lies_beside_the_report(report: Any) -> None:
    found = quality_picture(report.results)
    store_report(report.directory, report.results.analysis)
    assert found is not None
    assert (report.directory / PICTURE).read_text("utf-8") == found
    assert f"]({PICTURE})" in (report.directory / "report.md").read_text("utf-8")


@pytest.mark.parametrize(("pause_s", "said"), [(2.0, "A cycle has 4 s."), (6.0, "slow spells of up to 10 s, certificates for up to 20 ")])
def test_the_method_says_how_long_slow_spells_may_be(pause_s: float, said: str) -> None:
    visits = np.repeat(np.arange(20, dtype=np.int32), 2)
    began_ns = 1e9 * (np.arange(40) + pause_s * visits)
    trial = replace(build_trial("cpu", np.full((40, 3), 5.0), visits=visits), evidence={"started_monotonic_ns": began_ns})
    longer = replace(trial, evidence={"started_monotonic_ns": 3 * began_ns})
    assert said in reach_of_visits([longer, trial])
    assert reach_of_visits([replace(trial, visits=None)]) == reach_of_visits([]) == ""
