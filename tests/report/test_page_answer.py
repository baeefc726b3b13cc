"""The answer of the page follows the slider, the clock and a link, in the words that Python has for the same deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browsing import DESK, cells, follow, slide
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.report.figures.reading import Reading, readings
from orchestrator.report.html.first_screen import is_shown
from orchestrator.report.html.page import render
from orchestrator.report.standings import Ranking, ranking, standings
from orchestrator.report.table import bound
from orchestrator.report.text import milliseconds, quality
from orchestrator.report.winners import winners
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


def at_threshold(found: Any, ns: int) -> Any:
    """The group, as if a common threshold were its primary one."""
    [group] = found.results.groups
    threshold = next(one for one in group.thresholds.common("total") if one.ns == ns)
    return replace(group, thresholds=replace(group.thresholds, primary=threshold))


def said(page: Any, name: str = "win") -> list[str]:
    return list(page.locator(f"[data-{name}]").all_text_contents())


AT_EACH = """places => {
    const slider = document.querySelector("[data-slider]");
    const texts = selector => [...document.querySelectorAll(selector)].map(found => found.textContent);
    return places.map(([position, bound]) => {
        slider.value = position;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        return [texts("[data-win]"), texts("tr[data-entry] [data-cell=mean]"), winnersAt(tasks[0], bound)];
    });
}"""
"""Sentences, means and what intervals alone say with the slider at each place; all in one go, for a browser draws what it shows in between."""


def check_every_common_deadline(found: Any, page: Any) -> set[tuple[str, ...]]:
    reading = readings(found.results, found.evidence)[0]
    grid, group, seen = reading.grids["total"], reading.group, set()
    assert page.locator("tr[data-entry]").count() == page.locator("[data-strip]").count() == len(reading.systems)
    places = {threshold: list(grid.ns).index(threshold.ns) for threshold in group.thresholds.common("total")}
    # Of several names for one time, any may be said.
    asked = [threshold for threshold, place in places.items() if grid.labels[place] == threshold.label]
    told = page.evaluate(AT_EACH, [[places[threshold], bound(threshold)] for threshold in asked])
    for threshold, (sentences, means, untested_sentences) in zip(asked, told, strict=True):
        at = replace(group, thresholds=replace(group.thresholds, primary=threshold))
        ranked = ranking(found.results, at)
        assert sentences == list(winners(ranked))
        assert means == [quality(one.mean) for one in ranked.found]
        seen.add(tuple(sentences))
        untested = Ranking(at, tuple(replace(one, tested={}) for one in standings(found.results, at)))
        assert untested_sentences == list(winners(untested))
    return seen


def test_its_sentences_are_those_of_python_at_every_common_deadline(report: Any, page: Any) -> None:
    assert len(check_every_common_deadline(report, page)) > 4


def test_a_link_to_a_computed_deadline_has_its_own_figures_and_so_has_every_common_one(crowd: Any, visit: Callable[..., Any]) -> None:
    grid = readings(crowd.results, crowd.evidence)[0].grids["total"]
    page = visit(crowd.page, f"#t={int(grid.ns[7])}ns", viewport=DESK).page
    for place in (7, len(grid.ns) - 1):
        if place != 7:
            follow(page, f"#t={int(grid.ns[place])}ns")
        assert page.locator("[data-between]").is_hidden()
        assert page.locator("[data-slider]").input_value() == str(place)
    assert len(check_every_common_deadline(crowd, page)) > 4


def test_a_link_to_what_is_no_time_is_ignored_and_systems_of_several_processes_speak_as_in_python(
    repeated: Any, visit: Callable[..., Any]
) -> None:
    page = visit(repeated.page, "#t=50parsecs", viewport=DESK).page
    grid = readings(repeated.results, repeated.evidence)[0].grids["total"]
    assert page.locator("[data-slider]").input_value() == str(grid.start)
    assert len(check_every_common_deadline(repeated, page)) > 4


def test_what_was_tested_is_told_from_what_was_not(report: Any, page: Any) -> None:
    grid = readings(report.results, report.evidence)[0].grids["total"]
    start, between = grid.start, max(place for place, label in enumerate(grid.labels) if not label)
    common = next(place for place, label in enumerate(grid.labels) if label and place != grid.start)
    slide(page, start)
    before, test, doubts = said(page), said(page, "test"), page.locator("[data-doubts]").inner_html()
    assert test[0].startswith("For these processes yes")
    assert test[1].endswith("repeats show:")
    slide(page, common)
    shown = is_shown(report.results, ranking(report.results, at_threshold(report, grid.ns[common])))
    assert said(page, "test") == [shown.said, shown.needed]
    slide(page, between)
    assert said(page, "test") == [
        "Differences were computed at the common deadlines of total time; here intervals alone say what ties.",
        "",
    ]
    assert said(page) != before
    assert page.locator("[data-command]").is_hidden()
    page.select_option("[data-clock]", "inference")
    assert " of inference time: " in said(page)[0]
    page.select_option("[data-clock]", "total")
    slide(page, start)
    assert (said(page), said(page, "test"), page.locator("[data-doubts]").inner_html()) == (before, test, doubts)


def test_where_nothing_is_shown_a_link_leads_to_where_systems_differ(report: Any, page: Any) -> None:
    group = report.results.groups[0]
    common = {
        one.ns: is_shown(report.results, ranking(report.results, at_threshold(report, one.ns))) for one in group.thresholds.common("total")
    }
    ns, found = next((ns, shown.elsewhere) for ns, shown in common.items() if shown.elsewhere is not None)
    follow(page, f"#t={ns}ns")
    link = page.locator("[data-elsewhere] a")
    assert (link.inner_text(), said(page, "test")) == (found[0], [common[ns].said, common[ns].needed])
    link.click()
    page.wait_for_function("document.querySelector('[data-elsewhere]').hidden")
    assert page.evaluate("location.hash").startswith(f"#t={found[1] / 1e6:.12g}ms&clock=total")
    assert said(page, "test")[0] == common[found[1]].said


def test_a_deadline_that_is_longer_than_the_one_on_screen_is_said_to_be(report: Any, page: Any) -> None:
    kept = page.locator("dd[data-of-clock=total]").first
    ns = int(kept.locator("[data-late]").get_attribute("data-late"))
    grid = readings(report.results, report.evidence)[0].grids["total"].ns
    for place in (0, int(np.searchsorted(grid, ns, side="right")) - 1, int(np.searchsorted(grid, ns))):
        slide(page, place)
        late = f"Not within {milliseconds(int(grid[place]))}: "
        assert kept.inner_text().startswith(late) == (grid[place] < ns)


def test_doubts_follow_and_what_is_always_in_doubt_stays(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    page.evaluate("document.body.append(Object.assign(made('span', 'of another deadline'), {id: 'doubtful-0'}))")  # as in a list of tasks
    slide(page, 5)
    slide(page, 0)
    lines = page.locator("[data-doubts] p").all_inner_texts()
    told = [line.removesuffix(".").partition(": ") for line in lines if " not done" not in line]
    assert page.locator("#doubtful-0").inner_text() == f"Doubtful: {', '.join(f'{term} ({whose})' for term, _, whose in told)}."
    assert any(line.startswith("deadline not certified: ") for line in lines)
    flags = {flag for entry in reading.entries for flag in reading.curves["total", entry.key].flags[0]}
    assert {line.partition(": ")[0] for line in lines} >= flags


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
    assert f"within {grid.labels[place] or computed}, the nearest computed to 20.5 ms: " in said(page)[0]
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
