"""What stands in each section of the page, as data for the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.ranking import Ranking
from orchestrator.analysis.reading import Evidence, Reading
from orchestrator.report.figures.charts import charts_of
from orchestrator.report.findings import of_task
from orchestrator.report.html.first_screen import Asker, in_html
from orchestrator.report.html.panels import Figure, figure_of
from orchestrator.report.html.ranking import Kept, RankedRow, kept_deadlines, ranked_rows
from orchestrator.report.html.strips import Strip, strips
from orchestrator.report.record_tables import fault_tables, server_tables
from orchestrator.report.result_tables import problem_tables, shown, shown_in
from orchestrator.report.table import Table, who_columns
from orchestrator.report.text import milliseconds, trials_counted
from orchestrator.stats.times import Clock

MOST_FLIPS = 40
OPEN = {
    "tail-quality": "answer", "capacity": "capacity", "percentiles": "latency", "evidence": "slow", "stages": "causes",
    "input-size": "causes",
}  # fmt: skip
"""Figures that are not folded, and where they stand."""
COMPARING = ("ranking",)
"""Figures that say nothing of one trial alone."""


@dataclass(frozen=True)
class Part:
    """A heading with figures and tables under it."""

    anchor: str
    title: str
    figures: Sequence[Figure]
    tables: Sequence[Table]


@dataclass(frozen=True)
class TaskSection:
    """All of one task.

    keys
        what the page calls each trial, by its id.
    several
        whether there is something to compare.
    repeated
        whether a row stands for several processes.
    figures
        those that are not folded, by where they stand.
    names
        how many columns of its tables tell trials apart.
    latency
        the table of percentiles, by clock.
    capacity
        what searches for the highest rate have found.
    slow
        tables of slow rounds and their evidence.
    folded
        what a statistician asks.
    """

    number: int
    title: str
    task: str
    clocks: tuple[Clock, ...]
    keys: Mapping[str, str]
    several: bool
    repeated: bool
    answer: Sequence[tuple[str, str]]
    rows: Sequence[RankedRow]
    kept: Kept
    strips: Sequence[Strip]
    figures: Mapping[str, Sequence[Figure]]
    names: int
    latency: Mapping[str, Table]
    capacity: Sequence[Table]
    slow: Sequence[Table]
    folded: Sequence[Part]
    threshold: str
    threshold_ns: int
    threshold_label: str
    positions: int
    start: int

    def all_figures(self) -> Iterator[Figure]:
        """Yield every figure."""
        yield from (figure for shown in self.figures.values() for figure in shown)
        yield from (figure for part in self.folded for figure in part.figures)

    def unpacked_tables(self) -> Iterator[tuple[str, Table]]:
        """Yield the tables that are folded away, which the script writes, by the names of their places."""
        yield from ((f"slow-{self.number}-{place}", table) for place, table in enumerate(self.slow))
        yield from ((f"{part.anchor}-{place}", table) for part in self.folded for place, table in enumerate(part.tables))


def task_section(number: int, asker: Asker, ranked: Ranking) -> TaskSection:
    """Return the section of one task; ``ranked`` are its systems."""
    reading, results, flags = asker.reading, asker.results, asker.flags
    own = replace(results, groups=tuple(group for group in results.groups if group is reading.group))
    several = len(reading.systems) > 1
    drawn = [chart for chart in charts_of(reading) if several or chart.name not in COMPARING]
    open_ones: dict[str, list[Figure]] = {}
    folded: dict[str, list[Figure]] = {}
    for chart in drawn:
        figure = figure_of(chart, reading, number)
        if chart.name in OPEN:
            open_ones.setdefault(OPEN[chart.name], []).append(figure)
        else:
            folded.setdefault(chart.section, []).append(figure)
    grid = reading.grids[reading.clock]
    return TaskSection(
        number=number,
        title=reading.title,
        task=reading.group.task,
        clocks=reading.clocks,
        keys=reading.short_keys(),
        several=several,
        repeated=reading.repeated,
        answer=in_html(of_task(results, ranked)),
        rows=ranked_rows(reading, flags),
        kept=kept_deadlines(reading),
        strips=strips(reading, results),
        figures=open_ones,
        names=len(who_columns(reading.group)),
        latency=_latency_by_clock(own, reading.clocks),
        capacity=list(shown_in(own, "Capacity")),
        slow=list(shown_in(own, "Slow rounds")),
        folded=list(_folded(number, reading, own, folded)),
        threshold=milliseconds(int(grid.ns[grid.start])),
        threshold_ns=int(grid.ns[grid.start]),
        threshold_label=", ".join(label for label in grid.labels[grid.start].split(", ") if label.startswith("p")),
        positions=len(grid.ns) - 1,
        start=grid.start,
    )


def _folded(number: int, reading: Reading, own: CampaignAnalysis, figures: Mapping[str, Sequence[Figure]]) -> Iterator[Part]:
    """Yield what a statistician asks, in the order of the questions."""
    several = len(reading.entries) > 1
    described: dict[str, tuple[str, list[Table]]] = {
        "processes": ("Fresh processes", list(shown(own, "processes"))),
        "quality": (
            "Differences" if several else "Tail quality at every threshold",
            [
                *shown(own, "tail_quality"),
                *shown(own, "together"),
                *shown(own, "tolerance"),
                *(shown(own, "from_the_best", everywhere=True) if several else ()),
                *(shown(own, "comparison", everywhere=True) if several else ()),
            ],
        ),
        "deadlines": ("Deadlines in full", list(shown(own, "deadline"))),
        "ranking": ("Where the ranking flips", [flip_table(reading)] if len(reading.systems) > 1 else []),
        "rounds": ("Rounds", []),
        "settling": ("How trials settled", []),
        "prediction": ("Prediction", list(shown(own, "prediction"))),
        "own": ("Own percentiles", list(shown(own, "own_thresholds"))),
        "latency": ("Distribution of times", []),
        "schedule": ("Schedules under load", list(shown(own, "load"))),
        "servers": ("Servers", [*shown_in(own, "Servers"), *server_tables(own)]),
        "causes": ("Our own loop", list(gap_table(reading))),
        "more": ("Other metrics", list(shown(own, "other_metrics", everywhere=True))),
        "resources": ("First inferences, memory and changed answers", list(shown(own, "resources"))),
        "slices": ("Slices", list(shown(own, "slices"))),
    }
    for anchor, (title, tables) in described.items():
        if tables or figures.get(anchor):
            yield Part(f"{anchor}-{number}", title, figures.get(anchor, ()), tables)


def _latency_by_clock(own: CampaignAnalysis, clocks: Sequence[Clock]) -> dict[str, Table]:
    """Return the table of percentiles, one for each clock."""
    [table] = shown(own, "latency")
    place = list(table.columns).index("clock")
    return {
        clock: replace(
            table,
            title=f"{table.title}, {clock} time",
            columns=[column for column in table.columns if column != "clock"],
            rows=[[*row[:place], *row[place + 1 :]] for row in table.rows if row[place] == clock],
        )
        for clock in clocks
    }


def flip_table(reading: Reading) -> Table:
    """Return which trials change places between neighbouring common thresholds."""
    found = list(reading.flips())
    more = f" {len(found) - MOST_FLIPS} more are not shown." if len(found) > MOST_FLIPS else ""
    note = f"Pairs whose mean tail quality changes order between neighbouring common thresholds, {reading.clock} time."
    return Table(
        title="Ranking flips",
        columns=["ahead", "of", "within", "but behind within", "intervals"],
        rows=[
            [ahead, behind, before, after, "apart at both" if apart else "overlap"]
            for ahead, behind, before, after, apart in sorted(found, key=lambda flip: not flip[-1])[:MOST_FLIPS]
        ],
        note=note + more if found else "No pair of trials changes places between neighbouring common thresholds.",
    )


def gap_table(reading: Reading) -> Iterator[Table]:
    """Yield the time that our own loop took between two samples in each trial."""
    rows = []
    for entry in reading.entries:
        seen = reading.evidence.get(entry.key)
        if seen is not None and seen.gap_ns is not None:
            total = sum(seen.stage_means_ns.values())
            share = f"{seen.gap_ns[0] / total:.2%}".replace("%", " %") if total else "-"
            rows.append([entry.label, microseconds(seen.gap_ns[0]), microseconds(seen.gap_ns[1]), share])
    if rows:
        yield Table(
            title="Our own loop between two samples",
            columns=["trial", "median", "p99", "of the mean total time"],
            rows=rows,
            note="From the last stamp of a sample to the first of the next: outside both clocks, measured in this campaign. A batch "
            "counts once.",
            right=frozenset(["median", "p99", "of the mean total time"]),
        )


def problems(results: CampaignAnalysis) -> list[Table]:
    """Return what failed, was infeasible or was left out, and all faults."""
    return [*problem_tables(results), *fault_tables(results)]


def unwell(results: CampaignAnalysis) -> str:
    """Return how many trials are not done and how many faults there were, or nothing."""
    planned = results.campaign.trials
    missing = sum(trial.state != "done" for trial in planned)
    faults = sum(len(record.faults) for record in results.records)
    parts = [f"{missing} of {trials_counted(len(planned))} {'is' if missing == 1 else 'are'} not done"] if missing else []
    parts += [f"{faults} fault{'' if faults == 1 else 's'} occurred"] if faults else []
    return ", ".join(parts)


def overhead(found: Mapping[str, Evidence]) -> str:
    """Return the sentence on what our own loop costs, of the trial where it is largest."""
    gaps = [seen.gap_ns[0] for seen in found.values() if seen.gap_ns is not None]
    if not gaps:
        return ""
    return (
        f"Between the end of one sample and the start of the next this program took {microseconds(min(gaps))} to {microseconds(max(gaps))} "
        "(medians per trial, measured in this campaign); that lies outside both clocks."
    )


def microseconds(ns: float) -> str:
    """Write a short time in microseconds with two significant digits or whole ones."""
    us = ns / 1000
    return f"{us:.2g} µs" if us < 100 else f"{us:.0f} µs"
