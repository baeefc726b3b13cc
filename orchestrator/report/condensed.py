"""A table with what all its rows have in common said once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from orchestrator.report.table import Table


def condensed(table: Table, names: Collection[str]) -> Table:
    """Return a table without the columns in which all rows are equal; its note says them. Those in ``names`` stay.

    Examples
    --------
    >>> made = condensed(Table("Plan", ["trial", "host", "faults"], [["a", "vm", ""], ["b", "vm", ""]]), ["trial"])
    >>> made.columns, made.note
    (['trial'], 'In all: host vm.')
    """
    if len(table.rows) < 2:
        return table
    alike = [place for place, head in enumerate(table.columns) if head not in names and len({row[place] for row in table.rows}) == 1]
    said = [f"{table.columns[place]} {table.rows[0][place]}" for place in alike if table.rows[0][place]]
    left = [place for place in range(len(table.columns)) if place not in alike]
    note = " ".join(part for part in (f"In all: {', '.join(said)}." if said else "", table.note) if part)
    return replace(
        table, columns=[table.columns[place] for place in left], rows=[[row[place] for place in left] for row in table.rows], note=note
    )
