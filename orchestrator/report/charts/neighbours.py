"""What neighbours cost against the deadline."""

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.contracts import by_key
from orchestrator.report.charts.draw import (
    CLOCKS,
    Chart,
    Lines,
    channel,
    level,
    mark,
    metric_words,
    rule,
)


def neighbours_chart(reading: Reading) -> Chart:
    lines, systems = Lines(reading), {one.data.record.match_key: one for one in reading.systems}
    costs = (row for row in reading.results.rows("neighbours") if row["match_key"] in systems)
    rows = [
        lines.row(
            systems[key],
            x=np.array([row["threshold_ns"] for row in found]) / 1e6,
            **{
                name: np.array([row[of] for row in found], float)
                for name, of in (
                    ("y", "difference"),
                    ("low", "interval_low"),
                    ("high", "interval_high"),
                )
            },
        )
        for key, found in by_key(costs, lambda row: str(row["match_key"])).items()
    ]
    return Chart(
        name="neighbours",
        section="quality",
        place=2,
        title="What neighbours cost at each deadline",
        note="Tail quality beside each neighbour minus that without one, over visits that "
        "alternate, or over repeats, with 95 % intervals for all neighbours together, each "
        "deadline by itself.",
        spec=lines.spec(
            rows,
            [
                mark("step"),
                mark("step-band", y={"field": "low"}, y2={"field": "high"}),
                mark("tips", [("x", "deadline (ms)"), ("y", "difference")]),
            ],
            [*rule("x"), *level({"no difference": 0.0})],
            x=channel("x", f"deadline on {CLOCKS[reading.clock]} (ms)", log=True),
            y=channel("y", f"difference of tail quality ({metric_words(reading)})"),
        ),
    )
