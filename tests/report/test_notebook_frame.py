from pathlib import Path
from typing import Any

import pytest

import tail_quality as tq

pytestmark = pytest.mark.slow


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
    deadlines = []
    for position in (0, 5):
        frame.locator("[data-slider]").evaluate(
            "(slider, position) => { slider.value = position; for (const name of ['input', 'change']) slider.dispatchEvent(new Event(name)); }",
            position,
        )
        deadlines.append(frame.locator("[data-deadline]").first.inner_text())
    page.close()
    assert (len(set(deadlines)), said) == (2, [])
