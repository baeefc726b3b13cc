"""Which stored evidence moves with the slow rounds of a trial, and whose its late answers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.evidence_span import spans_ns
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.slow_rounds import FEWEST_ROUNDS, LEVEL, Association, association, disturbed, divide_lateness
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.units import correlation_of_neighbours
from orchestrator.storage.typed_rows import Int32, Int64, Labels

Floats = NDArray[np.float64]
NS_PER_S = 1e9
SLOWED = reduce(or_, (0x04, 0x08, 0x20, 0x40, 0x80))
"""NVML's throttle reasons that slow a GPU down: power cap, hardware and software slow-down by heat, power brake."""
SHARE = "share of the round"
TOO_FEW = f"fewer than {FEWEST_ROUNDS} rounds: nothing can be named"


@dataclass(frozen=True)
class Evidence:
    """One column of the rounds.

    unit
        of what is tested; ``cores``, ``share of the round`` and ``per second`` are the column over the
        duration of the round, or under load of the stream.
    source
        which of the six perspectives of Liu, Wang and Shi, "Understanding Time Variations of DNN Inference in Autonomous Driving" (arXiv
        2209.05487), it belongs to; their *data* and *model* are told by lateness by sample and by neither.
    origin
        whether it tells of a cause; other evidence is a sign: it tells that the process waited, and not for whom.
    harm
        1 if more of it should slow a round down, -1 if less should.
    remedy
        what to do about it.
    """

    column: str
    name: str
    unit: str
    source: Literal["I/O", "runtime", "hardware", "system"]
    remedy: str
    origin: bool = True
    harm: int = 1

    def figures(self, values: Floats, spans: Floats) -> Floats:
        """Return what is tested of its stored column, [R], over so many nanoseconds each (`evidence_span.spans_ns`).

        NaN where there is none, and in a round or stream that took no time: all was dropped.
        """
        if self.column == "gpu_throttle_reasons":
            return np.where(np.isnan(values), np.nan, (np.nan_to_num(values).astype(np.int64) & SLOWED) != 0)
        lasted_ns = np.where(spans > 0, spans, np.nan)
        if self.unit in (SHARE, "cores"):
            return np.asarray(values / lasted_ns)
        return np.asarray(values / (lasted_ns / NS_PER_S) if self.unit == "per second" else values)


ALONE = "run nothing else on this machine, or give the trial cores of its own (system.cores)"
COOL = "cool the device, or cap its power so that it holds one clock"
OTHERS = "run it on a machine whose cores are not shared with other guests"
QUOTA = "raise the quota (cpu.max or cpu.cfs_quota_us; in Kubernetes limits.cpu), or compute in fewer threads"
OURS = "leave a core to the driver and to Ray (system.cores), or load fewer trials at once"
FOREIGN = Evidence("foreign_cpu_ns", "CPU time of other programs", "cores", "system", ALONE)
FOREIGN_OF_BEFORE = replace(FOREIGN, name="CPU time of other processes, this program's own included")
"""Of rounds that do not tell the two apart: campaigns of before."""
EVIDENCE = (
    Evidence("throttled_ns", "throttling by a CPU quota", "cores", "system", QUOTA),
    FOREIGN,
    Evidence("program_cpu_ns", "CPU time of this program's other processes", "cores", "system", OURS),
    Evidence("steal_ns", "stolen CPU time", SHARE, "hardware", OTHERS),
    Evidence("frequency_mhz", "falling processor frequency", "MHz", "hardware", "hold the frequency: see `doctor`", harm=-1),
    Evidence("gpu_throttle_reasons", "GPU throttling", "yes or no", "hardware", COOL),
    Evidence("gpu_clock_mhz", "falling GPU clock", "MHz", "hardware", COOL, harm=-1),
    Evidence("gpu_temperature_c", "GPU temperature", "°C", "hardware", COOL),
    Evidence("gpu_foreign_processes", "other processes on the GPU", "processes", "system", "let nothing else run on this GPU"),
    Evidence("major_faults", "major page faults", "per second", "I/O", "give the machine more memory"),
    Evidence("minor_faults", "minor page faults", "per second", "runtime", "let the runtime keep its memory between inferences"),
    Evidence("run_delay_ns", "waiting for a core", SHARE, "system", "compute in no more threads than there are cores", origin=False),
    Evidence("cpu_pressure_ns", "any thread waiting for a core", SHARE, "system", ALONE, origin=False),
    Evidence("involuntary_switches", "involuntary context switches", "per second", "system", ALONE, origin=False),
    Evidence("voluntary_switches", "voluntary context switches", "per second", "I/O", "see what it waits for", origin=False),
    Evidence("interrupts", "interrupts", "per second", "system", "keep interrupts off the trial's cores", origin=False),
)
"""In the order of preference between evidence that stands out alike."""
BY_NAME = {evidence.name: evidence for evidence in (*EVIDENCE, FOREIGN_OF_BEFORE)}


class ExplainRow(Labels):
    """One row per trial and evidence that its rounds carry."""

    evidence: Annotated[str, "what it is called"]
    column: Annotated[str, "its column of `rounds/`"]
    unit: Annotated[
        str,
        "of what is tested: *per second*, *cores*, *share of the round*: the column over the time of the round, under load of the stream",
    ]
    source: Annotated[str, "`I/O`, `runtime`, `hardware` or `system`, a perspective of arXiv 2209.05487"]
    role: Annotated[str, "`cause`, or `sign`: it tells that the process waited, and not for whom"]
    place: Annotated[Int32 | None, "place among what is named, from 1, causes before signs; null where it is not named"]
    late_correlation: Annotated[float | None, "rank correlation with the share of late inferences; null where either says nothing"]
    late_p: Annotated[float, "its one-sided p-value, adjusted for all tests of the trial"]
    time_correlation: Annotated[float | None, "rank correlation with the mean total time of a round's inferences"]
    time_p: Annotated[float, "its p-value, likewise"]
    method: Annotated[str, "`circular shifts` or `visits exchanged`"]
    boundary: Annotated[float | None, "disturbed rounds lie beyond it, in `unit`; null where all rounds are alike"]
    quiet_rounds: Annotated[Int32, "how many rounds, under load streams, have little of it"]
    quiet_late: Annotated[float | None, "share of late inferences in them"]
    quiet_mean: Annotated[float | None, "tail quality in them, a mean over rounds"]
    disturbed_rounds: Annotated[Int32, "how many have much of it"]
    disturbed_late: Annotated[float | None, "share of late inferences in them"]
    disturbed_mean: Annotated[float | None, "tail quality in them"]
    metric: Annotated[str, "the primary metric"]
    threshold: Annotated[str, "label of the primary threshold, on the total clock, under load on `response`"]
    threshold_ns: Annotated[Int64, "the time bound"]
    threshold_origin: Annotated[str, "`absolute` or `reference`"]
    threshold_reference: Annotated[str | None, "the trial whose percentile it is, where the origin is `reference`"]
    rounds: Annotated[Int32, "how many rounds there are"]
    late: Annotated[float, "share of late inferences, of the trial as all that follows"]
    by_sample: Annotated[float | None, "share of the variance of being late that goes with the sample; null where it cannot be told"]
    by_round: Annotated[float | None, "with the round"]
    by_neither: Annotated[float | None, "with neither"]
    correlation_of_neighbours: Annotated[float, "of the logarithm of a round's median time with the next one's: spells of slow rounds"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def explain_rows(data: TrialData, threshold: Threshold | None, flags: Sequence[str]) -> Iterator[ExplainRow]:
    """Yield the rows of one trial for ``explain.parquet``, the named evidence first, in order.

    Nothing is yielded without a threshold or evidence.
    """
    present = [evidence for evidence in EVIDENCE if _is_known(data, evidence.column)]
    if not _is_known(data, "program_cpu_ns"):
        present = [FOREIGN_OF_BEFORE if evidence is FOREIGN else evidence for evidence in present]
    if threshold is None or not present:
        return
    spans = spans_ns(data.evidence)
    signed = np.empty((len(present), len(spans)))
    for place, evidence in enumerate(present):
        signed[place] = evidence.harm * evidence.figures(data.evidence[evidence.column], spans)
    times = data.inferences[data.clock]
    of_rounds, visits = times > threshold.ns, data.visits
    late: NDArray[Any] = of_rounds
    judged = data.judged(data.metric)
    quality = scale_of(judged).shown(judged.curve(data.times[data.clock], [threshold.ns])[0])
    if data.streams is not None:
        # Under load, evidence is that of a whole stream, and stands in its first round.
        first = np.unique(data.streams, return_index=True)[1]
        signed, visits = signed[:, first], None
        late, times, quality = (_means_from(values, first) for values in (late, times, quality))
    found = association([late.mean(axis=1), times.mean(axis=1)], signed, visits)
    shared: dict[str, object] = {
        "metric": data.metric,
        **threshold.columns(),
        "rounds": len(of_rounds),
        "late": float(of_rounds.mean()),
        **_divided(of_rounds, data.batch_of is not None),
        "correlation_of_neighbours": float(correlation_of_neighbours(data.log_medians(data.clock)[None])[0]),
        "flags": [*flags, TOO_FEW] if len(late) < FEWEST_ROUNDS else list(flags),
    }
    named = _named(present, found)
    for at in [*named, *(at for at in range(len(present)) if at not in named)]:
        evidence, much = present[at], disturbed(signed[at])
        row = {
            **data.record.labels(),
            "evidence": evidence.name,
            "column": evidence.column,
            "unit": evidence.unit,
            "source": evidence.source,
            "role": "cause" if evidence.origin else "sign",
            "place": named.index(at) + 1 if at in named else None,
            "late_correlation": _known(found.correlations[0, at]),
            "late_p": float(found.p_values[0, at]),
            "time_correlation": _known(found.correlations[1, at]),
            "time_p": float(found.p_values[1, at]),
            "method": found.method,
            "boundary": float(evidence.harm * np.nanmax(signed[at][~much])) if much.any() else None,
            **_side("quiet", ~much, late, quality),
            **_side("disturbed", much, late, quality),
            **shared,
        }
        yield cast(ExplainRow, row)


def _is_known(data: TrialData, column: str) -> bool:
    """Return whether any round has it."""
    return bool(np.isfinite(data.evidence.get(column, np.empty(0))).any())


def _means_from(values: NDArray[Any], first: NDArray[np.intp]) -> Floats:
    """Return the means of what follows one another from each of these rows to the next, along the first axis."""
    counts = np.diff(np.append(first, len(values)))
    sums = np.add.reduceat(values.astype(np.float64), first, axis=0)
    return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)))


def _named(present: Sequence[Evidence], found: Association) -> list[int]:
    """Return the places of the evidence that stands out: causes first, then by p-value and by correlation."""
    p_values, correlations = found.p_values.min(axis=0), np.nan_to_num(found.correlations, nan=-1.0).max(axis=0)
    places = [at for at in range(len(present)) if p_values[at] <= LEVEL]
    return sorted(places, key=lambda at: (not present[at].origin, p_values[at], -correlations[at]))


def _side(name: str, chosen: NDArray[np.bool_], late: NDArray[Any], quality: Floats) -> dict[str, object]:
    """Return the columns of the quiet rounds or of the disturbed ones."""
    some = bool(chosen.any())
    return {
        f"{name}_rounds": int(chosen.sum()),
        f"{name}_late": float(late[chosen].mean()) if some else None,
        f"{name}_mean": _known(quality[chosen].mean()) if some else None,
    }


def _divided(late: NDArray[np.bool_], same_samples: bool) -> dict[str, float | None]:
    """Return the division of lateness. Where every round makes other batches, what would be the sample's belongs to neither."""
    divided = divide_lateness(late)
    if divided is None:
        return {"by_sample": None, "by_round": None, "by_neither": None}
    if not same_samples:
        return {"by_sample": None, "by_round": divided.by_round, "by_neither": 1 - divided.by_round}
    return divided._asdict()


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
