"""What a trial takes beside its times: first inferences, the most memory it held, and answers that changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.typed_rows import Int32, Int64, Labels


class ResourcesRow(Labels):
    """One row per trial."""

    processes: Annotated[Int32, "how many fresh processes timed its rounds; of several, the largest figure counts"]
    load_ns: Annotated[Int64 | None, "from the start of its work until the model is loaded"]
    first_inference_ns: Annotated[Int64 | None, "the first model call of the process, before anything is warm"]
    first_total_ns: Annotated[Int64 | None, "the same with preprocess and postprocess"]
    warm_first_ns: Annotated[Int64 | None, "total time of the first inference after the warm-up; null under load"]
    paused_first_ns: Annotated[Int64 | None, "the longest total time of a first inference after the pause before a later visit"]
    resident_peak_bytes: Annotated[Int64 | None, "most resident memory of the process, from its start to its end"]
    resident_round_peak_bytes: Annotated[Int64 | None, "the same while rounds, under load streams, were timed"]
    gpu_memory_peak_bytes: Annotated[Int64 | None, "most memory of its GPUs that the process held right after a round, by the driver"]
    gpu_allocated_peak_bytes: Annotated[Int64 | None, "most that PyTorch's tensors took on its GPUs, loading included"]
    rounds: Annotated[Int32, "how many rounds"]
    samples: Annotated[Int32, "how many samples"]
    changed_rounds: Annotated[
        Int32 | None, "rounds with an answer other than the first round's; null where none, or only the first, is stored"
    ]
    changed_samples: Annotated[Int32 | None, "samples with such an answer; null likewise"]
    most_changed: Annotated[Int32 | None, "such answers in the round that has most; null likewise"]
    compared_with: Annotated[str | None, "the first trial of the same model and data; null for that trial itself"]
    differing_samples: Annotated[
        Int32 | None, "samples answered otherwise than there, numbers with a fraction to within 0.1 %; null where no answer is stored"
    ]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def resources_rows(group: Group) -> Iterator[ResourcesRow]:
    """Yield the rows of a group's trials for ``resources.parquet``."""
    differing = {found.other: found.samples for found in group.disagreements}
    firsts: dict[str, TrialData] = {}
    for data in group.trials:
        first = firsts.setdefault(data.record.trial.model.name, data)
        starts = cold_starts(data.record.cold_start)
        rounds = len(data.times[data.clock])
        changed = data.evidence.get("different_answers", np.full(rounds, np.nan))
        is_known = _answers(data) and bool(np.isfinite(changed).any())
        is_first = first.trial_id == data.trial_id
        yield {
            **data.record.labels(),
            "processes": max(1, len(data.record.processes)),
            "load_ns": _largest(start.get("load_ns") for start in starts),
            "first_inference_ns": _largest(start.get("first_inference_ns") for start in starts),
            "first_total_ns": _largest(start.get("first_total_ns") for start in starts),
            "warm_first_ns": _largest(warm_firsts(data)),
            "paused_first_ns": _largest(value for value in paused_firsts(data) if math.isfinite(value)),
            "resident_peak_bytes": _largest(
                [
                    *(start.get("peak_memory_bytes") for start in starts),
                    _most(data, "resident_peak_bytes"),
                    (data.record.placement.get("at_end") or {}).get("peak_memory_bytes"),
                ]
            ),
            "resident_round_peak_bytes": _largest([_most(data, "resident_peak_bytes")]),
            "gpu_memory_peak_bytes": _largest([_most(data, "gpu_memory_bytes")]),
            "gpu_allocated_peak_bytes": _largest(
                [*(start.get("gpu_allocated_peak_bytes") for start in starts), _most(data, "gpu_allocated_peak_bytes")]
            ),
            "rounds": rounds,
            "samples": len(data.references),
            "changed_rounds": int((changed > 0).sum()) if is_known else None,
            "changed_samples": data.changed_samples if is_known else None,
            "most_changed": int(np.nanmax(changed)) if is_known else None,
            "compared_with": None if is_first else first.trial_id,
            "differing_samples": differing.get(data.trial_id, 0) if not is_first and _answers(data) and _answers(first) else None,
            "flags": list(group.flags[data.trial_id]),
        }


def _answers(data: TrialData) -> bool:
    """Return whether any answer of a trial is stored."""
    return any(answer is not None for answer in data.predictions)


def cold_starts(stored: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the cold starts of a trial's processes, the first one first; ``stored`` is that of ``trial.json``."""
    return [*stored.get("earlier", ()), stored] if stored else []


def warm_firsts(data: TrialData) -> Iterator[float]:
    """Yield per process the total time of its first inference after the warm-up, in ns: that of the lead-in, or else of its first round.

    Whether anything was warm is not known of an imported trial.
    """
    if data.record.trial.load.is_open or data.record.imported:
        return
    leads = _of_rounds(data, "lead_in_first_ns")
    for row in _first_rows(data):
        if np.isfinite(leads[row]):
            yield float(leads[row])
        elif np.isfinite(found := data.as_run(PRIMARY_CLOCK, int(row))[0]):
            yield float(found)


def paused_firsts(data: TrialData) -> Iterator[float]:
    """Yield the total time, in ns, of the first inference of every visit but the first of each process; +inf where the model raised."""
    asked, leads = _of_rounds(data, "lead_in"), _of_rounds(data, "lead_in_first_ns")
    times = np.where((asked > 0) & ~np.isfinite(leads), np.inf, leads)
    yield from times[np.setdiff1d(np.flatnonzero(~np.isnan(times)), _first_rows(data))].tolist()


def _first_rows(data: TrialData) -> NDArray[np.intp]:
    """Return the places of the first round of each process."""
    return np.unique(_of_rounds(data, "process"), return_index=True)[1]


def _of_rounds(data: TrialData, name: str) -> NDArray[np.float64]:
    """Return a column of the rounds, [R]; NaN where it was not stored."""
    return data.evidence.get(name, np.full(len(data.times[data.clock]), np.nan))


def _most(data: TrialData, name: str) -> float | None:
    """Return the largest value of a column of the rounds that has 64 bits, None where none is known."""
    found = _of_rounds(data, name)
    known = found[np.abs(found) < 2.0**63]
    return float(known.max()) if known.size else None


def _largest(values: Iterable[float | None]) -> int | None:
    """Return the largest of the values that are known and have 64 bits, None of none."""
    return max((int(value) for value in values if value is not None and abs(value) < 2**63), default=None)
