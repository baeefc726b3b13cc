from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE, cells, eventually, see_all, slide

import tail_quality as tq
from orchestrator.analysis.reading import readings
from orchestrator.report.text import milliseconds, quality, quality_within

pytestmark = pytest.mark.slow
GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
MARK = "[...document.querySelectorAll('[data-chart=tail-quality-0] text')].map(text => text.textContent).find(text => text.endsWith(' ms'))"


def test_nothing_is_asked_for_and_nothing_goes_wrong(small: Any, opened: Any) -> None:
    see_all(opened.page)
    assert opened.said == []
    assert opened.asked == [small.page.as_uri()]


def test_every_position_of_the_slider_shows_what_python_computed(small: Any, page: Any) -> None:
    [reading] = readings(small.results)
    keys = reading.short_keys()
    for clock in reading.clocks:
        page.select_option("[data-clock]", clock)
        grid = reading.grids[clock]
        for position in range(0, len(grid.ns), 14):
            slide(page, position)
            curves = {keys[entry.key]: reading.curves[clock, entry.key] for entry in reading.systems}
            ranks = {keys[entry.key]: int(reading.ranks(clock)[entry.key][position]) for entry in reading.systems}
            assert cells(page, "place") == {key: str(place) for key, place in ranks.items()}
            assert list(cells(page, "place").values()) == [str(place) for place in sorted(ranks.values())]
            assert cells(page, "mean") == {key: quality(curve.mean[position]) for key, curve in curves.items()}
            assert cells(page, "worst") == {key: quality(curve.worst[position]) for key, curve in curves.items()}
            assert cells(page, "interval") == {
                key: quality_within(curve.low[position], curve.high[position], curve.ideal) for key, curve in curves.items()
            }
            assert page.locator("output[data-deadline]").inner_text().startswith(milliseconds(grid.ns[position]))


def test_the_slider_moves_the_mark_in_the_chart_and_the_address_keeps_it(small: Any, page: Any, visit: Callable[..., Any]) -> None:
    see_all(page)
    before = page.evaluate(MARK)
    slide(page, 40)
    eventually(page, f"{MARK} !== '{before}'")
    other = visit(small.page, page.evaluate("location.hash"), viewport=DESK).page
    assert cells(other, "mean") == cells(page, "mean")
    assert other.locator("output[data-deadline]").inner_text() == page.locator("output[data-deadline]").inner_text()


@pytest.fixture(scope="module", params=["light", "dark"])
def in_scheme(request: pytest.FixtureRequest, small: Any, opened: Any, visit: Callable[..., Any]) -> tuple[str, Any]:
    """Whether the system is light or dark, and a page there."""
    return request.param, opened.page if request.param == "light" else visit(small.page, viewport=DESK, color_scheme="dark").page


def test_the_system_chooses_light_or_dark_and_the_reader_the_other(in_scheme: tuple[str, Any]) -> None:
    scheme, page = in_scheme
    see_all(page)
    ink = "document.querySelector('[data-chart=tail-quality-0] .role-axis-label text').getAttribute('fill')"
    before = page.evaluate(ink)
    assert page.evaluate(GROUND) == LIGHT[scheme]
    page.locator("#theme").click()
    assert page.evaluate(GROUND) == LIGHT["dark" if scheme == "light" else "light"]
    eventually(page, f"{ink} !== '{before}'")
    page.locator("#theme").click()
    assert page.evaluate(GROUND) == LIGHT[scheme]


def test_axe_finds_nothing(in_scheme: tuple[str, Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing: pip install '.[test]'")
    scheme, page = in_scheme
    see_all(page)
    colours_alone = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}  # all else is as in a light page
    found = axe.Axe().run(page, options={"resultTypes": ["violations"], **colours_alone}).response
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def test_a_phone_scrolls_tables_and_not_the_page(small: Any, visit: Callable[..., Any]) -> None:
    seen = visit(small.page, **PHONE)
    see_all(seen.page)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    cut = "cell => cell.getBoundingClientRect().right > 390"
    assert seen.page.evaluate(f"[...document.querySelectorAll('.ranking td')].filter({cut}).length") == 0
    assert seen.said == []


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


def test_a_notebook_shows_a_table_and_a_chart_with_a_slider(chromium: Any, tmp_path: Path) -> None:
    result = tq.measure(abs, [1, -2], [1, 2], deadline="20 ms", rounds=2, say=None)
    place = tmp_path / "cell.html"
    place.write_text(f"<!doctype html><title>cell</title>{result._repr_html_()}")
    page, said = chromium.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(place.as_uri())
    assert "Kept within 20 ms" in page.locator("pre").inner_text()
    frame = page.frame_locator("iframe")
    frame.locator("[data-chart=tail-quality-0] svg.marks").wait_for()
    deadlines = set()
    for position in (0, 5):
        slide(frame, position)
        deadlines.add(frame.locator("[data-deadline]").first.inner_text())
    page.close()
    assert (len(deadlines), said) == (2, [])
