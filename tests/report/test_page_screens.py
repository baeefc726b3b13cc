"""How long pages of 8 and of 24 trials are, and what they weigh."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE

from orchestrator.report.html.page import render

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VIEWS: dict[str, dict[str, Any]] = {"desk": {"viewport": DESK}, "phone": PHONE}


@pytest.fixture(scope="module")
def pages(crowd: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Pages of so many trials, by their number."""
    folder = tmp_path_factory.mktemp("pages")
    (group,) = crowd.results.groups
    found = {24: crowd.page, 8: folder / "8.html"}
    found[8].write_text(render(replace(crowd.results, groups=(replace(group, trials=group.trials[:8]),)), crowd.evidence), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def look(pages: dict[int, Path], visit: Callable[..., Any]) -> Callable[[int, str], Any]:
    """Open the page of so many trials on a desk or on a phone; each is opened once."""
    return cache(lambda trials, place: visit(pages[trials], **VIEWS[place]).page)


@pytest.mark.parametrize(("trials", "place", "most"), [(8, "desk", 5), (8, "phone", 9), (24, "desk", 7)])
def test_what_stands_before_the_folded_part_is_short(look: Callable[[int, str], Any], trials: int, place: str, most: int) -> None:
    page = look(trials, place)
    assert page.locator("tr[data-entry]").count() == trials
    for figure in page.locator(".plot:visible").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
    screens = page.evaluate("(document.querySelector('.statistician').getBoundingClientRect().top + scrollY) / innerHeight")
    assert 1 < screens <= most
    first = page.evaluate("document.querySelector('.answer').getBoundingClientRect().bottom + scrollY")
    assert place == "phone" or first <= DESK["height"]


def test_the_page_of_eight_trials_weighs_at_most_two_megabytes(pages: dict[int, Path]) -> None:
    """With a margin: some campaigns have more rounds and longer names."""
    assert pages[8].stat().st_size <= 1_900_000


def test_every_one_of_many_trials_is_drawn_in_the_panel_of_its_model(look: Callable[[int, str], Any]) -> None:
    page = look(24, "desk")
    panels = page.locator("#figure-tail-quality-0 .plot")
    panels.last.scroll_into_view_if_needed()
    for panel in panels.all():
        panel.locator(".main-svg").first.wait_for()
    drawn = panels.evaluate_all("divs => divs.map(div => [...new Set(div.data.map(trace => trace.meta))].length)")
    assert drawn == [8, 8, 8]
    assert page.locator("#figure-tail-quality-0 .panel-title").all_inner_texts() == ["null", "other", "third"]
    named = panels.evaluate_all("divs => divs.map(div => div.layout.annotations.filter(one => one.name).map(one => one.text))")
    assert [len(of_panel) for of_panel in named] == [8, 8, 8], "each line is named at its end, and no legend says it again"
    assert all(re.match(r"(one|two|three|four)( · |<br>)(torch|onnxruntime) <b>\d", text) for of_panel in named for text in of_panel)
    assert page.locator("#figure-tail-quality-0 .legend:visible").count() == 0
    covered = """divs => divs.flatMap(div => {
        const over = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
        const handle = div.querySelector(".handle").getBoundingClientRect();
        return [...div.querySelectorAll(".xtick text, .ytick text, .xtitle")].filter(text => over(handle, text.getBoundingClientRect()));
    }).length"""
    assert panels.evaluate_all(covered) == 0
    assert set(page.locator("#figure-tail-quality-0 .handle span").all_inner_texts()) == {
        page.locator("output[data-threshold]").inner_text()
    }
