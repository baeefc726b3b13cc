"""The deadline each system can promise: one tidy row per trial, clock and quality floor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig, DeadlineConfig
from orchestrator.stats.certificate import certify
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.tail_quality import mean_deadlines, round_deadlines
from orchestrator.stats.times import Clock
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters


class DeadlineRow(Labels):
    """One row per trial, clock and quality floor."""

    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`"]
    reference: Annotated[str, "whose ideal quality the floor is a share of: `own`, or `common` to all models of the task"]
    reference_quality: Annotated[float, "that ideal quality"]
    quality_share: Annotated[float, "the share of it that is to be kept"]
    floor: Annotated[float, "the quality that is to be kept"]
    late_share: Annotated[float, "share of rounds that may keep less"]
    confidence: Annotated[float, "of the promise"]
    deadline_ns: Annotated[Int64 | None, "within it a share of 1 - `late_share` of rounds keeps the floor; null unless `certified`"]
    certified: Annotated[bool, "whether that can be promised"]
    reason: Annotated[str | None, "why it cannot"]
    observed_ns: Annotated[Int64 | None, "the bound that this share of the measured rounds kept, an observation and no promise"]
    threshold_origin: Annotated[str, "`own`: the trial's own rounds choose it"]
    method: Annotated[str, "how it was found"]
    parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    rounds: Annotated[Int32, "how many rounds it rests on; those there are, where they are too few to be read"]
    later_rounds: Annotated[Int32, "how many rounds came after them"]
    later_breaks: Annotated[Int32 | None, "how many of those did not keep it; null where nothing was certified"]
    more_rounds: Annotated[Int32 | None, "how many more would be needed; null of imported trials, which none certify"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def lowest_ideal(trials: Sequence[TrialData]) -> float:
    """Return the lowest ideal quality among trials, as a gain, which every model can keep; 0 if none is ever right."""
    ideals = (data.judged(data.metric).ideal() for data in trials)
    return min((ideal for ideal in ideals if ideal > 0), default=0.0)


def deadline_rows(data: TrialData, common: float, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[DeadlineRow]:
    """Yield the rows of one trial for ``deadline.parquet``.

    A floor is a share of ideal quality: of the trial's own, and of the ``common`` one of all trials of its task.
    """
    ideal = data.judged(data.metric).ideal()
    if not math.isnan(ideal):
        yield from _rows(data, {"own": ideal, "common": common}, flags, analysis)


class _Promise(TypedDict):
    deadline_ns: int | None
    certified: bool
    reason: str | None
    observed_ns: int | None
    parameters: Mapping[str, float]
    rounds: int
    later_rounds: int
    later_breaks: int | None
    more_rounds: int | None


def _rows(data: TrialData, qualities: Mapping[str, float], flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[DeadlineRow]:
    """Yield a row per reference quality and clock."""
    wanted, scale = analysis.deadline, scale_of(data.judged(data.metric))
    floors = {reference: wanted.quality * quality for reference, quality in qualities.items()}
    by_clock = {clock: _of_rounds(data, clock, sorted({floor for floor in floors.values() if floor > 0})) for clock in data.times}
    for reference, clock in product(qualities, data.times):
        found = by_clock[clock].get(floors[reference])
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "clock": clock,
            "reference": reference,
            "reference_quality": scale.shown(qualities[reference]),
            "quality_share": wanted.quality,
            "floor": scale.shown(floors[reference]),
            "late_share": wanted.late_share,
            "confidence": wanted.confidence,
            "threshold_origin": "own",
            "method": "korn-graubard",
            "flags": list(flags),
            **(_nothing_to_keep(len(data.times[clock])) if found is None else _promise(data, found, flags, wanted)),
        }


def _nothing_to_keep(rounds: int) -> _Promise:
    return {
        "deadline_ns": None,
        "certified": False,
        "reason": "no answer is right, so there is no quality to keep",
        "observed_ns": None,
        "parameters": {},
        "rounds": rounds,
        "later_rounds": 0,
        "later_breaks": None,
        "more_rounds": None,
    }


def _promise(data: TrialData, found: NDArray[np.float64], flags: Sequence[str], wanted: DeadlineConfig) -> _Promise:
    """Return what can be promised from the deadline of every round, [R]."""
    promise = certify(found, data.visits, rounds_of_certificate(data), late_share=wanted.late_share, confidence=wanted.confidence)
    first, later = np.split(found, [promise.rounds])
    observed = percentile_inverted_cdf(first, 100 * (1 - wanted.late_share))
    reason = ", ".join(flags) or promise.reason or None
    certified = promise.ns is not None and reason is None
    return {
        "deadline_ns": math.ceil(promise.ns) if promise.ns is not None and certified else None,
        "certified": certified,
        "reason": reason,
        "observed_ns": math.ceil(observed) if math.isfinite(observed) else None,
        "parameters": {"breaks": float(promise.breaks), "n_eff": promise.effective},
        "rounds": promise.rounds,
        "later_rounds": later.size,
        "later_breaks": int((later > promise.ns).sum()) if promise.ns is not None else None,
        "more_rounds": None if data.record.imported else promise.more_rounds or None,  # no number of them certifies an imported one
    }


def _of_rounds(data: TrialData, clock: Clock, floors: Sequence[float]) -> dict[float, NDArray[np.float64]]:
    """Return by quality floor the deadline of every round, [R]."""
    judged, times = data.judged(data.metric), data.times[clock]
    if isinstance(judged, JudgedMean):
        return dict(zip(floors, mean_deadlines(judged.scores, times, floors), strict=True))
    return {floor: round_deadlines(judged.curve, times, floor) for floor in floors}


def rounds_of_certificate(data: TrialData) -> int:
    """Return the number of rounds that a certificate rests on, fixed before anything was measured.

    ``certify_rounds``, or all under rule ``rounds`` where these are more.
    """
    measurement = data.record.trial.measurement
    all_of_them = measurement.rule == "rounds" and len(data.times[data.clock]) >= measurement.max_rounds
    return max(measurement.certify_rounds, measurement.max_rounds if all_of_them else 0)


Deadlines: TypeAlias = tuple[float, float]
NEVER: Deadlines = (math.inf, math.inf)


def kept_from(rows: Iterable[Mapping[str, Any]], clock: str) -> dict[str, Deadlines]:
    """Return from which deadline on each trial keeps its own quality on a clock: certified, then as observed, in ns; infinite for never.

    Of systems that keep exactly as much, the one that keeps it from the shortest deadline on stands first.
    """
    return {
        row["trial"]: (row["deadline_ns"] if row["certified"] else math.inf, math.inf if row["observed_ns"] is None else row["observed_ns"])
        for row in rows
        if (row["clock"], row["reference"]) == (clock, "own")
    }


def longest(of_processes: Iterable[Deadlines]) -> Deadlines:
    """Return from which deadlines on all processes of a system keep their quality."""
    certified, observed = zip(*of_processes, strict=True)
    return max(certified), max(observed)
