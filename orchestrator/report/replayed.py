"""What is shown of replayed trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import Row
from orchestrator.analysis.tables.replay import MEASURED, REPLAY, REPLAYED, STREAKS
from orchestrator.report.result_tables import text_table
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds


def replay_tables(group: Group, rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the tables of a group, from its rows of ``replay.parquet``, at least one."""
    measured = [row for row in rows if row["measured"] is not None]
    for view, some in ((REPLAYED, rows), (STREAKS, rows), (MEASURED, measured)):
        if some:
            yield text_table(view, REPLAY, group, some, None, asked=words_of(rows[0]))


def words_of(row: Row) -> str:
    """Return what was asked: law, rule and bound, such as ``poisson, newest, within 50 ms``."""
    burstiness, limit = row["burstiness"], row["queue_limit"]
    of_reference = row["threshold_origin"] == "reference"
    parts = [
        row["law"] + (f" of burstiness {burstiness:g}" if burstiness is not None else ""),
        f"in groups of {row['group']}" if row["group"] > 1 else "",
        row["policy"],
        f"at most {limit} waiting" if limit is not None else "",
        f"response within {row['threshold']}" + (f" ({milliseconds(row['threshold_ns'])})" if of_reference else ""),
    ]
    return ", ".join(filter(None, parts))
