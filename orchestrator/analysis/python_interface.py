"""The small Python interface, for notebooks and scripts: Arrow tables and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.analysis.table import tables
from orchestrator.contracts import InputError
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.stored_form import table_of


class Results:
    """The stored results of one campaign, as Arrow tables. Columns and units are those of docs/results.md.

    Every method reads from the disk when it is called, and raises InputError for an unknown trial, a damaged file, or a result table
    that `report` has not written yet.

    Examples
    --------
    >>> import orchestrator
    >>> results = orchestrator.open("results/latest")
    >>> trial = results.trials().column("trial")[0].as_py()
    >>> results.timings(trial).num_rows == results.rounds(trial).num_rows * results.samples(trial).num_rows
    True
    >>> quality = results.tail_quality().to_pylist()
    >>> all(row["worst"] <= row["mean"] + 1e-12 for row in quality)
    True
    """

    def __init__(self, directory: Path | str) -> None:
        self._campaign = open_campaign(directory)

    def __repr__(self) -> str:
        counts = Counter(planned.state for planned in self._campaign.record.trials)
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"<results of {self.name!r}, {self.created_at:%Y-%m-%d %H:%M} UTC, trials: {states}>"

    @property
    def directory(self) -> Path:
        """Where the results lie."""
        return self._campaign.directory

    @property
    def name(self) -> str:
        """The name of the campaign: its sweep's, or ``single`` or ``multirun``."""
        return self._campaign.record.name

    @property
    def created_at(self) -> datetime:
        """When the campaign was begun, in UTC."""
        return self._campaign.record.created_at

    def trials(self) -> pa.Table:
        """Return one row per trial: what was measured, its state and why it stopped."""
        columns = {
            "trial": pa.string(), "match_key": pa.string(), "model": pa.string(), "task": pa.string(), "system": pa.string(),
            "runtime": pa.string(), "server": pa.string(), "batch": pa.int32(), "repeat": pa.int32(), "state": pa.string(),
            "reason": pa.string(),
            "stopped": pa.string(), "flags": pa.list_(pa.string()),
        }  # fmt: skip
        rows = [
            {
                **record.labels(),
                "state": record.state,
                "reason": record.reason,
                "stopped": record.stopping and record.stopping.reason,
                "flags": list(record.flags),
            }
            for record in self._campaign.trials()
        ]
        return table_of(rows, pa.schema(list(columns.items())))

    def trial(self, trial: str) -> dict[str, Any]:
        """Return the content of ``trial.json`` as plain values: configuration, placement, stack, environment, digests, faults."""
        return self._campaign.trial(trial).model_dump(mode="json")

    def timings(self, trial: str) -> pa.Table:
        """Return one row per sample per stored round, sorted by round and sample. Durations are null unless ``ok``."""
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
        """Return the answers of a round that differ from the first round's, or None if none do."""
        return self._campaign.answers(trial, round_number)

    def table(self, name: str) -> pa.Table:
        """Return a result table by the name of its file, such as ``tail_quality``."""
        if name not in tables():
            raise InputError(f"result table {name!r} is unknown: choose one of {', '.join(tables())}")
        return self._campaign.table(name, tables()[name].schema)

    def tail_quality(self) -> pa.Table:
        """Return tail quality per trial, metric, clock and threshold."""
        return self.table("tail_quality")

    def latency(self) -> pa.Table:
        """Return percentiles of the times per trial and clock."""
        return self.table("latency")

    def convergence(self) -> pa.Table:
        """Return the trajectory of each trial's stopping rule."""
        return self.table("convergence")

    def deadline(self) -> pa.Table:
        """Return the deadline that each trial can promise, per clock and quality floor."""
        return self.table("deadline")

    def prediction(self) -> pa.Table:
        """Return tail quality predicted from the first rounds beside what the last rounds showed, per method."""
        return self.table("prediction")

    def comparison(self) -> pa.Table:
        """Return differences of tail quality from a baseline, per threshold and scope."""
        return self.table("comparison")

    def explain(self) -> pa.Table:
        """Return which evidence moves with late answers, and whose these are."""
        return self.table("explain")

    def processes(self) -> pa.Table:
        """Return tail quality of fresh processes with its variance components, per match key with repeats and threshold."""
        return self.table("processes")

    def tolerance(self) -> pa.Table:
        """Return tail quality averaged over users' tolerance, per system; no rows without ``analysis.tolerance``."""
        return self.table("tolerance")

    def load(self) -> pa.Table:
        """Return what each load asked for and what was delivered, per trial under load."""
        return self.table("load")

    def capacity(self) -> pa.Table:
        """Return the rates that searches have measured, each with its verdict and the bracket of its search."""
        return self.table("capacity")

    def slices(self) -> pa.Table:
        """Return tail quality of each group of the slices that ``analysis.slices`` names, in the columns of `tail_quality` and more."""
        return self.table("slices")

    def resources(self) -> pa.Table:
        """Return cold and warm first inferences, peaks of memory and changed answers, per trial."""
        return self.table("resources")

    def server_cost(self) -> pa.Table:
        """Return how much longer servers took than the same models in the timed process, per pair of trials."""
        return self.table("server_cost")

    def token_gaps(self) -> pa.Table:
        """Return the times between the tokens of streamed answers, per trial that has such."""
        return self.table("token_gaps")
