from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.analysis.table import tables
from orchestrator.contracts import InputError
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.stored_form import table_of

WORDS = ("trial", "match_key", "model", "task", "system", "runtime", "server")
TRIALS = pa.schema(
    [
        *((name, pa.string()) for name in WORDS),
        *((name, pa.int32()) for name in ("batch", "repeat")),
        *((name, pa.string()) for name in ("state", "reason", "stopped")),
        ("flags", pa.list_(pa.string())),
    ]
)


class Results:
    """The stored results of one campaign, as Arrow tables: docs/reference/tables.md.

    Every result table has a method of its name, such as `tail_quality`. Every method reads from the
    disk when it is called, and raises InputError for an unknown trial, a damaged file, or a result
    table that `report` has not written yet.

    Examples
    --------
    >>> import orchestrator
    >>> results = orchestrator.open("results/latest")
    >>> trial = results.trials().column("trial")[0].as_py()
    >>> rounds, samples = results.rounds(trial), results.samples(trial)
    >>> results.timings(trial).num_rows == rounds.num_rows * samples.num_rows
    True
    >>> quality = results.tail_quality().to_pylist()
    >>> all(row["worst"] <= row["mean"] + 1e-12 for row in quality)
    True
    """

    def __init__(self, directory: Path | str) -> None:
        self._campaign = open_campaign(directory)

    def __repr__(self) -> str:
        counts = Counter(planned.state for planned in self._campaign.record.trials).items()
        states = ", ".join(f"{count} {state}" for state, count in counts)
        return f"<results of {self.name!r}, {self.created_at:%Y-%m-%d %H:%M} UTC, trials: {states}>"

    @property
    def directory(self) -> Path:
        return self._campaign.directory

    @property
    def name(self) -> str:
        """The name of the campaign: its sweep's, or ``single`` or ``multirun``."""
        return self._campaign.record.name

    @property
    def created_at(self) -> datetime:
        return self._campaign.record.created_at

    def trials(self) -> pa.Table:
        """Return one row per trial: what was measured, its state and why it stopped."""
        return table_of(
            [
                {
                    **record.labels(),
                    "state": record.state,
                    "reason": record.reason,
                    "stopped": record.stopping and record.stopping.reason,
                    "flags": list(record.flags),
                }
                for record in self._campaign.trials()
            ],
            TRIALS,
        )

    def trial(self, trial: str) -> dict[str, Any]:
        """Return the content of ``trial.json`` as plain values."""
        return self._campaign.trial(trial).model_dump(mode="json")

    def timings(self, trial: str) -> pa.Table:
        """Return one row per round and sample, in order; durations are null unless ``ok``."""
        return self._campaign.timings(trial)

    def rounds(self, trial: str) -> pa.Table:
        """Return one row per stored round, sorted by round."""
        return self._campaign.rounds(trial)

    def samples(self, trial: str) -> pa.Table:
        """Return one row per sample: reference, first prediction, scores and slices."""
        return self._campaign.samples(trial)

    def warmup(self, trial: str) -> pa.Table:
        """Return the timings of the warm-up rounds, in the columns of `timings`."""
        return self._campaign.warmup(trial)

    def answers(self, trial: str, round_number: int) -> pa.Table | None:
        """Return a round's answers that differ from the first warm-up round's; None if none do."""
        return self._campaign.answers(trial, round_number)

    def table(self, name: str) -> pa.Table:
        """Return a result table by the name of its file, such as ``tail_quality``."""
        if name not in tables():
            raise InputError(
                f"result table {name!r} is unknown: choose one of {', '.join(tables())}",
                "unknown",
                value=name,
            )
        return self._campaign.table(name, tables()[name].schema)

    def __getattr__(self, name: str) -> Callable[[], pa.Table]:
        if name not in tables():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return partial(self.table, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *tables()})
