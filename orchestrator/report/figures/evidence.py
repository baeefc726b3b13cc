"""What was measured beside the two clocks: the other stages, the loop between samples, and what else happened in each round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.analysis.trial_data import map_in_threads, rows_per_inference
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import STAGES

MEASURES = {
    "duration of round (s)": "duration_ns",
    "load average (1 min)": "load_1m",
    "frequency (MHz)": "frequency_mhz",
    "minor page faults": "minor_faults",
    "major page faults": "major_faults",
    "involuntary context switches": "involuntary_switches",
    "voluntary context switches": "voluntary_switches",
    "CPU time stolen (ms)": "steal_ns",
    "CPU time of others (ms)": "foreign_cpu_ns",
    "waiting for a core (ms)": "run_delay_ns",
    "CPU pressure (ms)": "cpu_pressure_ns",
    "interrupts": "interrupts",
    "GPU clock (MHz)": "gpu_clock_mhz",
    "GPU temperature (°C)": "gpu_temperature_c",
    "GPU power (W)": "gpu_power_w",
    "GPU throttle reasons (bits)": "gpu_throttle_reasons",
    "other processes on the GPU": "gpu_foreign_processes",
}
"""What the evidence of a round is called, and its column."""
UNITS = {"duration_ns": 1e-9, "steal_ns": 1e-6, "foreign_cpu_ns": 1e-6, "run_delay_ns": 1e-6, "cpu_pressure_ns": 1e-6}


@dataclass(frozen=True)
class Evidence:
    """Of one trial.

    started_ms
        per round, ms since 1970, [R].
    measures
        per name of ``MEASURES`` that was recorded, one figure per round, NaN where there is none, [R].
    stage_means_ns
        mean time per stage, of the inferences that have a time.
    gap_ns
        median and p99 of the time between one inference's end and the next one's start: our own loop. None if a round has only one.
    """

    started_ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    measures: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]
    stage_means_ns: Mapping[str, float]
    gap_ns: tuple[float, float] | None


def read_evidence(campaign: Campaign) -> dict[str, Evidence]:
    """Return the evidence of every trial that has a round."""
    started = [record for record in campaign.trials() if record.started_at is not None]
    found = zip(started, map_in_threads(lambda record: _of_trial(campaign, record), started), strict=True)
    return {record.trial_id: evidence for record, evidence in found if evidence is not None}


def _of_trial(campaign: Campaign, record: TrialRecord) -> Evidence | None:
    rounds = campaign.rounds(record.trial_id)
    if not rounds.num_rows:
        return None
    timings = campaign.timings(record.trial_id)
    if record.trial.measurement.batch > 1:
        timings = rows_per_inference(record, campaign.matrix(record.trial_id), timings)
    return _evidence(rounds, timings)


def _evidence(rounds: pa.Table, timings: pa.Table) -> Evidence:
    gaps = timings.column("start_gap_ns").drop_null().to_numpy()
    means = {stage.removesuffix("_ns"): pc.mean(timings.column(stage)).as_py() for stage in STAGES}
    started = rounds.column("started_at").cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    return Evidence(
        started_ms=started.to_numpy().astype(np.float64),
        measures={
            name: _figures(rounds.column(column)) * UNITS.get(column, 1)
            for name, column in MEASURES.items()
            if rounds.column(column).null_count < rounds.num_rows
        },
        stage_means_ns={stage: mean for stage, mean in means.items() if mean is not None},
        gap_ns=(float(np.median(gaps)), float(np.quantile(gaps, 0.99))) if gaps.size else None,
    )


def _figures(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = column.cast(pa.float64(), safe=False).to_numpy()  # only drawn
    return values
