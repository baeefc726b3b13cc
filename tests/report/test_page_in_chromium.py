from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browsing import DESK, FIGURES, PHONE, cells, eventually, see_all, slide

from orchestrator.analysis.ranking import is_unsteady
from orchestrator.analysis.reading import readings
from orchestrator.report.text import milliseconds, quality, quality_within

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_nothing_is_asked_for_and_nothing_goes_wrong(report: Any, opened: Any) -> None:
    see_all(opened.page)
    assert opened.said == []
    assert opened.asked == [report.page.as_uri()]
    assert opened.page.locator(".plot").count() == FIGURES


def test_every_position_of_the_slider_shows_what_python_computed(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    grid = reading.grids["total"]
    for position in range(0, len(grid.ns), 7):
        slide(page, position)
        curves = [reading.curves["total", entry.key] for entry in reading.entries]
        assert cells(page, "mean") == [quality(curve.mean[position]) for curve in curves]
        assert cells(page, "worst") == [quality(curve.worst[position]) for curve in curves]
        assert cells(page, "interval") == [quality_within(curve.low[position], curve.high[position], curve.ideal) for curve in curves]
        assert page.locator("output[data-threshold]").inner_text() == milliseconds(grid.ns[position])


def test_tables_of_one_threshold_follow_the_slider(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    ns, common = reading.grids["total"].ns, [threshold.ns for threshold in reading.thresholds.common("total")]
    seen = set()
    for position in range(0, len(ns), 5):
        slide(page, position)
        from_best, title = page.locator("#quality-0 [data-within] h4:visible").all_inner_texts()
        shown = page.locator("#quality-0 [data-within]:visible").evaluate_all("tables => tables.map(table => +table.dataset.within)")
        assert shown == [min(common, key=lambda bound: abs(np.log(bound / ns[position])))] * 2
        assert "Differences from the best" in from_best
        assert "Differences of tail quality" in title
        seen.add(title)
    assert len(seen) > 4


def test_on_the_other_clock_they_are_those_of_the_threshold_of_that_name(report: Any, page: Any) -> None:
    grid = readings(report.results, report.evidence)[0].grids["inference"]
    page.select_option("[data-clock]", "inference")
    for position, labels in enumerate(grid.labels):
        if labels:
            slide(page, position)
            _, title = page.locator("#quality-0 [data-within] h4:visible").all_inner_texts()
            shown = title.partition(" within ")[2].partition(" (")[0]
            assert shown in labels.split(", ")


def test_the_reference_is_flagged_at_its_own_percentiles(report: Any, page: Any) -> None:
    stored = [row for row in report.results.tables["tail_quality"].to_pylist() if row["metric"] == "top1" and row["slice"] == "all"]
    grid = readings(report.results, report.evidence)[0].grids["total"]
    for position, ns in enumerate(grid.ns):
        of_position = [row for row in stored if (row["clock"], row["threshold_ns"]) == ("total", ns) and row["threshold_origin"] != "own"]
        if of_position:
            slide(page, position)
            shown = dict(
                page.locator("tr[data-trial]").evaluate_all(
                    "rows => rows.map(row => [row.dataset.trial, row.querySelector('[data-cell=flags]').textContent])"
                )
            )
            for row in of_position:
                if row["threshold_origin"] == "reference":
                    wide = ["unsteady"] if is_unsteady(row["interval_low"], row["interval_high"], row["ideal"]) else []
                    assert shown[row["trial"]] == ", ".join(["done", *row["flags"], *wide])
    slide(page, 1)
    assert grid.labels[1] == ""
    assert not any("in-sample" in flags for flags in cells(page, "flags"))


def test_the_slider_moves_figures(report: Any, page: Any) -> None:
    see_all(page)

    def drawn(name: str) -> list[Any]:
        div = page.locator(f"[data-chart={name}-0]")
        div.scroll_into_view_if_needed()
        return json.loads(div.evaluate("div => JSON.stringify([div.data.map(trace => trace.y), div.layout.shapes])"))

    slide(page, 5)
    before = {name: drawn(name) for name in ("tail-quality", "percentiles", "ranking")}
    slide(page, 80)

    def moved(name: str) -> list[Any]:
        """What is drawn once it has changed: figures out of sight are drawn when they come into it."""
        for _ in range(100):
            if (now := drawn(name)) != before[name]:
                return now
            page.wait_for_timeout(50)
        pytest.fail(f"{name} does not move")

    after = {name: moved(name) for name in before}
    for name in ("tail-quality", "percentiles", "ranking"):
        assert before[name][0] == after[name][0]
        assert before[name][1] != after[name][1]


def test_a_common_threshold_and_the_other_clock_can_be_chosen(report: Any, page: Any) -> None:
    labels = page.locator("[data-marks] option").all_inner_texts()
    page.select_option("[data-marks]", label=next(label for label in labels if "p99" in label))
    total = cells(page, "mean"), cells(page, "p99")
    page.locator("[data-clock]").select_option("inference")
    assert page.locator("[data-clock-name]").inner_text() == "inference"
    assert (cells(page, "mean"), cells(page, "p99")) != total
    assert "p99" in page.locator("[data-threshold-label]").first.inner_text()


@pytest.fixture(scope="module", params=["light", "dark"])
def in_scheme(request: pytest.FixtureRequest, report: Any, visit: Callable[..., Any]) -> tuple[str, Any]:
    """Whether the system is light or dark, and a page there."""
    return request.param, visit(report.page, viewport=DESK, color_scheme=request.param).page


def test_the_system_chooses_light_or_dark_and_the_reader_the_other(in_scheme: tuple[str, Any]) -> None:
    scheme, page = in_scheme
    light = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
    other = "dark" if scheme == "light" else "light"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == light[scheme]
    page.locator("[data-chart=percentiles-0]").scroll_into_view_if_needed()
    font = "document.querySelector('[data-chart=percentiles-0]').layout.font.color"
    page.locator("[data-chart=percentiles-0] .main-svg").first.wait_for()
    before = page.evaluate(font)
    page.locator("#theme").click()
    assert page.evaluate(ground) == light[other]
    page.locator("[data-chart=percentiles-0]").scroll_into_view_if_needed()
    eventually(page, f"{font} !== '{before}'")
    page.locator("#theme").click()
    assert page.evaluate(ground) == light[scheme]


def test_a_phone_scrolls_tables_and_not_the_page(report: Any, visit: Callable[..., Any]) -> None:
    seen = visit(report.page, **PHONE)
    see_all(seen.page)
    for details in seen.page.locator("details").all():
        details.evaluate("element => element.open = true")
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    cut = "cell => cell.getBoundingClientRect().right > 390 || cell.scrollWidth > cell.clientWidth"
    assert seen.page.evaluate(f"[...document.querySelectorAll('#percentiles-0 td')].filter({cut}).length") == 0
    assert (
        seen.page.evaluate("getComputedStyle(document.querySelector('#percentiles-0 td[data-label=p50]'), '::before').content") == '"p50 "'
    )
    assert seen.page.evaluate("[...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth)")
    seen.page.evaluate("document.querySelector('#kept-0 [data-pick]').click()")
    fits = "name => name.clientWidth > 0 && name.scrollWidth <= name.clientWidth"
    assert seen.page.evaluate(f"[...document.querySelectorAll('[data-picked-name]')].every({fits})")
    assert seen.page.evaluate(
        "[...document.querySelectorAll('[data-chart=tail-quality-0] .annotation-text')].some(text => text.textContent.startsWith('ideal '))"
    )
    assert seen.said == []


def test_paper_gets_every_figure_on_a_light_ground(report: Any, visit: Callable[..., Any]) -> None:
    page = visit(report.page, viewport=DESK, color_scheme="dark").page
    assert page.locator(".plot:has(.main-svg)").count() < FIGURES
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.locator(".plot").count() == FIGURES
    assert page.evaluate(
        "[...document.querySelectorAll('.plot')].every(div => div.layout.width === 660 && div.layout.font.color === '#1b1f24')"
    )


def test_axe_finds_nothing_serious(in_scheme: tuple[str, Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing: pip install '.[test]'")
    _, page = in_scheme
    see_all(page)
    found = axe.Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_html_in_names_is_shown_as_text(hostile_report: Any, visit: Callable[..., Any]) -> None:
    seen = visit(hostile_report.page, viewport=DESK)
    see_all(seen.page)
    assert seen.said == []
    assert seen.asked == [hostile_report.page.as_uri()]
    assert seen.page.title() == "Tail quality: a <b>small</b> campaign"
    assert seen.page.locator("main img, main b, main i, main script").count() == 0
    text = seen.page.locator("body").inner_text()
    for name in ("<img src=x onerror=", "<b>small</b>", "</script><script>", "<i>tensorflow</i>", "&lt;host&gt;"):
        assert name in text
    bars = seen.page.locator("[data-chart=stages-0] .ytick text").all_text_contents()
    assert any("<b>small</b>" in label for label in bars)
