"""The answer of the page follows the slider, the clock and a link, in the words that Python has for the same deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browsing import DESK, cells, eventually, follow, slide
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.ranking import ranking
from orchestrator.analysis.reading import Reading, readings
from orchestrator.report.answer_parts import FiveAnswers
from orchestrator.report.html.first_screen import Asker, answers_everywhere, answers_of
from orchestrator.report.html.glossary import flag_words
from orchestrator.report.html.page import render
from orchestrator.report.html.sections import unwell
from orchestrator.report.text import milliseconds, quality
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("repeated")
    campaign = open_campaign(measure_small(folder / "r", rounds=8, repeat=3))
    analysis = campaign.record.config.analysis.model_copy(update={"thresholds_ms": (5, 8, 11, 14, 18, 22), "primary": "14ms"})
    results = analyse(campaign, analysis)
    page = folder / "report.html"
    page.write_text(render(results, {}), encoding="utf-8")
    return SimpleNamespace(results=results, evidence={}, page=page)


def asker_of(found: Any) -> Asker:
    reading = readings(found.results, found.evidence)[0]
    flags = {flag for curve in reading.curves.values() for flags in curve.flags for flag in flags}
    return Asker(reading, flag_words(flags), unwell(found.results))


def said(page: Any) -> list[str]:
    return list(page.locator("[data-answer]").all_text_contents())


AT_EACH = """places => {
    const slider = document.querySelector("[data-slider]");
    const texts = selector => [...document.querySelectorAll(selector)].map(found => found.textContent);
    return places.map(position => {
        slider.value = position;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        return [texts("[data-answer]"), texts("[data-models] tr > *"), texts("tr[data-entry] [data-cell=mean]")];
    });
}"""
"""Answers and means with the slider at each place; all in one go, for a browser draws what it shows in between."""


def as_text(answers: FiveAnswers) -> list[str]:
    return [said.question + said.short + "".join(piece.text for line in said.detail for piece in line) for said in answers.rows]


def check_every_deadline(found: Any, page: Any) -> set[str]:
    asker = asker_of(found)
    [group] = found.results.groups
    ranked, grid = ranking(found.results, group), asker.reading.grids["total"]
    assert page.locator("tr[data-entry]").count() == page.locator("[data-strip]").count() == len(asker.reading.systems)
    written = answers_everywhere(asker, ranked)[Clock.TOTAL]
    shown = page.evaluate(AT_EACH, list(range(len(grid.ns))))
    seen = set()
    common = {threshold.ns: threshold for threshold in group.thresholds.common("total")}
    for ns, answers, (rows, models, means) in zip(grid.ns, written, shown, strict=True):
        assert rows == as_text(answers)
        assert models == [cell for cells in answers.models for cell in cells]
        if ns in common:
            at = replace(group, thresholds=replace(group.thresholds, primary=common[ns]))
            of_table = ranking(found.results, at)
            assert not of_table.found or means == [quality(one.mean) for one in of_table.found]
            assert answers == answers_of(asker, of_table) or common[ns].origin == "reference"
        else:
            assert answers.rows[2].short == "Not tested at this deadline"
        seen.add("".join(rows))
    return seen


def test_its_answers_are_those_of_python_at_every_deadline(report: Any, page: Any) -> None:
    assert len(check_every_deadline(report, page)) > 20


def test_a_link_to_a_computed_deadline_has_its_own_figures_and_so_has_every_common_one(crowd: Any, visit: Callable[..., Any]) -> None:
    grid = readings(crowd.results, crowd.evidence)[0].grids["total"]
    page = visit(crowd.page, f"#t={int(grid.ns[7])}ns", viewport=DESK).page
    for place in (7, len(grid.ns) - 1):
        if place != 7:
            follow(page, f"#t={int(grid.ns[place])}ns")
        assert page.locator("[data-between]").is_hidden()
        assert page.locator("[data-slider]").input_value() == str(place)
    assert len(check_every_deadline(crowd, page)) > 4


def test_a_link_to_what_is_no_time_is_ignored_and_systems_of_several_processes_speak_as_in_python(
    repeated: Any, visit: Callable[..., Any]
) -> None:
    page = visit(repeated.page, "#t=50parsecs", viewport=DESK).page
    grid = readings(repeated.results, repeated.evidence)[0].grids["total"]
    assert page.locator("[data-slider]").input_value() == str(grid.start)
    assert len(check_every_deadline(repeated, page)) > 4


def test_the_first_answers_come_back_and_another_clock_has_its_own(report: Any, page: Any) -> None:
    start = readings(report.results, report.evidence)[0].grids["total"].start
    slide(page, start)
    first = page.locator(".answer dl").inner_html()
    page.select_option("[data-clock]", "inference")
    assert " of inference time" in said(page)[0]
    page.select_option("[data-clock]", "total")
    slide(page, start)
    assert page.locator(".answer dl").inner_html() == first


def test_where_nothing_was_tested_a_link_leads_to_the_nearest_common_deadline(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    common = [threshold.ns for threshold in reading.thresholds.common("total")]
    slide(page, next(place for place, ns in enumerate(reading.grids["total"].ns) if ns not in common))
    link = page.locator('[data-answer="2"] a')
    led = link.get_attribute("href")
    link.click()
    eventually(page, f"location.hash.startsWith({led!r})")
    assert page.locator('[data-answer="2"] strong').inner_text() != "Not tested at this deadline"


def test_a_list_of_tasks_has_the_same_answers(report: Any, page: Any) -> None:
    cells = "".join(f'<td data-answer-of="{place}"></td>' for place in range(5))
    page.evaluate(
        "cells => document.querySelector('main').insertAdjacentHTML('beforeend', `<table><tr id='in-short-0'><th><span data-within-of></span></th>${cells}</tr></table>`)",
        cells,
    )
    slide(page, 5)
    listed = page.locator("#in-short-0 td").all_text_contents()
    answers = [
        text.removeprefix(question) for text, question in zip(said(page), page.locator("[data-answer] dt").all_text_contents(), strict=True)
    ]
    assert listed == answers
    assert page.locator("#in-short-0 [data-within-of]").inner_text().startswith("within ")


@pytest.mark.parametrize(
    ("typed", "ns"),
    [("20.5ms", 20_500_000), ("0.0205s", 20_500_000), ("20500us", 20_500_000), ("2.05e7 ns", 20_500_000), ("20.5", 20_500_000)],
)
def test_what_a_link_asks_for_is_shown_by_the_deadline_that_was_computed(typed: str, ns: int, report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    grid = reading.grids["total"]
    assert ns not in grid.ns
    place = nearest(reading, ns)
    computed = milliseconds(int(grid.ns[place]))
    follow(page, f"#t={typed}")
    assert set(page.locator("[data-threshold]").all_inner_texts()) == {computed}
    assert page.locator('[data-answer="0"] dt').inner_text().endswith(", the nearest computed to 20.5 ms")
    assert page.locator("[data-between]").inner_text().startswith("No figures were computed at 20.5 ms itself: ")
    assert cells(page, "mean") == [quality(reading.curves["total", entry.key].mean[place]) for entry in reading.entries]
    page.select_option("[data-clock]", "inference")
    assert page.evaluate("location.hash") == "#t=20.5ms&clock=inference"
    page.select_option("[data-clock]", "total")
    slide(page, place)
    assert page.locator("[data-between]").is_hidden()


def nearest(reading: Reading, ns: int) -> int:
    return int(np.abs(reading.grids["total"].ns - ns).argmin())


def test_a_long_command_leaves_the_links_their_lines(report: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    long = report.results.campaign.model_copy(
        update={"command": ("+sweep=vision", "results_dir=/somewhere/else", "measurement.max_seconds=1") * 2}
    )
    path = tmp_path / "long.html"
    path.write_text(render(replace(report.results, campaign=long), {}), encoding="utf-8")
    page = visit(path, viewport={"width": 390, "height": 768}).page
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 768})
        assert page.locator("nav a").evaluate_all("links => links.every(link => link.getClientRects().length === 1)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def type_deadline(page: Any, text: str) -> None:
    field = page.get_by_label("or exactly")
    field.fill(text)
    field.press("Enter")


def test_a_deadline_can_be_typed_and_is_kept_in_the_address(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    field = page.get_by_label("or exactly")
    for typed, ns in (("20.5", 20_500_000), ("0.0205 s", 20_500_000), (f"{int(reading.grids['total'].ns[40])} ns", None)):
        type_deadline(page, typed)
        place = 40 if ns is None else nearest(reading, ns)
        assert field.input_value() == f"{(ns or int(reading.grids['total'].ns[40])) / 1e6:.12g} ms"
        assert page.locator("[data-slider]").input_value() == str(place)
        assert page.locator("[data-between]").is_hidden() == (ns is None)
        assert page.evaluate("location.hash").startswith(f"#t={field.input_value().replace(' ', '')}&")
        assert cells(page, "mean") == [quality(reading.curves["total", entry.key].mean[place]) for entry in reading.entries]
    slide(page, 7)
    assert field.input_value() == f"{int(reading.grids['total'].ns[7]) / 1e6:.12g} ms"


@pytest.mark.parametrize("text", ["50 parsecs", "-3", "0", "", "1e999"])
def test_what_is_typed_and_is_no_time_is_told_and_changes_nothing(text: str, page: Any) -> None:
    slide(page, 12)
    before = said(page), page.evaluate("location.hash")
    type_deadline(page, "8 ms")
    before_text = page.locator("output[data-threshold]").inner_text()
    type_deadline(page, text)
    complaint, field = page.locator("[data-wrong]"), page.get_by_label("or exactly")
    assert complaint.inner_text() == f"“{text}” is no time above 0: write one such as 50 ms, 0.05 s or 50000 us."
    assert field.get_attribute("aria-invalid") == "true"
    assert page.locator("output[data-threshold]").inner_text() == before_text
    field.press("Escape")
    assert (field.input_value(), complaint.is_hidden()) == ("8 ms", True)
    slide(page, 12)
    assert (said(page), page.evaluate("location.hash")) == before
