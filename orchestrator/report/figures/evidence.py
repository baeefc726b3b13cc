"""What was measured beside the two clocks: the other stages, the loop between samples, and what else happened in each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.trial_data import TrialData

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
    "CPU time of this program's other processes (ms)": "program_cpu_ns",
    "throttled by a CPU quota (ms)": "throttled_ns",
    "periods throttled by a CPU quota": "throttled_periods",
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
UNITS = {
    "duration_ns": 1e-9,
    **dict.fromkeys(("steal_ns", "foreign_cpu_ns", "program_cpu_ns", "throttled_ns", "run_delay_ns", "cpu_pressure_ns"), 1e-6),
}


@dataclass(frozen=True)
class Evidence:
    """Of one trial.

    started_ms
        per round, ms since 1970, [R].
    stored
        per name of ``MEASURES`` that was recorded, its column as it is stored, NaN where there is none, [R].
    stage_means_ns
        mean time per stage, of the inferences that have a time.
    gap_ns
        median and p99 of the time between one inference's end and the next one's start: our own loop. None if a round has only one.
    """

    started_ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    stored: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]
    stage_means_ns: Mapping[str, float]
    gap_ns: tuple[float, float] | None

    def figures(self, measure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return one figure per round, in the unit that the name says, [R]."""
        return self.stored[measure] * UNITS.get(MEASURES[measure], 1)


def evidence_of(results: CampaignAnalysis) -> dict[str, Evidence]:
    """Return the evidence of every trial that was read, by its id."""
    found = {data.trial_id: _of_trial(data) for group in results.groups for data in group.trials}
    return {trial: evidence for trial, evidence in found.items() if evidence is not None}


def of_all(several: Sequence[Evidence]) -> Evidence:
    """Return the mean time per stage of all processes of one system; what happened in each round is that of the process alone."""
    stages = list(dict.fromkeys(stage for one in several for stage in one.stage_means_ns))
    means = {stage: float(np.mean([one.stage_means_ns[stage] for one in several if stage in one.stage_means_ns])) for stage in stages}
    return Evidence(np.zeros(0), {}, means, None)


def _of_trial(data: TrialData) -> Evidence | None:
    if data.beside is None:
        return None
    known = {name: data.evidence[column] for name, column in MEASURES.items() if column in data.evidence}
    return Evidence(
        started_ms=data.beside.started_ms,
        stored={name: column for name, column in known.items() if not np.isnan(column).all()},
        stage_means_ns=data.beside.stage_means_ns,
        gap_ns=data.beside.gap_ns,
    )
