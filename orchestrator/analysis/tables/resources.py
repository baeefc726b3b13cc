from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import FLAGS, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.times import PRIMARY_CLOCK


@table(
    "resources",
    (
        Column(
            "processes",
            "int32",
            "how many fresh processes timed its rounds; of several, the largest figure counts",
        ),
        Column(
            "load_ns", "int64?", "from the start of its work until the model is loaded", "load", "s"
        ),
        Column(
            "first_inference_ns",
            "int64?",
            "the first model call of the process, before anything is warm",
        ),
        Column(
            "first_total_ns", "int64?", "the same with preprocess and postprocess", "first", "ms"
        ),
        Column(
            "warm_first_ns",
            "int64?",
            "total time of the first inference after the warm-up; null under load",
            "warm first",
            "ms",
        ),
        Column(
            "paused_first_ns",
            "int64?",
            "the longest total time of a first inference after the pause before a later visit",
            "after a pause",
            "ms",
        ),
        Column(
            "resident_peak_bytes",
            "int64?",
            "most resident memory of the process, from its start to its end",
            "memory",
            "memory",
        ),
        Column(
            "resident_round_peak_bytes",
            "int64?",
            "the same while rounds, under load streams, were timed",
            "in rounds",
            "memory",
        ),
        Column(
            "gpu_memory_peak_bytes",
            "int64?",
            "most memory of its GPUs that the process held right after a round, by the driver",
            "GPU memory",
            "memory",
        ),
        Column(
            "gpu_allocated_peak_bytes",
            "int64?",
            "most that PyTorch's tensors took on its GPUs, loading included",
            "GPU tensors",
            "memory",
        ),
        Column("rounds", "int32", "how many rounds"),
        Column("samples", "int32", "how many samples", "samples", "count"),
        Column(
            "changed_rounds",
            "int32?",
            "rounds with an answer other than the first round's; null where none, or only the "
            "first, is stored",
        ),
        Column(
            "changed_samples",
            "int32?",
            "samples with such an answer; null likewise",
            "changed answers",
            "count",
        ),
        Column("most_changed", "int32?", "such answers in the round that has most; null likewise"),
        Column(
            "compared_with",
            "str?",
            "the first trial of the same model and data; null for that trial itself",
        ),
        Column(
            "differing_samples",
            "int32?",
            "samples answered otherwise than there, numbers with a fraction to within 0.1 %; null "
            "where no answer is stored",
            "other answers",
            "count",
        ),
        FLAGS,
    ),
    "group",
    title="First inferences, memory and changed answers of {task}",
    note="First: total time of the first inference of a process, before anything is warm; warm "
    "first: of the first after its warm-up; after a pause: the longest of a visit's first "
    "inference. Memory: the most that was resident in the process, from its start on and while it "
    "was timed. Changed answers: samples that some round answers otherwise than the first round. "
    "Other answers: samples answered otherwise than by the first trial of the same model; - is "
    "that trial, and what is not known, since no answers are stored.",
    section="First inferences, memory and changed answers",
)
def resources(context: Context, group: Group) -> Iterator[Row]:
    """Yield the rows of a group's trials; of several processes the largest figure counts."""
    differing = {found.other: found.samples for found in group.disagreements}
    firsts: dict[str, TrialData] = {}
    for data in group.trials:
        first = firsts.setdefault(data.record.trial.model.name, data)
        starts = cold_starts(data.record.cold_start)
        changed = _of_rounds(data, "different_answers")
        is_known = _answers(data) and bool(np.isfinite(changed).any())
        is_first = first.trial_id == data.trial_id
        compared = not is_first and _answers(data) and _answers(first)
        resident, allocated = (
            [*(start.get(cold) for start in starts), *_of_rounds(data, warm)]
            for cold, warm in (
                ("peak_memory_bytes", "resident_peak_bytes"),
                ("gpu_allocated_peak_bytes", "gpu_allocated_peak_bytes"),
            )
        )
        at_end = data.record.placement.get("at_end") or {}
        yield {
            **data.record.labels(),
            "processes": max(1, len(data.record.processes)),
            **{
                name: _largest(start.get(name) for start in starts)
                for name in ("load_ns", "first_inference_ns", "first_total_ns")
            },
            "warm_first_ns": _largest(warm_firsts(data)),
            "paused_first_ns": _largest(paused_firsts(data)),
            "resident_peak_bytes": _largest([*resident, at_end.get("peak_memory_bytes")]),
            "resident_round_peak_bytes": _largest(_of_rounds(data, "resident_peak_bytes")),
            "gpu_memory_peak_bytes": _largest(_of_rounds(data, "gpu_memory_bytes")),
            "gpu_allocated_peak_bytes": _largest(allocated),
            "rounds": len(changed),
            "samples": len(data.references),
            "changed_rounds": int((changed > 0).sum()) if is_known else None,
            "changed_samples": data.changed_samples if is_known else None,
            "most_changed": int(np.nanmax(changed)) if is_known else None,
            "compared_with": None if is_first else first.trial_id,
            "differing_samples": differing.get(data.trial_id, 0) if compared else None,
            "flags": list(group.flags[data.trial_id]),
        }


def _answers(data: TrialData) -> bool:
    return any(answer is not None for answer in data.predictions)


def cold_starts(stored: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the cold starts in ``trial.json``, of a trial's processes in their order."""
    return [*stored.get("earlier", ()), stored] if stored else []


def warm_firsts(data: TrialData) -> Iterator[float]:
    """Yield per process the total time of its first inference after the warm-up, in ns.

    That of the lead-in, or else of its first round. Whether anything was warm is not known of an
    imported trial.
    """
    if data.record.trial.load.is_open or data.record.imported:
        return
    leads = _of_rounds(data, "lead_in_first_ns")
    for row in _first_rows(data):
        found = leads[row] if np.isfinite(leads[row]) else data.as_run(PRIMARY_CLOCK, int(row))[0]
        if np.isfinite(found):
            yield float(found)


def paused_firsts(data: TrialData) -> list[float]:
    """Return the total time, in ns, of the first inference of every visit but each process's first.

    It is +inf where the model raised.
    """
    asked, leads = _of_rounds(data, "lead_in"), _of_rounds(data, "lead_in_first_ns")
    times = np.where((asked > 0) & ~np.isfinite(leads), np.inf, leads)
    rows = np.setdiff1d(np.flatnonzero(~np.isnan(times)), _first_rows(data))
    return [float(time) for time in times[rows]]


def _first_rows(data: TrialData) -> NDArray[np.intp]:
    return np.unique(_of_rounds(data, "process"), return_index=True)[1]


def _of_rounds(data: TrialData, name: str) -> NDArray[np.float64]:
    """Return a column of the rounds, [R]; NaN where it was not stored."""
    return data.evidence.get(name, np.full(len(data.times[data.clock]), np.nan))


def _largest(values: Iterable[float | None]) -> int | None:
    """Return the largest of the values that are known and have 64 bits, None of none."""
    return max((int(one) for one in values if one is not None and abs(one) < 2**63), default=None)
