"""Streaming quality against frame rate."""

from itertools import chain

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.contracts import by_key
from orchestrator.report.charts.draw import Chart, Lines, channel, mark, metric_words

FIGURES = ("streaming quality", "tail quality between frames")
# What is drawn by either figure: columns of the table.
DRAWN = {
    "y": ("mean", "tail_mean"),
    "low": ("interval_low", "tail_low"),
    "high": ("interval_high", "tail_high"),
}
CHOSEN = [
    {"calculate": f"figure == '{FIGURES[0]}' ? datum.{streamed} : datum.{tail}", "as": name}
    for name, (streamed, tail) in DRAWN.items()
]


def streaming_chart(reading: Reading) -> Chart:
    lines, systems = Lines(reading), {one.members[0].key: one for one in reading.systems}
    found = by_key(reading.results.rows("streaming"), lambda row: str(row["trial"]))
    columns = ("age", *chain(*DRAWN.values()))
    rows = [
        lines.row(
            systems[trial],
            x=np.array([row["rate_per_s"] for row in own]),
            **{name: np.array([row[name] for row in own], float) for name in columns},
        )
        for trial, own in found.items()
        if trial in systems
    ]
    told = [("x", "frames/s"), ("y", "mean"), ("low", "low"), ("high", "high")]
    return Chart(
        name="streaming",
        section="quality",
        place=0,
        title="Streaming quality against frame rate",
        note="When a frame arrives, the newest answer there is counts for it. Bands are 95 % "
        "intervals. A line bends where an answer takes longer than the time between frames; where "
        "lines cross, another system becomes better. The list shows tail quality within the time "
        "between frames instead.",
        spec=lines.spec(
            rows,
            [
                mark("line"),
                mark("band", y={"field": "low"}, y2={"field": "high"}),
                mark("tips", [*told, ("age", "age (frames)")]),
            ],
            choices={"figure": FIGURES},
            transform=CHOSEN,
            x=channel("x", "frames a second", log=True),
            y=channel("y", f"quality ({metric_words(reading)})"),
        ),
    )
