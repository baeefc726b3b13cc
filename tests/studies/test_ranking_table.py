"""The table of what a closed loop and arrivals rank differently, made of rows of tail quality."""

from __future__ import annotations

import pytest

from benchmarks.ranking import DOCUMENT, END, MARKER, lines_of, written


def row(model: str, clock: str, mean: float, around: float, kind: str) -> dict[str, object]:
    figures = {"mean": mean, "interval_low": mean - around, "interval_high": mean + around, "flags": []}
    return {"trial": f"{model}-{kind}", "model": model, "runtime": "torch", "clock": clock, **figures}


def rows(closed: tuple[float, float], under_load: tuple[float, float], around: float = 0.01) -> list[dict[str, object]]:
    found = [row(model, "total", mean, around, "closed") for model, mean in zip("ab", closed, strict=True)]
    for clock, shift in (("total", 0.1), ("response", 0.0)):
        found += [row(model, clock, mean + shift, around, "open") for model, mean in zip("ab", under_load, strict=True)]
    return found


@pytest.mark.parametrize(
    ("closed", "under_load", "around", "told", "differs"),
    [
        ((0.9, 0.8), (0.4, 0.7), 0.01, "Back to back a, torch is first, and under arrivals b, torch; the intervals of both", True),
        ((0.9, 0.8), (0.7, 0.4), 0.01, "the order is the same", False),
        ((0.9, 0.8), (0.65, 0.7), 0.04, "but the intervals overlap under arrivals: a tie there", False),
    ],
)
def test_the_order_changes_only_where_intervals_lie_apart(
    closed: tuple[float, float], under_load: tuple[float, float], around: float, told: str, differs: bool
) -> None:
    lines, found = lines_of(rows(closed, under_load, around), "poisson 30/s")
    assert found is differs
    assert told in lines[-1]
    assert lines[0] == "| one core, top-1 within 60 ms | closed loop | poisson 30/s |"
    assert f"**{max(closed):.3f}**" in lines[2]


def test_a_trial_that_is_missing_is_told() -> None:
    with pytest.raises(SystemExit, match="two systems"):
        lines_of(rows((0.9, 0.8), (0.4, 0.7))[:-1], "poisson 30/s")


def test_lines_go_to_the_one_place_of_the_document() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    lines, _ = lines_of(rows((0.9, 0.8), (0.4, 0.7)), "poisson 30/s")
    once = written(document, lines)
    assert written(once, lines) == once
    assert once.index(MARKER) < once.index(lines[0]) < once.index(END, once.index(MARKER))
    with pytest.raises(SystemExit, match="needs one place"):
        written("no marker", lines)
