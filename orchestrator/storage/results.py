"""The small Python interface, for notebooks and scripts: Arrow tables and nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from orchestrator.storage.reader import open_campaign


class Results:
    """The stored results of one campaign, as Arrow tables. Columns and units are those of docs/results.md."""

    def __init__(self, directory: Path | str) -> None:
        self._campaign = open_campaign(directory)

    def trials(self) -> pa.Table:
        """Return one row per trial: what was measured, its state and why it stopped."""
        columns = {
            "trial": pa.string(), "match_key": pa.string(), "model": pa.string(), "task": pa.string(), "system": pa.string(),
            "runtime": pa.string(), "batch": pa.int32(), "repeat": pa.int32(), "state": pa.string(), "reason": pa.string(),
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
        return pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))

    def timings(self, trial: str) -> pa.Table:
        """Return one row per sample per stored round, sorted by round and sample. Durations are null unless ``ok``."""
        return self._campaign.timings(trial)

    def rounds(self, trial: str) -> pa.Table:
        """Return one row per stored round, sorted by round."""
        return self._campaign.rounds(trial)

    def samples(self, trial: str) -> pa.Table:
        """Return one row per sample: reference, first prediction, scores and slices."""
        return self._campaign.samples(trial)

    def tail_quality(self) -> pa.Table:
        """Return tail quality per trial, metric, slice, clock and threshold."""
        return self._campaign.table("tail_quality")

    def latency(self) -> pa.Table:
        """Return percentiles of the times per trial and clock."""
        return self._campaign.table("latency")

    def convergence(self) -> pa.Table:
        """Return the trajectory of each trial's stopping rule."""
        return self._campaign.table("convergence")

    def deadline(self) -> pa.Table:
        """Return the deadline that each trial can promise, per clock and quality floor."""
        return self._campaign.table("deadline")

    def prediction(self) -> pa.Table:
        """Return tail quality predicted from the first rounds beside what the last rounds showed, per method."""
        return self._campaign.table("prediction")

    def comparison(self) -> pa.Table:
        """Return differences of tail quality from a baseline, per threshold and scope."""
        return self._campaign.table("comparison")
