"""Result tables, each declared beside the function that yields its rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa

from orchestrator.analysis.threads import map_in_threads
from orchestrator.storage.schema import LABELS as LABELS
from orchestrator.storage.schema import Column as Column
from orchestrator.storage.schema import schema_of

if TYPE_CHECKING:
    from orchestrator.analysis.groups import Group
    from orchestrator.configuration.analysis import AnalysisConfig
    from orchestrator.storage.records import CampaignRecord, TrialRecord


SERVICE = "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`"
METRIC = Column("metric", "str", "the primary metric")
CLOCK = Column("clock", "str", "`total`, under load `response`")
ANY_CLOCK = Column("clock", "str", SERVICE, "clock")
THRESHOLD = (
    Column("threshold", "str", "its label, such as `p99` or `50 ms`"),
    Column(
        "threshold_ns", "int64", "an answer is on time when its time is at most this", form="ms"
    ),
    Column("threshold_origin", "str", "`absolute`, `reference` or `own`"),
    Column(
        "threshold_reference",
        "str?",
        "the trial whose percentile it is, where the origin is `reference`",
    ),
)
PARAMETERS = Column("parameters", "map", "settings and estimates of the method, by name")
FLAGS = Column("flags", "list", "flags of the figures")
# Columns of a difference from a baseline.
DIFFERENCE = (
    Column(
        "baseline",
        "str",
        "the trial it is compared with: one for all trials of a model; in the scopes "
        "`best of ...`, the best",
        form="system",
    ),
    METRIC,
    CLOCK,
    *THRESHOLD,
    Column(
        "scope",
        "str",
        "`this data set` (visits vary), `samples like these` (samples too), `fresh processes` "
        "(repeats); `best of ...`: minus the best",
    ),
    Column("baseline_mean", "float", "mean tail quality of the baseline", form="quality"),
    Column("mean", "float", "mean tail quality of the trial", form="quality"),
    Column(
        "difference",
        "float",
        "trial minus baseline, over the visits or repeats that both have, where these alternate",
        form="signed [interval_low, interval_high]",
    ),
    Column(
        "interval_low",
        "float?",
        "lower limit of its interval; null below 12 visits or 3 repeats that alternate, or if no "
        "answer differs",
    ),
    Column("interval_high", "float?", "upper limit; null likewise"),
    Column(
        "verdict",
        "str?",
        "verdict of the repeats, in the scopes `fresh processes` and `best of fresh processes`",
    ),
    Column("method", "str", "method of the interval; `none` where the limits are null"),
    PARAMETERS,
    FLAGS,
)

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Callable[..., Iterable[Row]]
Per: TypeAlias = Literal["trial", "group", "campaign"]
ORDER: tuple[Per, ...] = ("trial", "group", "campaign")


@dataclass(frozen=True)
class Context:
    """What the rows of a table are made from; ``rows`` are those of the tables made before."""

    analysis: AnalysisConfig
    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    groups: tuple[Group, ...]
    rows: dict[str, list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """A table as reports show it: one table per group of trials.

    title, note
        with, in braces, columns of the first row, and ``task``, ``metric``, ``clock``, ``bound``
        (the threshold) and ``reference`` (whose percentiles thresholds are, as a sentence).
    section
        of the report.
    where
        by column the value of the rows that are shown, several in a tuple. ``@clock``, ``@metric``
        and ``@together`` stand for the first clock, the primary metric and the clocks of
        ``analysis.together_ms``, with ``!`` before them for any other; ``@primary`` in the column
        ``threshold`` for the primary threshold.
    labels
        headings by column, in place of those of the columns.
    across, cells
        a column of which each value is a heading, and the columns whose cells stand below it.
    split
        columns whose values each have a table of their own.
    without
        names of trials that are not shown, such as ``settings``.
    flags
        what flags mean here, in place of `FLAGS`.
    order
        column of the rows that stay where there are too many to be shown, the lowest first.
    """

    name: str
    title: str
    note: str = ""
    section: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    across: str = ""
    cells: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    order: str = ""
    without: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A result table: its columns after `LABELS`, what yields its rows, and its views.

    per
        ``rows`` takes (context, group, data) of each ``trial``, (context, group), or (context).
        Tables of trials are made first, then those of groups.
    """

    name: str
    columns: tuple[Column, ...]
    rows: Rows
    per: Per
    views: tuple[View, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return schema_of((*LABELS, *self.columns))


DECLARED: dict[str, Table] = {}


def table(
    name: str,
    columns: Iterable[Column],
    per: Per,
    views: Iterable[View] = (),
    title: str = "",
    **view: Any,
) -> Callable[[Rows], Rows]:
    """Declare a result table, of which the decorated function yields the rows.

    With a title it has a view of its own name, with the further fields of `View`.
    """

    def declare(rows: Rows) -> Rows:
        own = [View(name, title, **view)] if title else []
        DECLARED[name] = Table(name, tuple(columns), rows, per, (*own, *views))
        return rows

    return declare


def all_rows(one: Table, context: Context) -> list[Row]:
    """Return all rows of a table; trials share the cores."""
    if one.per == "campaign":
        return list(one.rows(context))
    if one.per == "group":
        return [row for group in context.groups for row in one.rows(context, group)]
    pairs = [(group, data) for group in context.groups for data in group.trials]
    found = map_in_threads(lambda pair: list(one.rows(context, *pair)), pairs)
    return [row for rows in found for row in rows]


def views() -> dict[str, tuple[Table, View]]:
    """Return by name what reports show of which table."""
    return {view.name: (one, view) for one in tables().values() for view in one.views}


@cache
def tables() -> Mapping[str, Table]:
    """Return all tables, declared in ``analysis/tables/``, in the order in which rows are made."""
    from orchestrator.analysis import tables as folder

    for module in iter_modules(folder.__path__, f"{folder.__name__}."):
        import_module(module.name)
    # Whichever module was imported first: by file, those of one file in their order.
    found = sorted(DECLARED.values(), key=lambda one: (ORDER.index(one.per), one.rows.__module__))
    return {one.name: one for one in found}


# Of a form: the columns with the limits of the figure, in round brackets where not shown.
LIMITS = re.compile(r"[\[(](\w+), (\w+)[\])]")
SHOWN_LIMITS = re.compile(r"\[(\w+), (\w+)\]")
ROUNDING = 1e-9  # How far sums may differ: in quality, or as a share of a time.
# Columns that tell a row from the others of its trial.
TELLING = ("metric", "slice", "clock", "threshold", "percentile", "scope", "rate_per_s")


class BrokenInterval(RuntimeError):
    """An interval that excludes its own figure: a fault of this program."""


def check_intervals(name: str, columns: Iterable[Column], rows: Iterable[Row]) -> None:
    """Check that each interval contains its figure, before a table is written.

    A null time is never reached, and infinite; another null figure has no interval. Raises
    BrokenInterval, which names the trial and the row.
    """
    limits = [(one, LIMITS.search(one.form)) for one in columns]
    for row in rows:
        for column, names in limits:
            is_time = column.type == "int64?"
            if names is None or (row[column.name] is None and not is_time):
                continue
            low, figure, high = (
                math.inf if is_time and row[of] is None else row[of]
                for of in (names[1], column.name, names[2])
            )
            place = ", ".join(f"{of} {row[of]}" for of in TELLING if row.get(of) is not None)
            check_interval(
                f"{column.name} of trial {row['trial']} in {name} ({place})", low, figure, high
            )


def check_interval(what: str, low: float | None, figure: float, high: float | None) -> None:
    """Raise BrokenInterval if a figure lies outside its interval; None bounds nothing."""
    rounding = ROUNDING * max(1.0, abs(figure)) if math.isfinite(figure) else 0.0
    if (low is None or low - rounding <= figure) and (high is None or figure <= high + rounding):
        return
    limits = f"[{low}, {high}]"
    raise BrokenInterval(
        f"internal error: {what} is {figure}, outside its own interval {limits}; please report it"
    )
