"""The answer of the page follows the slider, the clock and a link, in the words that Python has for the same deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import cells, follow, slide

from orchestrator.analysis.reading import Reading, readings
from orchestrator.report.html.page import render
from orchestrator.report.text import milliseconds, quality

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def said(page: Any) -> list[str]:
    return list(page.locator(".answer dd").all_text_contents())


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
