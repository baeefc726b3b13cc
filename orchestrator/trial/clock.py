"""The clock of a stopping rule, as the stored rounds tell it, so that a trial that goes on later decides as if it had never stopped."""

from __future__ import annotations

import pyarrow as pa


class RoundClock:
    """Seconds since the first round of a trial began, in ns inside. Between two processes there counts a pause as it was before.

    ``own_rounds_only`` counts the rounds' own durations alone, for trials whose rounds alternate with those of others.
    """

    def __init__(self, own_rounds_only: bool) -> None:
        self._own_rounds_only = own_rounds_only
        self._process: int | None = None
        self._ended_ns = 0
        self._pause_ns = 0
        self._elapsed_ns = 0

    def tick(self, row: pa.RecordBatch) -> float:
        """Take in one round, a row of ``schema.ROUNDS``, and return the seconds that have passed at its end."""
        process, began_ns, duration_ns = (int(row.column(name)[0].as_py()) for name in ("process", "started_monotonic_ns", "duration_ns"))
        if process == self._process:
            self._pause_ns = began_ns - self._ended_ns
        if self._process is not None and not self._own_rounds_only:
            self._elapsed_ns += self._pause_ns
        self._elapsed_ns += duration_ns
        self._process, self._ended_ns = process, began_ns + duration_ns
        return self._elapsed_ns / 1e9
