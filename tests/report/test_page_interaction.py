from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from browsing import DESK, cells, eventually, see_all, slide

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def traces(page: Any, name: str) -> list[Any]:
    """Return trial and opacity of the lines of a figure."""
    div = page.locator(f"[data-chart={name}-0]")
    div.scroll_into_view_if_needed()
    eventually(page, f"charts.get('{name}-0').inView && !charts.get('{name}-0').stale")
    return json.loads(
        div.evaluate(
            "div => JSON.stringify(div.data.filter(trace => trace.hoverinfo !== 'skip').map(trace => [trace.meta, trace.opacity]))"
        )
    )


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
    page.evaluate("document.querySelector('[data-chart=tail-quality-0]').emit('plotly_click', {points: [{data: {meta: 'e3'}}]})")
    assert page.locator("tr[data-entry=e3]").evaluate("row => row.classList.contains('is-picked')")
    page.locator("[data-only]").click()
    assert {key for key, _ in traces(page, "percentiles")} == {"e3"}
    page.locator("tr[data-entry=e1] [data-shown]").check()
    assert {key for key, _ in traces(page, "percentiles")} == {"e1", "e3"}


def test_a_button_of_the_legend_stays_while_its_figure_is_drawn_anew(page: Any) -> None:
    """A click that begins before and ends afterwards is a click."""
    traces(page, "tail-quality")
    button = page.locator(".legend [data-pick=e2]:visible").first.element_handle()
    slide(page, 30)
    eventually(page, "document.querySelector('[data-chart=tail-quality-0]').dataset.drawnAt === '30'")
    assert button.evaluate("button => button.isConnected")


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
    for _ in range(20):  # on a busy machine two clicks may lie too far apart to be a double click
        div.locator(".nsewdrag").first.dblclick()
        page.wait_for_timeout(500)
        if page.evaluate(zoomed) != before:
            return
    raise AssertionError(f"no double click ended the zoom to {before}")


def test_the_deadline_is_dragged_in_the_figure(page: Any) -> None:
    slide(page, 40)
    div = page.locator("[data-chart=tail-quality-0]")
    div.scroll_into_view_if_needed()
    eventually(page, "document.querySelector('[data-chart=tail-quality-0]').dataset.drawnAt === '40'")
    before, box = page.locator("output[data-threshold]").inner_text(), div.locator(".handle").bounding_box()
    page.mouse.move(box["x"] + 14, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 74, box["y"] + 8, steps=3)
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
        shown = table.locator("tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim().replace(/\\s+/g, ' ')))"
        )
        assert [[cell.removeprefix("'") for cell in row] for row in read] == [[cell.removeprefix("'") for cell in row] for row in shown]
    buttons.first.click()
    eventually(page, "document.querySelector('[data-copy]').dataset.copied?.startsWith('place,trial')")


def test_hover_answers_wherever_the_pointer_is_over_a_figure(page: Any) -> None:
    see_all(page)  # figures that are drawn later would move the others
    for name in ("tail-quality", "percentiles", "stages", "density", "ranking"):
        page.locator(f"[data-chart={name}-0]").evaluate("div => div.scrollIntoView({block: 'center'})")
        box = page.locator(f"[data-chart={name}-0] .nsewdrag").first.bounding_box()
        for across, up in ((0.03, 0.05), (0.97, 0.06), (0.03, 0.94), (0.5, 0.5), (0.75, 0.3), (0.97, 0.9)):
            page.mouse.move(5, 5)
            page.mouse.move(box["x"] + across * box["width"], box["y"] + up * box["height"], steps=3)
            eventually(page, f"document.querySelector('[data-chart={name}-0] .hoverlayer .hovertext') !== null")


def test_the_keyboard_reaches_everything_and_moves_along_rounds(page: Any) -> None:
    see_all(page)  # figures that are drawn later would bring legends of their own
    everything = "[...document.querySelectorAll('a, button, input, select, summary, canvas, .scroll')]"
    page.locator(".command summary").focus()
    reached = set()
    while True:
        where = page.evaluate(f"{everything}.indexOf(document.activeElement)")
        if where in reached or where < 0:
            break
        reached.add(where)
        page.keyboard.press("Tab")
    unreached = page.evaluate(
        f"reached => {everything}.filter((one, index) => one.offsetParent && !one.disabled && !reached.includes(index)).map(one => one.outerHTML)",
        list(reached),
    )
    assert unreached == []
    strip = page.locator("[data-strip]").first
    strip.focus()
    page.keyboard.press("ArrowRight")
    assert strip.get_attribute("aria-valuetext").startswith("round 1: ")
    page.keyboard.press("ArrowRight")
    assert strip.get_attribute("aria-valuetext").startswith("round 2: ")
