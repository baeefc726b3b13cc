from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.report.figures.reading import readings
from orchestrator.report.text import milliseconds, quality, quality_within

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DESK = {"width": 1440, "height": 900}
FIGURES = 11
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def unfold(page: Any) -> None:
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")


def see_all(page: Any) -> None:
    """Unfold the page and scroll through it so that every figure is drawn."""
    unfold(page)
    for figure in page.locator(".plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()


def eventually(page: Any, expression: str) -> None:
    """Wait until something is true of the page; Playwright's own way would evaluate text, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def cells(page: Any, name: str) -> list[str]:
    """Return the cells of a column of the ranking in the order of the trials, wherever these stand now."""
    found = page.locator("tr[data-entry]").evaluate_all(
        "(rows, name) => rows.map(row => [Number(row.dataset.entry.slice(1)), row.querySelector(`[data-cell=${name}]`).textContent])", name
    )
    return [text for _, text in sorted(found)]


def slide(page: Any, position: int) -> None:
    page.locator("[data-slider]").evaluate(
        "(slider, position) => { slider.value = position; slider.dispatchEvent(new Event('input', {bubbles: true})); }", position
    )


@pytest.fixture(scope="module")
def opened(report: Any, visit: Callable[..., Any]) -> Any:
    """A page that several tests look at: drawing all of it takes seconds."""
    return visit(report.page, viewport=DESK)


@pytest.fixture
def page(opened: Any) -> Any:
    """The same page with its controls where they were when it was opened."""
    unfold(opened.page)
    opened.page.select_option("[data-clock]", "total")
    opened.page.locator("[data-all]").click()
    slide(opened.page, 0)
    return opened.page


def test_nothing_is_asked_for_and_nothing_goes_wrong(report: Any, visit: Callable[..., Any]) -> None:
    seen = visit(report.page, viewport=DESK)
    see_all(seen.page)
    assert seen.said == []
    assert seen.asked == [report.page.as_uri()]
    assert seen.page.locator(".plot").count() == FIGURES


def test_every_position_of_the_slider_shows_what_python_computed(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    grid = reading.grids["total"]
    for position in range(0, len(grid.ns), 7):
        slide(page, position)
        curves = [reading.curves["total", entry.key] for entry in reading.entries]
        assert cells(page, "mean") == [quality(curve.mean[position]) for curve in curves]
        assert cells(page, "worst") == [quality(curve.worst[position]) for curve in curves]
        assert cells(page, "interval") == [quality_within(curve.low[position], curve.high[position]) for curve in curves]
        assert page.locator("output[data-threshold]").inner_text() == milliseconds(grid.ns[position])


def test_tables_of_one_threshold_follow_the_slider(report: Any, page: Any) -> None:
    reading = readings(report.results, report.evidence)[0]
    ns, common = reading.grids["total"].ns, [threshold.ns for threshold in reading.thresholds.common("total")]
    seen = set()
    for position in range(0, len(ns), 5):
        slide(page, position)
        (title,) = page.locator("#quality-0 [data-within] h4:visible").all_inner_texts()
        (shown,) = page.locator("#quality-0 [data-within]:visible").evaluate_all("tables => tables.map(table => +table.dataset.within)")
        assert shown == min(common, key=lambda bound: abs(np.log(bound / ns[position])))
        assert "Differences of tail quality" in title
        seen.add(title)
    assert len(seen) > 4


def test_on_the_other_clock_they_are_those_of_the_threshold_of_that_name(report: Any, page: Any) -> None:
    grid = readings(report.results, report.evidence)[0].grids["inference"]
    page.select_option("[data-clock]", "inference")
    for position, labels in enumerate(grid.labels):
        if labels:
            slide(page, position)
            (title,) = page.locator("#quality-0 [data-within] h4:visible").all_inner_texts()
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
                    assert shown[row["trial"]] == ", ".join(["done", *row["flags"]])
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
    before = {name: drawn(name) for name in ("rounds", "rounds-histogram", "tail-quality", "percentiles", "ranking")}
    slide(page, 80)

    def moved(name: str) -> list[Any]:
        """What is drawn once it has changed: figures out of sight are drawn when they come into it."""
        for _ in range(100):
            if (now := drawn(name)) != before[name]:
                return now
            page.wait_for_timeout(50)
        pytest.fail(f"{name} does not move")

    after = {name: moved(name) for name in before}
    for name in ("rounds", "rounds-histogram"):
        assert before[name][0] != after[name][0]
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


def traces(page: Any, name: str) -> list[Any]:
    """Return trial and opacity of the lines of a figure."""
    div = page.locator(f"[data-chart={name}-0]")
    div.scroll_into_view_if_needed()
    div.locator(".main-svg").first.wait_for()
    return json.loads(div.evaluate("div => JSON.stringify(div.data.filter(trace => trace.hoverinfo !== 'skip').map(trace => [trace.meta, trace.opacity]))"))


def test_a_trial_is_picked_and_hidden_from_legend_table_and_figure_alike(page: Any) -> None:
    for place in (".legend", "#ranking-table-0", "#kept-0", ".strips"):
        page.locator(f"{place} [data-pick=e2]:visible").first.click()
        assert page.locator("[data-picked-name]").inner_text() == page.locator("#kept-0 [data-pick=e2]").first.inner_text().strip()
        assert page.locator("[data-pick=e2]:visible").evaluate_all("all => all.every(one => one.getAttribute('aria-pressed') === 'true')")
        assert {key for key, opacity in traces(page, "tail-quality") if opacity == 1} == {"e2"}
        page.locator("[data-hide]").click()
        eventually(page, "!document.querySelector('[data-chart=tail-quality-0]').data.some(trace => trace.meta === 'e2')")
        assert not page.locator("tr[data-entry=e2] [data-shown]").is_checked()
        assert {key for key, _ in traces(page, "density")} == {"e1", "e3", "e4"}
        page.locator("[data-all]").click()
    page.evaluate(
        "document.querySelector('[data-chart=tail-quality-0]').emit('plotly_click', {points: [{data: {meta: 'e3'}}]})"
    )
    assert page.locator("tr[data-entry=e3]").evaluate("row => row.classList.contains('is-picked')")
    page.locator("[data-only]").click()
    assert {key for key, _ in traces(page, "percentiles")} == {"e3"}
    page.locator("tr[data-entry=e1] [data-shown]").check()
    assert {key for key, _ in traces(page, "percentiles")} == {"e1", "e3"}


def test_the_slider_keeps_the_zoom_and_a_double_click_ends_it(page: Any) -> None:
    div = page.locator("[data-chart=tail-quality-0]")
    div.scroll_into_view_if_needed()
    box = div.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=4)
    page.mouse.up()
    zoomed = "JSON.stringify(document.querySelector('[data-chart=tail-quality-0]').layout.xaxis.range)"
    eventually(page, f"document.querySelector('[data-chart=tail-quality-0]').layout.xaxis.autorange === false && {zoomed} !== undefined")
    before = page.evaluate(zoomed)
    slide(page, 40)
    assert page.evaluate(zoomed) == before
    div.locator(".nsewdrag").first.dblclick()
    eventually(page, f"{zoomed} !== '{before}'")


def test_the_deadline_is_dragged_in_the_figure(page: Any) -> None:
    slide(page, 40)
    div = page.locator("[data-chart=tail-quality-0]")
    div.scroll_into_view_if_needed()
    eventually(page, "document.querySelector('[data-chart=tail-quality-0]').dataset.drawnAt === '40'")
    before, box = page.locator("output[data-threshold]").inner_text(), div.locator(".handle").bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 68, box["y"] + 50, steps=3)
    page.mouse.up()
    assert page.locator("output[data-threshold]").inner_text() != before
    assert int(page.locator("[data-slider]").input_value()) > 40


def test_the_address_restores_the_view(report: Any, page: Any, visit: Callable[..., Any]) -> None:
    page.select_option("[data-clock]", "inference")
    slide(page, 30)
    page.locator("#kept-0 [data-pick=e4]:visible").click()
    page.locator("tr[data-entry=e1] [data-shown]").uncheck()
    view = page.evaluate("location.hash")
    assert view.startswith("#t=")
    assert "clock=inference" in view
    other = visit(report.page, view, viewport=DESK).page
    for name in ("place", "mean", "interval", "worst", "flags"):
        assert cells(other, name) == cells(page, name)
    assert other.evaluate("location.hash") == view
    assert other.locator("[data-clock]").input_value() == "inference"
    assert other.locator("tr.is-picked").first.get_attribute("data-entry") == "e4"
    assert not other.locator("tr[data-entry=e1] [data-shown]").is_checked()


def test_every_table_can_be_copied_as_csv(page: Any) -> None:
    buttons = page.locator("[data-copy]")
    tables = page.locator(".table table")
    assert buttons.count() == tables.count() > 8
    for table in page.locator(".table:has(table)").all():
        text = table.evaluate("table => asCsv(table.querySelector('table'))")
        read = list(csv.reader(io.StringIO(text)))
        shown = table.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim().replace(/\\s+/g, ' ')))")
        assert [[cell.removeprefix("'") for cell in row] for row in read] == [[cell.removeprefix("'") for cell in row] for row in shown]
    buttons.first.click()
    eventually(page, "document.querySelector('[data-copy]').dataset.copied?.startsWith('place,trial')")


def test_hover_answers_wherever_the_pointer_is_over_a_figure(page: Any) -> None:
    for name in ("tail-quality", "percentiles", "stages", "density", "ranking"):
        div = page.locator(f"[data-chart={name}-0]")
        div.scroll_into_view_if_needed()
        div.locator(".main-svg").first.wait_for()
        page.evaluate("name => document.querySelector(`[data-chart=${name}-0]`).scrollIntoView({block: 'center'})", name)
        page.wait_for_timeout(100)
        box = div.locator(".nsewdrag").first.bounding_box()
        for across, up in ((0.03, 0.05), (0.97, 0.06), (0.03, 0.94), (0.5, 0.5), (0.75, 0.3), (0.97, 0.9)):
            page.mouse.move(5, 5)
            page.mouse.move(box["x"] + across * box["width"], box["y"] + up * box["height"])
            eventually(page, f"document.querySelector('[data-chart={name}-0] .hoverlayer .hovertext') !== null")


def test_the_keyboard_reaches_everything_and_moves_along_rounds(page: Any) -> None:
    page.locator("#theme").focus()
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        where = page.evaluate("(() => { const at = document.activeElement; return [...document.querySelectorAll('a, button, input, select, summary, canvas, .scroll')].indexOf(at) })()")
        if where in reached or where < 0:
            break
        reached.add(where)
    unreached = page.evaluate(
        "reached => [...document.querySelectorAll('a, button, input, select, summary, canvas, .scroll')]"
        ".filter((one, index) => one.id !== 'theme' && one.offsetParent && !one.disabled && !reached.includes(index)).map(one => one.outerHTML)",
        list(reached),
    )
    assert unreached == []
    strip = page.locator("[data-strip]").first
    strip.focus()
    page.keyboard.press("ArrowRight")
    assert strip.get_attribute("aria-valuetext").startswith("round 1: ")
    page.keyboard.press("ArrowRight")
    assert strip.get_attribute("aria-valuetext").startswith("round 2: ")


def test_what_stands_before_the_folded_part_is_short(report: Any, visit: Callable[..., Any]) -> None:
    # For 8 trials at most 5 screens of a desk and 9 of a phone; these are 4, whose rows take half of the room.
    for view, most in ((dict(viewport=DESK), 3.8), (PHONE, 7)):
        page = visit(report.page, **view).page
        for figure in page.locator(".plot:visible").all():
            figure.scroll_into_view_if_needed()
            figure.locator(".main-svg").first.wait_for()
        screens = page.evaluate("(document.querySelector('.statistician').getBoundingClientRect().top + scrollY) / innerHeight")
        assert 1 < screens <= most
        first = page.evaluate("document.querySelector('.answer').getBoundingClientRect().bottom + scrollY")
        assert view is PHONE or first <= DESK["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_system_chooses_light_or_dark_and_the_reader_the_other(report: Any, visit: Callable[..., Any], scheme: str) -> None:
    page = visit(report.page, viewport=DESK, color_scheme=scheme).page
    light = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
    other = "dark" if scheme == "light" else "light"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == light[scheme]
    page.locator("[data-chart=density-0]").scroll_into_view_if_needed()
    font = "document.querySelector('[data-chart=density-0]').layout.font.color"
    page.locator("[data-chart=density-0] .main-svg").first.wait_for()
    before = page.evaluate(font)
    page.locator("#theme").click()
    assert page.evaluate(ground) == light[other]
    unfold(page)
    page.locator("[data-chart=density-0]").scroll_into_view_if_needed()
    eventually(page, f"{font} !== '{before}'")


def test_a_phone_scrolls_tables_and_not_the_page(report: Any, visit: Callable[..., Any]) -> None:
    seen = visit(report.page, **PHONE)
    see_all(seen.page)
    for details in seen.page.locator("details").all():
        details.evaluate("element => element.open = true")
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    assert seen.page.evaluate("[...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth)")
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(report: Any, visit: Callable[..., Any], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing: pip install '.[test]'")
    page = visit(report.page, viewport=DESK, color_scheme=scheme).page
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
