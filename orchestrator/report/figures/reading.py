"""All that the figures of one task are drawn from, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.analysis.results import Results
from orchestrator.analysis.trial_data import CLOCKS, map_in_threads
from orchestrator.report.figures.curves import Curve, curve_of
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.grid import Grid, Times, counted, threshold_grid
from orchestrator.report.figures.pools import Entry, Pool, pools

DRAWN_VALUES = 1_000_000
"""Of quality by round and threshold, mean and worst, for all trials and both clocks: 2 bytes each in the page."""
FEWEST_POINTS, MOST_POINTS = 20, 400

SHOWN_CLOCKS = ("total", "inference")
"""The first one is shown at first."""


@dataclass(frozen=True)
class Reading:
    """One task's trials, their thresholds, times and curves; ``clock, key of the trial`` finds the latter two."""

    pool: Pool
    grids: Mapping[str, Grid]
    times: Mapping[tuple[str, str], Times]
    curves: Mapping[tuple[str, str], Curve]
    evidence: Mapping[str, Evidence]
    points: int

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The trials."""
        return self.pool.entries


Row = Mapping[str, Any]


def readings(results: Results, others: Sequence[Results], evidence: Sequence[Mapping[str, Evidence]]) -> list[Reading]:
    """Return what is drawn, per task.

    Parameters
    ----------
    evidence
        per campaign, in their order, by trial; fewer where it was not read.
    """
    known = _known(results)
    found = pools(results, others)
    trials = sum(len(pool.entries) for pool in found)
    by_key = {f"{number}:{trial}": told for number, of in enumerate(evidence) for trial, told in of.items()}
    return [_reading(pool, known, by_key, trials) for pool in found]


def _reading(pool: Pool, known: Mapping[tuple[str, str], Mapping[int, Row]], evidence: Mapping[str, Evidence], trials: int) -> Reading:
    members = [(clock, entry) for entry in pool.entries for clock in CLOCKS]
    counts = map_in_threads(lambda member: counted(member[1].data.inferences[member[0]]), members)
    times = {(clock, entry.key): count for (clock, entry), count in zip(members, counts, strict=True)}
    grids = {clock: threshold_grid(pool, clock, [times[clock, entry.key] for entry in pool.entries]) for clock in CLOCKS}
    per_point = 2 * sum(len(grid.ns) for grid in grids.values()) * trials
    points = min(MOST_POINTS, max(FEWEST_POINTS, DRAWN_VALUES // per_point))

    def curve(member: tuple[str, Entry]) -> Curve:
        clock, entry = member
        rows = known.get((entry.data.trial_id, clock), {}) if entry.campaign == 0 else {}
        stake = entry.data.stake(entry.data.judged(pool.metric), np.ones(len(entry.data.references), dtype=bool))
        return curve_of(entry, clock, grids[clock], stake, rows, points)

    curves = {(clock, entry.key): found for (clock, entry), found in zip(members, map_in_threads(curve, members), strict=True)}
    told = {entry.key: evidence[entry.key] for entry in pool.entries if entry.key in evidence}
    return Reading(pool, grids, times, curves, told, points)


def _known(results: Results) -> dict[tuple[str, str], dict[int, Row]]:
    """Return the stored figures at common thresholds, by trial and clock."""
    metrics = {data.trial_id: data.metric for group in results.groups for data in group.trials}
    found: dict[tuple[str, str], dict[int, Row]] = {}
    for row in results.tables["tail_quality"].to_pylist():
        if row["slice"] == "all" and row["threshold_origin"] != "own" and row["metric"] == metrics.get(row["trial"]):
            found.setdefault((row["trial"], row["clock"]), {}).setdefault(row["threshold_ns"], row)
    return found
