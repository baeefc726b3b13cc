"""Tail quality of replayed trials against the rate of arrivals, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.groups import Group
from orchestrator.report.chart_files import stacked, svg_of
from orchestrator.report.charts.draw import by_name, channel, level, mark, rounded, whole
from orchestrator.report.colours import DASHES
from orchestrator.report.replayed import words_of
from orchestrator.report.table import who
from orchestrator.report.text import printable, quality


def replay_picture(answers: Sequence[tuple[Group, Sequence[Row]]]) -> str | None:
    """Return the picture, one panel a group; None where no group has rows of two rates or more."""
    panels = [_panel(*one) for one in answers if len({row["rate_per_s"] for row in one[1]}) > 1]
    return stacked(panels) if panels else None


def _panel(group: Group, rows: Sequence[Row]) -> str:
    """Return a line for every trial, and a dashed one of its colour with its fallback."""
    lines, styles = [], {}
    for number, trial in enumerate(dict.fromkeys(row["trial"] for row in rows)):
        own = [row for row in rows if row["trial"] == trial]
        name = printable(" ".join(filter(None, who(own[0], group))))
        for place, (kind, column) in enumerate((("", "mean"), (" with fallback", "fallback_mean"))):
            if own[0][column] is not None:
                label = f"{quality(own[-1][column])} {name}{kind}"
                x, y = (rounded(row[of] for row in own) for of in ("rate_per_s", column))
                lines.append({"s": label, "x": x, "y": y})
                styles[label] = number % 8, DASHES[place]
    ideals = {row["ideal"] for row in rows}
    layers = {
        "layer": [mark("line"), mark("point")],
        "encoding": {
            **by_name(styles),
            "x": channel("x", "samples a second", log=True),
            "y": channel("y", f"mean {printable(rows[0]['metric'])}", zero=True),
        },
    }
    over = level({"ideal": ideals.pop()} if len(ideals) == 1 else {})
    return svg_of(whole(lines, [layers, *over]), f"{group.task}: {words_of(rows[0])}")
