"""What a share of fresh processes must keep: their first inference, their cold start, and the most memory that each of them held."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.analysis.tables.resources import cold_starts, paused_firsts
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import NO_DEVICE, Case, NotShown
from orchestrator.assessment.requirements import ColdStartAsked, FirstInferenceAsked, MemoryAsked
from orchestrator.assessment.rounds import broken, error_of, missing_rounds
from orchestrator.assessment.verdicts import Finding, worst
from orchestrator.report.text import milliseconds, seconds
from orchestrator.stats.requirements import Shown, rounds_keep, starts_keep

MIB = 2**20
ONE = {"processes": "process", "visits": "visit"}
"""What one of them is called."""


def first_inference(case: Case, asked: FirstInferenceAsked) -> Finding:
    """Return whether a share of first inferences is done in time: of fresh processes, or of visits, which come after a pause."""
    if asked.state == "warm":
        return _after_a_pause(case, asked)
    colds = [start.get("first_inference_ns") for data in case.trials for start in cold_starts(data.record.cold_start)]
    values = _all_known(case, colds, "the first inference of a process")
    return _finding(case, values, float(asked.within), asked.share_of_starts, "first inference of a process", milliseconds)


def _after_a_pause(case: Case, asked: FirstInferenceAsked) -> Finding:
    """Return the finding on first inferences of visits: every process alone must keep it, and the worst one speaks for all."""
    found = []
    for data in case.trials:
        firsts = list(paused_firsts(data))
        if not firsts:
            raise case.lacks("no visit has stored its first inference", "measure in visits with a lead-in (measurement.lead_in)")
        late_share, visits = round(1 - asked.share_of_starts, 12), np.arange(len(firsts))
        error = error_of(data, case.error)
        found.append((rounds_keep(firsts, float(asked.within), visits, len(firsts), late_share=late_share, error=error), firsts))
    verdict = worst(kept.verdict for kept, _ in found)
    kept, firsts = max((each for each in found if each[0].verdict == verdict), key=lambda each: each[0].figure)
    name = "first inference after a pause" + (f", in the worst of {len(found)} processes" if len(found) > 1 else "")
    return _finding_of(kept, firsts, float(asked.within), asked.share_of_starts, name, "visits", milliseconds)


def cold_start(case: Case, asked: ColdStartAsked) -> Finding:
    """Return whether a share of fresh processes has loaded and answered once in time."""
    found = [_until_answered(start) for data in case.trials for start in cold_starts(data.record.cold_start)]
    values = _all_known(case, found, "how long a process took to load and to answer first")
    return _finding(case, values, float(asked.within), asked.share_of_starts, "load and first inference", lambda ns: seconds(ns / 1e9))


def memory(case: Case, asked: MemoryAsked) -> Finding:
    """Return whether a share of processes never held more memory than it may."""
    if asked.of == "device" and not (system := case.trials[0].record.trial.system).gpus:
        raise NotShown(f"the system {system.name} {NO_DEVICE}")
    of = _resident if asked.of == "resident" else _on_device
    values = _all_known(case, [value for data in case.trials for value in of(data)], f"the peak of {asked.of} memory of a process")
    return _finding(case, values, float(asked.at_most), asked.share_of_starts, f"peak {asked.of} memory", _mebibytes, "bytes")


def _mebibytes(held: float) -> str:
    return f"{held / MIB:,.0f} MiB"


def _until_answered(start: Mapping[str, Any]) -> float | None:
    load, first = start.get("load_ns"), start.get("first_total_ns", start.get("first_inference_ns"))
    return None if load is None or first is None else float(load) + float(first)


def _resident(data: TrialData) -> Iterator[float | None]:
    """Yield the most resident memory of each process of a trial, in bytes; None where nothing says what it held in its rounds."""
    at_end = (data.record.placement.get("at_end") or {}).get("peak_memory_bytes")
    starts = cold_starts(data.record.cold_start)
    for number, start in enumerate(starts):
        last = [at_end] if number == len(starts) - 1 else []
        timed = _largest([*last, *_of_process(data, "resident_peak_bytes", number)])
        yield None if timed is None else _largest([start.get("peak_memory_bytes"), timed])


def _on_device(data: TrialData) -> Iterator[float | None]:
    """Yield the most memory that each process of a trial held on its GPUs, by the driver or else by PyTorch, in bytes; None as above."""
    for number, start in enumerate(cold_starts(data.record.cold_start)):
        timed = _largest([*_of_process(data, "gpu_memory_bytes", number), *_of_process(data, "gpu_allocated_peak_bytes", number)])
        yield None if timed is None else _largest([start.get("gpu_allocated_peak_bytes"), timed])


def _of_process(data: TrialData, column: str, number: int) -> list[float]:
    """Return what is known of a column of the rounds, of one process of a trial."""
    values, processes = data.evidence.get(column), data.evidence.get("process")
    return [] if values is None or processes is None else _known(values[processes == number])


def _known(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if np.isfinite(value)]


def _largest(values: Iterable[float | None]) -> float | None:
    return max((float(value) for value in values if value is not None), default=None)


def _all_known(case: Case, values: Sequence[float | None], what: str) -> list[float]:
    """Return values that are all known. Raises NotShown where one is not, or there are none."""
    known = [float(value) for value in values if value is not None and value > 0]
    if not known or len(known) < len(values):
        raise case.lacks(f"no record says {what}", "measure again, with this version")
    return known


def _finding(
    case: Case,
    values: Sequence[float],
    bound: float,
    share: float,
    name: str,
    words: Callable[[float], str],
    unit: str = "ns",
) -> Finding:
    """Return the finding on a share of fresh processes, which are independent of each other."""
    kept = starts_keep(values, bound, late_share=round(1 - share, 12), error=case.error)
    return _finding_of(kept, values, bound, share, name, "processes", words, unit)


def _finding_of(
    kept: Shown,
    values: Sequence[float],
    bound: float,
    share: float,
    name: str,
    units: str,
    words: Callable[[float], str],
    unit: str = "ns",
) -> Finding:
    largest = max(values)
    longest = words(largest) if math.isfinite(largest) else "any time"
    certified = "" if kept.certified is None or math.isinf(kept.certified) else f", certified {words(kept.certified)}"
    said = (
        f"{name}: at most {longest} in {len(values)} {ONE[units] if len(values) == 1 else units}{certified}; {broken(kept)} of them "
        f"break the bound, of those to come a share in [{kept.low:.3f}, {kept.high:.3f}]; "
        f"asked: at most {words(bound)} in at least {share:.6g} of them"
    )
    missing = missing_rounds(kept).replace("rounds", units).replace("round", ONE[units])
    return Finding(
        kept.verdict, said, missing, figure=largest, low=None, high=kept.certified, asked=bound, unit=unit, method="order statistic"
    )
