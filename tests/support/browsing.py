"""What tests of pages in a browser share."""

from typing import Any

DESK = {"width": 1280, "height": 900}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def see_all(page: Any) -> None:
    """Unfold the page and scroll through it so that every chart is drawn."""
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.marks").first.wait_for()


def eventually(page: Any, expression: str) -> None:
    """Wait until something is true of the page; Playwright's own way would evaluate text, which the page's policy forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def cells(page: Any, name: str) -> dict[str, str]:
    """Return the cells of a column of the ranking by the key of the system."""
    found = page.locator("tr[data-system]").evaluate_all(
        "(rows, name) => rows.map(row => [row.dataset.system, row.querySelector(`[data-cell=${name}]`).textContent])", name
    )
    return dict(found)


def slide(page: Any, position: int) -> None:
    page.locator("[data-slider]").evaluate(
        "(slider, position) => { slider.value = position; for (const name of ['input', 'change']) slider.dispatchEvent(new Event(name)); }",
        position,
    )
