"""Distributions of times, what time depends on, and what else happened."""

import zlib

import numpy as np

from orchestrator.analysis.curves import NS_PER_MS, Floats, stretches
from orchestrator.analysis.reading import MEASURES, Reading, percentiles_of
from orchestrator.report.charts.draw import (
    Chart,
    Lines,
    channel,
    mark,
    on_clock,
    rounded,
    rule,
    whole,
)

# Points of a density, and the share of inferences beyond its drawn part at either end.
POINTS, OUTERMOST = 120, 0.0005
# Samples drawn against their size, from so many different sizes on; points of evidence.
MOST_SAMPLES, FEWEST_SIZES, MOST_MOMENTS = 200, 5, 150
STAGES = ("preprocess", "inference", "postprocess")
TIP = ("x", "time (ms)")


def density_chart(reading: Reading) -> Chart:
    lines, rows = Lines(reading), []
    for clock in reading.clocks:
        for entry in reading.systems:
            times = reading.times[clock, entry.key]
            if times.timed:
                ends = np.array([OUTERMOST, min(1 - OUTERMOST, times.timed / times.size)])
                low, high = times.at(ends)
                ms = np.geomspace(low / 1.1, high * 1.1, POINTS)
                rows.append(lines.row(entry, clock, x=ms, y=times.density(ms)))
    return Chart(
        name="density",
        section="latency",
        place=1,
        title="Density of times",
        note="Gaussian kernel density of log time, bandwidth by Improved Sheather-Jones. Computed "
        "from all inferences of all rounds; drawn from the 0.05th to the 99.95th percentile.",
        spec=lines.spec(
            rows,
            [mark("line"), mark("tips", [TIP, ("y", "density")])],
            rule("x"),
            x=channel("x", on_clock(""), log=True),
            y=channel("y", "density per unit of log time"),
        ),
    )


def distribution_chart(reading: Reading) -> Chart:
    lines, rows = Lines(reading), []
    for clock in reading.clocks:
        for entry in reading.systems:
            times = reading.times[clock, entry.key]
            last = times.shares()
            shares = np.concatenate([np.linspace(0, 0.9, 91), last[last > 0.9]])
            rows.append(lines.row(entry, clock, x=times.at(shares), y=100 * shares))
    return Chart(
        name="distribution",
        section="latency",
        place=2,
        title="Distribution of times",
        note="Share of inferences that take at most this long, over all rounds. Those without a "
        "time count and are never reached.",
        spec=lines.spec(
            rows,
            [mark("line"), mark("tips", [TIP, ("y", "inferences (%)")])],
            rule("x"),
            x=channel("x", on_clock(""), log=True),
            y=channel("y", "inferences within it (%)"),
        ),
    )


def percentile_chart(reading: Reading) -> Chart:
    lines, rows, last = Lines(reading), [], 2.0
    for clock, entry, shares, ms, certain in percentiles_of(reading):
        odds = 1 / (1 - shares)
        last = max(last, odds[-1])
        for faint, part in ((False, slice(certain)), (True, slice(certain - 1, None))):
            columns = {"x": odds[part], "y": ms[part], "p": rounded(100 * shares[part], 6)}
            rows.append(lines.row(entry, clock, faint=faint, **columns))
    ticks = [1, 2, *(10.0**nines for nines in range(1, int(np.log10(last)) + 1))]
    return Chart(
        name="percentiles",
        section="latency",
        place=3,
        title="Times by percentile",
        note="Faint where a percentile is not certified: too few independent inferences lie beyond "
        "it, and those of a round that are alike count as fewer."
        + (" Of repeats, all processes together." if reading.repeated else ""),
        spec=lines.spec(
            rows,
            [mark("line"), mark("tips", [("p", "percentile"), ("y", "time (ms)")])],
            rule("y"),
            x=channel(
                "x",
                "percentile of inferences",
                log=True,
                values=ticks,
                labelExpr="format(100 - 100 / datum.value, '.6~r')",
            ),
            y=channel("y", on_clock(""), log=True),
        ),
    )


def size_chart(reading: Reading) -> Chart:
    lines, rows, most = Lines(reading), [], 0
    for entry in reading.systems:
        sizes = entry.data.input_sizes
        if len(np.unique(sizes)) >= FEWEST_SIZES:
            seed = [reading.results.analysis.seed, zlib.crc32(reading.group.data_digest.encode())]
            order = np.random.default_rng(seed).permutation(len(sizes))
            chosen, most = np.sort(order[:MOST_SAMPLES]), max(most, len(sizes))
            found = [one.data.times[one.data.clock][:, chosen] for one in entry.members]
            medians = np.median(np.concatenate(found), axis=0) / NS_PER_MS
            rows.append(lines.row(entry, x=sizes[chosen].astype(float), y=medians))
    drawn = f" A seeded choice of {MOST_SAMPLES} of {most} samples." if most > MOST_SAMPLES else ""
    return Chart(
        name="input-size",
        section="causes",
        place=1,
        title="Time against input size",
        note=f"Median total time of each sample over all rounds.{drawn}",
        spec=lines.spec(
            rows,
            [mark("point", [("x", "input size"), ("y", "median time (ms)")])],
            rule("y"),
            x=channel("x", "input size, as the model counts it"),
            y=channel("y", "median total time (ms)", log=True),
        ),
    )


def stage_chart(reading: Reading) -> Chart:
    rows = [
        {
            "s": entry.label,
            "stage": stage,
            "at": STAGES.index(stage),
            "ms": rounded([mean_ns / NS_PER_MS])[0],
        }
        for entry in reading.systems
        for stage, mean_ns in entry.stage_means_ns.items()
    ]
    names = list(dict.fromkeys(row["s"] for row in rows))
    y = {"field": "s", "type": "nominal", "sort": names, "axis": None}
    bars = {
        "mark": {"type": "bar", "height": 9, "yOffset": 8},
        "encoding": {
            "y": y,
            "x": channel("ms", "mean time (ms)"),
            "order": {"field": "at"},
            "color": {
                "field": "stage",
                "type": "nominal",
                "scale": {"domain": STAGES, "range": [{"expr": f"ink[{at}]"} for at in (5, 0, 7)]},
                "legend": {"title": None, "columns": 3, "symbolType": "square"},
            },
            "tooltip": [{"field": field} for field in ("s", "stage", "ms")],
        },
    }
    text = {
        "transform": [{"aggregate": [], "groupby": ["s"]}],
        "mark": {"type": "text", "align": "left", "baseline": "bottom", "dy": 2},
        "encoding": {"y": y, "x": {"value": 0}, "text": {"field": "s"}},
    }
    return Chart(
        name="stages",
        section="causes",
        place=2,
        title="Where the time goes",
        note="Mean time per stage of all inferences that have one; the stages add up to the mean "
        "total time.",
        spec=whole(rows, [bars, text]) | {"height": {"step": 32}},
    )


def evidence_chart(reading: Reading) -> Chart:
    seen = [(one, one.data.beside.started_ms) for one in reading.entries if one.data.beside]
    measures = [
        name
        for name, (column, _) in MEASURES.items()
        if any(np.isfinite(one.data.evidence.get(column, np.nan)).any() for one, _ in seen)
    ]
    first = min((float(started_ms[0]) for _, started_ms in seen), default=0.0)
    together = max((-(-started_ms.size // MOST_MOMENTS) for _, started_ms in seen), default=1)
    lines, rows = Lines(reading), []

    def drawn(values: Floats) -> Floats:
        return stretches(values, MOST_MOMENTS)[1]

    for entry, started_ms in seen if measures else ():
        empty, evidence = np.full(started_ms.size, np.nan), entry.data.evidence
        columns = {
            f"m{at}": drawn(evidence.get(column, empty) * unit)
            for at, (column, unit) in enumerate(MEASURES[name] for name in measures)
        }
        seconds = rounded((drawn(started_ms) - first) / 1000, 6)
        rows.append(lines.row(entry, x=seconds, **columns))
    chosen = ", ".join(f"{name!r}: datum.m{at}" for at, name in enumerate(measures))
    return Chart(
        name="evidence",
        section="causes",
        place=3,
        title="What else happened",
        note="Evidence of each round by the time of day (UTC). It flags figures; nothing is ever "
        "dropped for it."
        + (f" A point is the mean of up to {together} rounds in a row." if together > 1 else ""),
        spec=lines.spec(
            rows,
            [mark("line"), mark("tips", [("y", "value")])],
            choices={"measure": measures} if measures else {},
            transform=[
                {"calculate": f"toDate({first:.0f} + 1000 * datum.x)", "as": "when"},
                {"calculate": f"({{{chosen}}})[measure]", "as": "y"},
                {"filter": "isValid(datum.y)"},
            ],
            x={
                "field": "when",
                "type": "temporal",
                "scale": {"type": "utc"},
                "axis": {"title": "time of day (UTC)", "format": "%H:%M:%S", "tickCount": 6},
            },
            y=channel("y", {"expr": "measure"}),
        ),
    )
