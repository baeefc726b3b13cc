"""``report.md`` shows the answer, one table and one picture; every other table is folded and none is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from built_trials import build_trial
from markdown_it import MarkdownIt

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.analysis.ranking import standings
from orchestrator.analysis.reading import readings
from orchestrator.commands.report import store_report
from orchestrator.report.colours import COLOURS, DASHES, styles
from orchestrator.report.markdown import FOLDED, PICTURE, reach_of_visits, to_report
from orchestrator.report.quality_picture import label_of, quality_picture
from orchestrator.report.result_tables import shown_in
from orchestrator.report.svg import Drawing, spread
from orchestrator.report.table import Table
from orchestrator.report.text import markdown_text, quality
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
    assert "- Not done: 1 failed of 9 trials" in lines


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


def test_the_picture_takes_the_curves_of_the_page(eight_trials: Any) -> None:
    read = readings(eight_trials, {})
    known = quality_picture(eight_trials, read)
    assert known == quality_picture(eight_trials)
    flat = [replace(one, curves={key: replace(curve, mean=0 * curve.mean) for key, curve in one.curves.items()}) for one in read]
    assert quality_picture(eight_trials, flat) != known


def test_the_picture_lies_beside_the_report(report: Any) -> None:
    found = quality_picture(report.results)
    store_report(report.directory, report.results.analysis)
    assert found is not None
    assert (report.directory / PICTURE).read_text("utf-8") == found
    assert f"]({PICTURE})" in (report.directory / "report.md").read_text("utf-8")


def test_the_picture_names_every_system_with_what_it_keeps(eight_trials: Any) -> None:
    root = ElementTree.fromstring(quality_picture(eight_trials) or "")
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    for group in eight_trials.groups:
        for one in standings(eight_trials, group):
            name = label_of(one, standings(eight_trials, group))
            assert name.startswith(quality(one.mean))
            assert texts.count(name) == 1
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["x"]) < width
        assert 0 < float(element.attrib["y"]) < height


def test_the_picture_draws_the_stored_quality_at_the_primary_threshold(eight_trials: Any) -> None:
    """A line passes through the mean of its row, where the threshold's line is."""
    group = eight_trials.groups[0]
    root = ElementTree.fromstring(quality_picture(eight_trials) or "")
    paths = [element for element in root.iter(f"{SVG}path") if element.attrib["stroke-width"] == "2"]
    corners = [[tuple(map(float, place)) for place in re.findall(r"([\d.]+) ([\d.]+)", path.attrib["d"])] for path in paths]
    lines = [line for line in corners if line[0][0] < 60]
    found = standings(eight_trials, group)
    drawn = lines[: len(found)][::-1]  # the last is drawn first
    (mark,) = {place.attrib["d"] for place in root.iter(f"{SVG}path") if place.attrib.get("stroke-dasharray") == "5 3"}
    at = float(re.findall(r"M([\d.]+)", mark)[0])
    heights = [max((x, -y) for x, y in line if x <= at + 0.01)[1] for line in drawn]
    by_mean = sorted(range(len(found)), key=lambda number: found[number].mean)
    assert [heights[number] for number in by_mean] == sorted(heights)


def test_runtimes_of_one_system_have_colours_of_their_own(eight_trials: Any) -> None:
    (group,) = eight_trials.groups
    of_one = tuple(data for data in group.trials if data.trial_id.startswith("small_model-numbers-small"))
    assert [data.record.trial.runtime.name for data in of_one] == ["torch", "onnxruntime"]
    svg = quality_picture(replace(eight_trials, groups=(replace(group, trials=of_one),))) or ""
    lines = {colour for colour, width in re.findall(r'stroke="(#\w+)" stroke-width="([\d.]+)"', svg) if width == "2"}
    assert lines == set(COLOURS[:2])


def test_of_many_systems_the_best_and_the_last_have_names_and_all_are_drawn(eight_trials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.quality_picture.MOST_LABELS", 4)
    svg = quality_picture(eight_trials) or ""
    found = standings(eight_trials, eight_trials.groups[0])
    named = [f">{label_of(one, found)}<" in svg for one in found]
    assert named == [True, True, False, False, False, False, True, True]
    assert ">grey: the 4 systems between these<" in svg
    assert svg.count('stroke="#b9bfc6"') == 4


def test_names_in_a_picture_are_text() -> None:
    drawing = Drawing(10, 10, '<script>"&')
    drawing.text(1, 1, '<a href="x">&\x1b\u202e')
    root = ElementTree.fromstring(drawing.to_svg())
    assert [element.tag.removeprefix(SVG) for element in root.iter()] == ["svg", "title", "rect", "text"]
    assert root[-1].text == '<a href="x">&\\x1b\\u202e'


def test_labels_keep_apart_and_within_their_limits() -> None:
    found = spread([5, 5, 5, 90, 99], 10, 0, 100)
    assert all(later - earlier >= 10 for earlier, later in pairwise(found))
    assert found[-1] <= 100


def test_no_two_lines_look_alike_while_there_are_pairs_left() -> None:
    wanted = [(number, number, 0) for number in range(len(COLOURS) * len(DASHES))]
    found = styles(wanted)
    assert len(set(found.values())) == len(wanted)
    assert [found[number][0] for number in range(len(COLOURS))] == list(COLOURS)


@pytest.mark.parametrize(("pause_s", "said"), [(2.0, "A cycle has 4 s."), (6.0, "slow spells of up to 10 s, certificates for up to 20 ")])
def test_the_method_says_how_long_slow_spells_may_be(pause_s: float, said: str) -> None:
    visits = np.repeat(np.arange(20, dtype=np.int32), 2)
    began_ns = 1e9 * (np.arange(40) + pause_s * visits)
    trial = replace(build_trial("cpu", np.full((40, 3), 5.0), visits=visits), evidence={"started_monotonic_ns": began_ns})
    longer = replace(trial, evidence={"started_monotonic_ns": 3 * began_ns})
    assert said in reach_of_visits([longer, trial])
    assert reach_of_visits([replace(trial, visits=None)]) == reach_of_visits([]) == ""
