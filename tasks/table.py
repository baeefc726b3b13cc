"""The task ``table``: rows of a CSV or Parquet file, with a column that holds the right answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, Sample, nearest
from tasks.packages import USER, Need

NEEDS = (Need("task table", "your file: task.path", "rows", USER),)


class Table:
    """``path`` is a Parquet file or else CSV, ``label`` the column with the right answers; the others are the features.

    ``group``, where given, is a column that is no feature: quality is shown by its values too.
    """

    def __init__(self, path: str | None, label: str, metric: str, group: str | None = None) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self._label, self._group = label, group
        self.metrics: Sequence[str] = (metric,)

    def check(self) -> None:
        """Raise InputError where there is no file, or it lacks a column or a label."""
        self.samples()

    def samples(self) -> Sequence[Sample]:
        """Return the rows in the order of the file."""
        found = []
        for number, row in enumerate(self._table().to_pylist(), start=1):
            label = row.pop(self._label)
            if label is None:
                raise InputError(f"{self._path}, row {number}: has no {self._label}; fill it in or remove the row", key=self._label)
            slices = {} if self._group is None else {self._group: str(row.pop(self._group))}
            features = json.dumps(row, default=str).encode()
            found.append(Sample(f"row-{number:06d}", label, str(label), slices, payload=features))
        return found

    def decode(self, encoded: bytes) -> Any:
        """Return the features of a row by the names of their columns."""
        return json.loads(encoded)

    def _table(self) -> Any:
        from pyarrow import ArrowInvalid, csv, parquet

        if self._path is None:
            raise InputError("task.path is not set and must name a CSV or Parquet file; add task.path=FILE", "missing", "task.path")
        read = parquet.read_table if self._path.suffix == ".parquet" else csv.read_csv
        try:
            table = read(self._path)
        except (OSError, ArrowInvalid) as error:
            raise InputError(
                f"task.path={self._path} cannot be read ({error}); name a CSV or Parquet file", "unreadable", "task.path", self._path
            ) from error
        for key, name in (("task.label", self._label), ("task.group", self._group or self._label)):
            if name not in table.column_names:
                raise InputError(
                    f"{key}={name}: {self._path} has no such column; {nearest(name, table.column_names)}", "unknown", key, name
                )
        return table
