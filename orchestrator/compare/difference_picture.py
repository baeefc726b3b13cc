"""The picture of a comparison: each trial's difference between fresh processes with its limits, over the noise floor."""

from collections.abc import Sequence

from orchestrator.compare.campaigns import Comparison
from orchestrator.compare.comparison_tables import names_of, threshold_text
from orchestrator.compare.rows import WORSE, Compared
from orchestrator.report.chart_files import svg_of
from orchestrator.report.charts.draw import Spec, channel, whole
from orchestrator.report.text import printable, signed

MOST_LETTERS = 60
COLOURS = {WORSE: "#b3261e", "better": "#00694a"}
NOTE = (
    "Dot and line: the difference between means of fresh processes, with its limits for all rows together. Grey band: the noise "
    "floor, the smallest drop that these repeats would find with 80 % probability. Left of zero the candidate is worse."
)
"""What the marks mean."""


def difference_picture(comparison: Comparison) -> str | None:
    """Return the picture as SVG, worst trials on top, or None where no trial has a difference with bounds."""
    spec = difference_spec(comparison)
    return None if spec is None else svg_of(spec, "Differences of mean tail quality, candidate minus baseline")


def difference_spec(comparison: Comparison) -> Spec | None:
    """Return the specification of the picture, or None where no trial has a difference with bounds."""
    known = [row for row in comparison.rows if row.verdict is not None and row.verdict.found.method != "none"]
    rows = [_row(at, row, names) for at, (row, names) in enumerate(zip(known, names_of(comparison, known), strict=True))]
    if not rows:
        return None
    reach = max(1e-6, *(1.05 * max(map(abs, (row["low"], row["high"], row["floor"]))) for row in rows))
    places = {"y": {"field": "at", "type": "ordinal", "axis": None}}
    colour = {"color": {"field": "colour", "type": "nominal", "scale": None}}
    x = channel("difference", "difference of mean tail quality: left of 0 worse, right of it better", domain=[-reach, reach])
    marks: list[tuple[Spec, Spec]] = [
        (
            {"type": "bar", "height": 14, "yOffset": 8, "color": "#9aa3ad", "opacity": 0.35},
            {"x": x | {"field": "under"}, "x2": {"field": "floor"}},
        ),
        ({"type": "rule", "strokeWidth": 2, "yOffset": 8}, {"x": x | {"field": "low"}, "x2": {"field": "high"}, **colour}),
        ({"type": "circle", "size": 70, "opacity": 1, "yOffset": 8}, {"x": x, **colour}),
        ({"type": "text", "align": "left", "yOffset": -8}, {"x": {"value": 0}, "text": {"field": "words"}, **colour}),
    ]
    layers = [{"mark": kind, "encoding": places | encoding} for kind, encoding in marks]
    zero = {"data": {"values": [{"difference": 0}]}, "mark": {"type": "rule", "strokeWidth": 1}, "encoding": {"x": x}}
    return whole(rows, [zero, *layers]) | {"height": {"step": 38}}


def _row(at: int, row: Compared, names: Sequence[str]) -> Spec:
    assert row.verdict is not None
    found, floor = row.verdict.found, row.verdict.detectable_drop
    limits = {"low": found.low, "high": found.high, "floor": floor, "under": -floor}
    words = f"{label_of(row, names)}: {signed(found.difference)} {row.kind}"
    return {"at": at, "words": printable(words), "difference": found.difference, "colour": COLOURS.get(row.kind, "#1b1f24"), **limits}


def label_of(row: Compared, names: Sequence[str]) -> str:
    """Return the names that tell a row from the others, with its threshold; an overlong one is cut in its middle."""
    text = ", ".join([*names, threshold_text(row)])
    half = MOST_LETTERS // 2
    return text if len(text) <= MOST_LETTERS else f"{text[:half]} … {text[-half:]}"
