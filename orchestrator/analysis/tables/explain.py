"""Which stored evidence moves with the slow rounds of a trial, and whose its late answers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, View, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats.slow_rounds import (
    FEWEST_ROUNDS,
    LEVEL,
    Association,
    association,
    disturbed,
    divide_lateness,
)
from orchestrator.stats.units import correlation_of_neighbours
from orchestrator.storage.stored_form import finite

Floats = NDArray[np.float64]
NS_PER_S = 1e9
SLOWED = 0x04 | 0x08 | 0x20 | 0x40 | 0x80
"""NVML's throttle reasons that slow a GPU down: power cap, slow-down by heat, power brake."""
SHARE = "share of the round"
TOO_FEW = f"fewer than {FEWEST_ROUNDS} rounds: nothing can be named"


@dataclass(frozen=True)
class Evidence:
    """One column of the rounds.

    unit
        of what is tested; ``cores``, ``share of the round`` and ``per second`` are the column over
        the duration of the round, or under load of the stream.
    source
        its perspective among the six of Liu, Wang and Shi, "Understanding Time Variations of DNN
        Inference in Autonomous Driving" (arXiv 2209.05487); their *data* and *model* are told by
        lateness by sample and by neither.
    origin
        whether it tells of a cause; other evidence is a sign: the process waited, not for whom.
    harm
        1 if more of it should slow a round down, -1 if less should.
    """

    column: str
    name: str
    unit: str
    source: Literal["I/O", "runtime", "hardware", "system"]
    remedy: str
    origin: bool = True
    harm: int = 1

    def figures(self, values: Floats, spans: Floats) -> Floats:
        """Return what is tested of its stored column, [R], over so many nanoseconds each.

        NaN where there is none, and in a round or stream that took no time: all was dropped.
        """
        if self.column == "gpu_throttle_reasons":
            slowed = (np.nan_to_num(values).astype(np.int64) & SLOWED) != 0
            return np.where(np.isnan(values), np.nan, slowed)
        lasted_ns = np.where(spans > 0, spans, np.nan)
        if self.unit in (SHARE, "cores"):
            return np.asarray(values / lasted_ns)
        return np.asarray(values / (lasted_ns / NS_PER_S) if self.unit == "per second" else values)


ALONE = "run nothing else on this machine, or give the trial cores of its own (system.cores)"
COOL = "cool the device, or cap its power so that it holds one clock"
FOREIGN = Evidence("foreign_cpu_ns", "CPU time of other programs", "cores", "system", ALONE)
FOREIGN_OF_BEFORE = replace(FOREIGN, name="CPU time of other processes, this program's own included")
"""Of rounds that do not tell the two apart: campaigns of before."""
EVIDENCE = (
    Evidence(
        "throttled_ns",
        "throttling by a CPU quota",
        "cores",
        "system",
        "raise the quota (cpu.max or cpu.cfs_quota_us; in Kubernetes limits.cpu), or compute in fewer threads",
    ),
    FOREIGN,
    Evidence(
        "program_cpu_ns",
        "CPU time of this program's other processes",
        "cores",
        "system",
        "leave a core to the driver and to Ray (system.cores), or load fewer trials at once",
    ),
    Evidence(
        "steal_ns",
        "stolen CPU time",
        SHARE,
        "hardware",
        "run it on a machine whose cores are not shared with other guests",
    ),
    Evidence(
        "frequency_mhz",
        "falling processor frequency",
        "MHz",
        "hardware",
        "hold the frequency: see `doctor`",
        harm=-1,
    ),
    Evidence("gpu_throttle_reasons", "GPU throttling", "yes or no", "hardware", COOL),
    Evidence("gpu_clock_mhz", "falling GPU clock", "MHz", "hardware", COOL, harm=-1),
    Evidence("gpu_temperature_c", "GPU temperature", "°C", "hardware", COOL),
    Evidence(
        "gpu_foreign_processes",
        "other processes on the GPU",
        "processes",
        "system",
        "let nothing else run on this GPU",
    ),
    Evidence("major_faults", "major page faults", "per second", "I/O", "give the machine more memory"),
    Evidence(
        "minor_faults",
        "minor page faults",
        "per second",
        "runtime",
        "let the runtime keep its memory between inferences",
    ),
    Evidence(
        "run_delay_ns",
        "waiting for a core",
        SHARE,
        "system",
        "compute in no more threads than there are cores",
        origin=False,
    ),
    Evidence("cpu_pressure_ns", "any thread waiting for a core", SHARE, "system", ALONE, origin=False),
    Evidence(
        "involuntary_switches",
        "involuntary context switches",
        "per second",
        "system",
        ALONE,
        origin=False,
    ),
    Evidence(
        "voluntary_switches",
        "voluntary context switches",
        "per second",
        "I/O",
        "see what it waits for",
        origin=False,
    ),
    Evidence(
        "interrupts",
        "interrupts",
        "per second",
        "system",
        "keep interrupts off the trial's cores",
        origin=False,
    ),
)
"""In the order of preference between evidence that stands out alike."""
BY_NAME = {evidence.name: evidence for evidence in (*EVIDENCE, FOREIGN_OF_BEFORE)}


@table(
    "explain",
    (
        Column("evidence", "str", "what it is called", "evidence"),
        Column("column", "str", "its column of `rounds/`"),
        Column(
            "unit",
            "str",
            "of what is tested: *per second*, *cores*, *share of the round*: the "
            "column over the time of the round, under load of the stream",
        ),
        Column(
            "source",
            "str",
            "`I/O`, `runtime`, `hardware` or `system`, a perspective of arXiv 2209.05487",
        ),
        Column(
            "role",
            "str",
            "`cause`, or `sign`: it tells that the process waited, and not for whom",
            "role",
        ),
        Column(
            "place",
            "int32?",
            "place among what is named, from 1, causes before signs; null where it is not named",
            "place",
            "count",
        ),
        Column(
            "late_correlation",
            "float?",
            "rank correlation with the share of late inferences; null where either says nothing",
            "with late answers",
            "number .2f",
        ),
        Column(
            "late_p",
            "float",
            "its one-sided p-value, adjusted for all tests of the trial",
            "p",
            "p",
        ),
        Column(
            "time_correlation",
            "float?",
            "rank correlation with the mean total time of a round's inferences",
            "with time",
            "number .2f",
        ),
        Column("time_p", "float", "its p-value, likewise", "p of it", "p"),
        Column("method", "str", "`circular shifts` or `visits exchanged`"),
        Column(
            "boundary",
            "float?",
            "disturbed rounds lie beyond it, in `unit`; null where all rounds are alike",
        ),
        Column("quiet_rounds", "int32", "how many rounds, under load streams, have little of it"),
        Column("quiet_late", "float?", "share of late inferences in them"),
        Column("quiet_mean", "float?", "tail quality in them, a mean over rounds", "quiet", "quality"),
        Column("disturbed_rounds", "int32", "how many have much of it"),
        Column("disturbed_late", "float?", "share of late inferences in them"),
        Column("disturbed_mean", "float?", "tail quality in them", "disturbed", "quality"),
        METRIC,
        Column(
            "threshold",
            "str",
            "label of the primary threshold, on the total clock, under load on `response`",
        ),
        Column("threshold_ns", "int64", "the time bound"),
        Column("threshold_origin", "str", "`absolute` or `reference`"),
        Column(
            "threshold_reference",
            "str?",
            "the trial whose percentile it is, where the origin is `reference`",
        ),
        Column("rounds", "int32", "how many rounds there are"),
        Column(
            "late",
            "float",
            "share of late inferences, of the trial as all that follows",
            "late",
            "share",
        ),
        Column(
            "by_sample",
            "float?",
            "share of the variance of being late that goes with the sample; null where it cannot be told",
            "by sample",
            "share",
        ),
        Column("by_round", "float?", "with the round", "by round", "share"),
        Column("by_neither", "float?", "with neither", "by neither", "share"),
        Column(
            "correlation_of_neighbours",
            "float",
            "of the logarithm of a round's median time with the next one's: spells of slow rounds",
        ),
        FLAGS,
    ),
    "trial",
    views=(
        View(
            "lateness",
            "Late answers of {task} ({metric}, {clock} time) within {bound}, and whose they are",
            "Late: share of inferences beyond the threshold. Of the variance of being late, a part "
            "goes with the sample (the input), a part with the round (the machine), and the rest "
            "with neither: the system itself varies from one inference to the next.",
            where={"threshold": "@primary"},
            labels={
                "late": "late",
                "by_neither": "by neither",
                "by_round": "by round",
                "by_sample": "by sample",
            },
            section="Slow rounds",
        ),
        View(
            "slow_rounds",
            "What moves with slow rounds of {task}",
            "Stored evidence that moves with late answers or with the time of rounds: rank "
            "correlations over rounds, a straight line taken out, with one-sided p-values adjusted "
            f"for all tests of the trial; either is at most {LEVEL:g}, and a false name comes in at "
            "most 5 % of trials. It concerns the part *by round* alone. A sign tells that the "
            "process waited, and not for whom. Quiet and disturbed: mean tail quality in rounds "
            "with little and with much of it; no round is dropped.",
            where={"place": tuple(range(1, 1 + len(EVIDENCE)))},
            labels={
                "evidence": "evidence",
                "role": "role",
                "late_correlation": "with late answers",
                "late_p": "p",
                "time_correlation": "with time",
                "time_p": "p of it",
                "quiet_mean": "quiet",
                "disturbed_mean": "disturbed",
            },
            section="Slow rounds",
        ),
        View(
            "evidence",
            "Evidence of {trial}",
            "Rank correlations over rounds, a straight line taken out, each with its p-value: "
            f"one-sided, adjusted for all tests of the trial. With either up to {LEVEL:g} the "
            "evidence is named and has a place. A dash: constant, or other than its median in "
            "fewer than 6 rounds.",
            section="One trial",
            split=("trial",),
            without=("model", "system", "runtime", "batch", "settings", "repeat"),
            labels={
                "place": "place",
                "evidence": "evidence",
                "role": "role",
                "late_correlation": "with late answers",
                "late_p": "p",
                "time_correlation": "with time",
                "time_p": "p of it",
            },
        ),
    ),
)
def explain(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield a row per evidence, what is named first; none without a threshold or evidence."""
    threshold, flags = group.thresholds.primary, group.flags[data.trial_id]
    present = [one for one in EVIDENCE if _is_known(data, one.column)]
    if not _is_known(data, "program_cpu_ns"):
        present = [FOREIGN_OF_BEFORE if one is FOREIGN else one for one in present]
    if threshold is None or not present:
        return
    spans = spans_ns(data.evidence)
    signed = np.array([one.harm * one.figures(data.evidence[one.column], spans) for one in present])
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
    neighbours = correlation_of_neighbours(data.log_medians(data.clock)[None])
    shared = {
        "metric": data.metric,
        **threshold.columns(),
        "rounds": len(of_rounds),
        "late": float(of_rounds.mean()),
        **_divided(of_rounds, data.batch_of is not None),
        "correlation_of_neighbours": float(neighbours[0]),
        "flags": [*flags, TOO_FEW] if len(late) < FEWEST_ROUNDS else list(flags),
    }
    named = _named(present, found)
    for at in [*named, *(at for at in range(len(present)) if at not in named)]:
        evidence, much = present[at], disturbed(signed[at])
        yield {
            **data.record.labels(),
            "evidence": evidence.name,
            "column": evidence.column,
            "unit": evidence.unit,
            "source": evidence.source,
            "role": "cause" if evidence.origin else "sign",
            "place": named.index(at) + 1 if at in named else None,
            "late_correlation": finite(found.correlations[0, at]),
            "late_p": float(found.p_values[0, at]),
            "time_correlation": finite(found.correlations[1, at]),
            "time_p": float(found.p_values[1, at]),
            "method": found.method,
            "boundary": float(evidence.harm * np.nanmax(signed[at][~much])) if much.any() else None,
            **_side("quiet", ~much, late, quality),
            **_side("disturbed", much, late, quality),
            **shared,
        }


def _is_known(data: TrialData, column: str) -> bool:
    """Return whether any round has it."""
    return bool(np.isfinite(data.evidence.get(column, np.empty(0))).any())


def _means_from(values: NDArray[Any], first: NDArray[np.intp]) -> Floats:
    """Return the means of the rows from each of these to the next, along the first axis."""
    counts = np.diff(np.append(first, len(values)))
    sums = np.add.reduceat(values.astype(np.float64), first, axis=0)
    return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)))


def _named(present: Sequence[Evidence], found: Association) -> list[int]:
    """Return the places of what stands out: causes first, then by p-value and by correlation."""
    p_values = found.p_values.min(axis=0)
    correlations = np.nan_to_num(found.correlations, nan=-1.0).max(axis=0)
    places = [at for at in range(len(present)) if p_values[at] <= LEVEL]
    return sorted(places, key=lambda at: (not present[at].origin, p_values[at], -correlations[at]))


def _side(name: str, chosen: NDArray[np.bool_], late: NDArray[Any], quality: Floats) -> dict[str, object]:
    """Return the columns of the quiet rounds or of the disturbed ones."""
    some = bool(chosen.any())
    return {
        f"{name}_rounds": int(chosen.sum()),
        f"{name}_late": float(late[chosen].mean()) if some else None,
        f"{name}_mean": finite(quality[chosen].mean()) if some else None,
    }


def _divided(late: NDArray[np.bool_], same_samples: bool) -> dict[str, float | None]:
    """Return the division of lateness; the sample's part is neither's if batches change."""
    divided = divide_lateness(late)
    if divided is None:
        return dict.fromkeys(("by_sample", "by_round", "by_neither"))
    if not same_samples:
        return {"by_sample": None, "by_round": divided.by_round, "by_neither": 1 - divided.by_round}
    return divided._asdict()
