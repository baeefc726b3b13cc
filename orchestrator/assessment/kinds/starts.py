"""What a share of fresh processes must keep: their first inference, their cold start, and the most memory that each of them held."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from orchestrator.analysis.tables.resources import cold_starts, paused_firsts
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.kinds import Kind, Need, Outcome, Prospect, error_of, say, worst_share
from orchestrator.assessment.subjects import NotShown, Subject
from orchestrator.assessment.values import Share, Time
from orchestrator.configuration.config import SystemConfig
from orchestrator.configuration.fields import Bytes
from orchestrator.report.text import milliseconds, seconds
from orchestrator.stats.constants import FEW_UNITS
from orchestrator.stats.requirements import Shown, rounds_keep, starts_keep

MIB = 2**20
# What says how much a process held once it was loaded and at its end, and in its rounds; of a GPU, by the driver and by PyTorch.
PEAKS = {
    "resident": ("peak_memory_bytes", ("resident_peak_bytes",)),
    "device": ("gpu_allocated_peak_bytes", ("gpu_memory_bytes", "gpu_allocated_peak_bytes")),
}
NO_DEVICE = "has no device with memory of its own: ask for resident memory, or for systems with a GPU"


class FirstInference(Kind):
    """The first inference: ``cold`` is that of a fresh process, ``warm`` that after a pause, the first of a visit."""

    kind: Literal["first_inference"] = "first_inference"
    within: Time
    state: Literal["cold", "warm"] = "cold"
    share_of_starts: Share = 0.5

    def judge(self, system: Subject, error: float) -> Outcome:
        if self.state == "cold":
            colds = [start.get("first_inference_ns") for data in system.trials for start in cold_starts(data.record.cold_start)]
            values = _all_known(system, colds, "the first inference of a process")
            return _of_starts(system, "first inference of a process", values, self.within, self.share_of_starts, error, milliseconds)
        found = []
        for data in system.trials:
            firsts = list(paused_firsts(data))
            if not firsts:
                raise system.lacks("no visit has stored its first inference", "measure in visits with a lead-in (measurement.lead_in)")
            late_share, visits = round(1 - self.share_of_starts, 12), np.arange(len(firsts))
            own_error = error_of(data, error)
            kept = rounds_keep(firsts, float(self.within), visits, len(firsts), late_share=late_share, error=own_error)
            found.append((kept, firsts))
        kept, firsts = worst_share(found)
        name = "first inference after a pause" + (f", in the worst of {len(found)} processes" if len(found) > 1 else "")
        return _finding(name, kept, firsts, self.within, self.share_of_starts, milliseconds, "visit")

    def need(self, plan: Prospect) -> Need:
        if self.state == "cold":
            return plan.share_of_starts(self.share_of_starts)
        if not plan.trial.measurement.lead_in:
            raise NotShown("a first inference after a pause needs visits with a lead-in: measurement.lead_in=3")
        # The first visit of a process comes after no pause.
        return Need(plan.visits(max(plan.units("rounds", 1 - self.share_of_starts), FEW_UNITS) + 1))


class ColdStart(Kind):
    """From the start of loading until the first answer of a fresh process."""

    kind: Literal["cold_start"] = "cold_start"
    within: Time
    share_of_starts: Share = 0.5

    def judge(self, system: Subject, error: float) -> Outcome:
        took = []
        for start in (start for data in system.trials for start in cold_starts(data.record.cold_start)):
            load, first = start.get("load_ns"), start.get("first_total_ns", start.get("first_inference_ns"))
            took.append(None if load is None or first is None else float(load) + float(first))
        values = _all_known(system, took, "how long a process took to load and to answer first")
        return _of_starts(
            system, "load and first inference", values, self.within, self.share_of_starts, error, lambda ns: seconds(ns / 1e9)
        )

    def need(self, plan: Prospect) -> Need:
        return plan.share_of_starts(self.share_of_starts)


class Memory(Kind):
    """Peak memory of a process while it was measured, resident or on its GPUs."""

    kind: Literal["memory"] = "memory"
    at_most: Bytes
    of: Literal["resident", "device"] = "resident"
    share_of_starts: Share = 0.5

    def judge(self, system: Subject, error: float) -> Outcome:
        self._check_device(system.trials[0].record.trial.system)
        peaks = [value for data in system.trials for value in _peaks(data, self.of)]
        values = _all_known(system, peaks, f"the peak of {self.of} memory of a process")
        name = f"peak {self.of} memory"
        return _of_starts(system, name, values, self.at_most, self.share_of_starts, error, lambda held: f"{held / MIB:,.0f} MiB", "bytes")

    def need(self, plan: Prospect) -> Need:
        self._check_device(plan.trial.system)
        return plan.share_of_starts(self.share_of_starts)

    def _check_device(self, system: SystemConfig) -> None:
        if self.of == "device" and not system.gpus:
            raise NotShown(f"the system {system.name} {NO_DEVICE}")


def _peaks(data: TrialData, of: Literal["resident", "device"]) -> Iterator[float | None]:
    """Yield the most memory that each process of a trial held, in bytes; None where nothing says what it held in its rounds."""
    of_load, of_rounds = PEAKS[of]
    at_end = (data.record.placement.get("at_end") or {}).get(of_load)
    starts = cold_starts(data.record.cold_start)
    for number, start in enumerate(starts):
        columns = [data.evidence[name][data.evidence["process"] == number] for name in of_rounds if name in data.evidence]
        timed = [value for column in columns for value in column if np.isfinite(value)]
        if at_end is not None and number == len(starts) - 1:
            timed.append(at_end)
        yield max(float(value) for value in [*timed, start.get(of_load) or 0]) if timed else None


def _all_known(system: Subject, values: Sequence[float | None], what: str) -> list[float]:
    known = [float(value) for value in values if value is not None and value > 0]
    if not known or len(known) < len(values):
        raise system.lacks(f"no record says {what}", "measure again, with this version")
    return known


def _of_starts(
    system: Subject,
    name: str,
    values: Sequence[float],
    bound: float,
    share: float,
    error: float,
    words: Callable[[float], str],
    unit: str = "ns",
) -> Outcome:
    kept = starts_keep(values, float(bound), late_share=round(1 - share, 12), error=min(error_of(data, error) for data in system.trials))
    return _finding(name, kept, values, bound, share, words, "process", unit)


def _finding(
    name: str, kept: Shown, values: Sequence[float], bound: float, share: float, words: Callable[[float], str], of: str, unit: str = "ns"
) -> Outcome:
    """Return the finding on a value of each process or visit, which ``words`` writes."""
    largest = max(values)
    longest = words(largest) if math.isfinite(largest) else "any time"
    certified = words(kept.certified) if kept.certified is not None and math.isfinite(kept.certified) else ""
    return Outcome(
        kept.verdict,
        say("starts", name=name, longest=longest, share=share, kept=kept, certified=certified, bound=words(bound), of=of),
        say("missing", kept=kept, unit=of),
        figure=largest,
        high=kept.certified,
        asked=float(bound),
        unit=unit,
        method="order statistic",
    )
