"""What tests of pages in a browser share."""

from __future__ import annotations

from typing import Any

DESK = {"width": 1440, "height": 900}
FIGURES = 11
"""In the page of the small campaign."""
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


def follow(page: Any, view: str) -> None:
    """Follow a link within the page, which reads it as it does when it is opened."""
    page.evaluate("view => new Promise(read => { addEventListener('hashchange', read, {once: true}); location.hash = view; })", view)
