"""The law of every interval that is written or shown: it contains its figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

ROUNDING = 1e-9
"""How far sums may differ: in quality, or as a share of a time."""

INTERVALS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "tail_quality": (
        ("interval_low", "mean", "interval_high"),
        ("ideal_low", "ideal", "ideal_high"),
    ),
    "slices": (
        ("interval_low", "mean", "interval_high"),
        ("ideal_low", "ideal", "ideal_high"),
    ),
    "latency": (("interval_low_ns", "value_ns", "interval_high_ns"),),
    "prediction": (("predicted_low", "predicted_mean", "predicted_high"),),
    "comparison": (("interval_low", "difference", "interval_high"),),
    "processes": (("interval_low", "mean", "interval_high"),),
    "tolerance": (("interval_low", "mean", "interval_high"),),
    "capacity": (("interval_low", "mean", "interval_high"),),
    "server_cost": (),
    "replay": (
        ("interval_low", "mean", "interval_high"),
        ("fallback_low", "fallback_mean", "fallback_high"),
        ("measured_low", "measured_mean", "measured_high"),
    ),
}
"""Per result table the columns of each interval: lower limit, figure, upper limit. The other tables have none, and of quarters, as of
``server_cost``, the whole need not lie between the least and the largest."""
NAMED = ("metric", "slice", "clock", "threshold", "percentile", "scope", "rate_per_s")
"""Columns that tell a row from the others of its trial."""


class BrokenInterval(RuntimeError):
    """An interval that excludes its own figure: a fault of this program."""


def check_intervals(table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Check all rows of a result table before it is written; a figure that was not asked for has no interval.

    Raises BrokenInterval, which names the trial and the row.
    """
    for row in rows:
        for low, figure, high in INTERVALS.get(table, ()):
            if row[figure] is None and table in ("replay", "capacity"):
                continue
            # A null time is never reached; a null limit of quality bounds nothing.
            values = [math.inf if row[name] is None and table == "latency" else row[name] for name in (low, figure, high)]
            place = ", ".join(f"{name} {row[name]}" for name in NAMED if row.get(name) is not None)
            check_interval(f"{figure} of trial {row['trial']} in {table} ({place})", *values)


def check_interval(what: str, low: float | None, figure: float, high: float | None) -> None:
    """Raise BrokenInterval if a figure lies outside its interval by more than rounding; a limit of None bounds nothing."""
    rounding = ROUNDING * max(1.0, abs(figure)) if math.isfinite(figure) else 0.0
    if (low is None or low - rounding <= figure) and (high is None or figure <= high + rounding):
        return
    raise BrokenInterval(f"internal error: {what} is {figure}, outside its own interval [{low}, {high}]; please report it")
