"""What is shown of replayed trials: tables, and tail quality against the rate of arrivals."""

from collections.abc import Iterator, Sequence

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import Row
from orchestrator.analysis.tables.replay import MEASURED, REPLAY, REPLAYED, STREAKS
from orchestrator.report.chart_files import stacked, svg_of
from orchestrator.report.charts.draw import DASHES, by_name, channel, level, mark, rounded, whole
from orchestrator.report.result_tables import text_table
from orchestrator.report.table import Table, who
from orchestrator.report.text import milliseconds, printable, quality


def replay_tables(group: Group, rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the tables of a group, from its rows of ``replay.parquet``, at least one."""
    measured = [row for row in rows if row["measured"] is not None]
    for view, some in ((REPLAYED, rows), (STREAKS, rows), (MEASURED, measured)):
        if some:
            yield text_table(view, REPLAY, group, some, None, asked=_words_of(rows[0]))


def _words_of(row: Row) -> str:
    """Return what was asked: law, rule and bound, such as ``poisson, newest, within 50 ms``."""
    burstiness, limit, time = row["burstiness"], row["queue_limit"], row["threshold_ns"]
    of_reference = row["threshold_origin"] == "reference"
    parts = [
        row["law"] + (f" of burstiness {burstiness:g}" if burstiness is not None else ""),
        f"in groups of {row['group']}" if row["group"] > 1 else "",
        row["policy"],
        f"at most {limit} waiting" if limit is not None else "",
        f"response within {row['threshold']}{f' ({milliseconds(time)})' if of_reference else ''}",
    ]
    return ", ".join(filter(None, parts))


def replay_picture(answers: Sequence[tuple[Group, Sequence[Row]]]) -> str | None:
    """Return SVG with a panel a group; None where no group has rows of two rates or more."""
    panels = [_panel(*one) for one in answers if len({row["rate_per_s"] for row in one[1]}) > 1]
    return stacked(panels) if panels else None


def _panel(group: Group, rows: Sequence[Row]) -> str:
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
    return svg_of(whole(lines, [layers, *over]), f"{group.task}: {_words_of(rows[0])}")
