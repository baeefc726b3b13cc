"""Cells of tables, written as the forms of declared columns say.

The first word of a form names the formatter. ``[low, high]`` after it names the columns of the
limits, which follow the figure in brackets; those in round brackets are not shown. ``number`` takes a format, such as ``number .4f``;
a time in ns that is written in ``s`` is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import SHOWN_LIMITS, Column, Row
from orchestrator.report.text import (
    memory,
    milliseconds,
    per_cent,
    percentile,
    quality,
    quality_within,
    seconds,
    signed,
    within,
)

TEXTS = ("", "text", "flags", "system", "bound")
"""Forms of columns that hold no numbers."""


def per_second(rate: float) -> str:
    """Write a rate with four significant digits."""
    return f"{rate:.4g}/s"


def delay(ns: float) -> str:
    """Write a time that may be far below a millisecond."""
    return milliseconds(ns) if ns >= 1e6 else f"{ns / 1000:.3g} µs"


def p_value(p: float) -> str:
    """Write a p-value with three decimals; less than 0.001 as such."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


FORMATTERS: Mapping[str, Callable[[Any], str]] = {
    "": str,
    "text": str,
    "count": str,
    "flags": ", ".join,
    "quality": quality,
    "signed": signed,
    "ms": milliseconds,
    "s": seconds,
    "share": per_cent,
    "memory": memory,
    "percentile": percentile,
    "per_s": per_second,
    "delay": delay,
    "p": p_value,
}


def cell(column: Column, row: Row, group: Group) -> str:
    """Return the cell of a column in a row; a dash, or of text nothing, where it is null."""
    value = row[column.name]
    form, _, rest = column.form.partition(" ")
    if value is None:
        return "" if form in TEXTS else "-"
    if form == "bound":
        time = f" ({milliseconds(row['threshold_ns'])})"
        return f"{value}{time if row['threshold_origin'] == 'reference' else ''}"
    if form == "system":
        return _system(value, row, group)
    if form == "s" and column.name.endswith("_ns"):
        value /= 1e9
    text = f"{value:{rest or '.2f'}}" if form == "number" else FORMATTERS[form](value)
    limits = SHOWN_LIMITS.search(rest)
    if limits is None or None in (ends := (row[limits[1]], row[limits[2]])):
        return text
    if form == "quality":
        return f"{text} {quality_within(*ends, row.get('ideal'))}"
    if form == "signed":
        return f"{text} {within(*ends, '+')}"
    low, high = (FORMATTERS[form](end) for end in ends)
    unit = f" {text.split(' ')[-1]}"
    return f"{text} [{low.removesuffix(unit)}, {high.removesuffix(unit)}]"


def _system(trial_id: str, row: Row, group: Group) -> str:
    """Return system and runtime of a trial, with its model where the row has another."""
    trial = next(data.record.trial for data in group.trials if data.trial_id == trial_id)
    model = "" if trial.model.name == row["model"] else f"{trial.model.name} on "
    return f"{model}{trial.system.name} with {trial.runtime.name}"
