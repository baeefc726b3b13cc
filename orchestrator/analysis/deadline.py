"""The deadline each system can promise: one tidy row per trial, clock and quality floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import AnalysisConfig, DeadlineConfig
from orchestrator.stats.deadline import certify_deadline
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.round_deadlines import mean_deadlines, round_deadlines
from orchestrator.stats.times import Clock
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters


class DeadlineRow(Labels):
    """One row per trial, clock and quality floor."""

    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`inference` or `total`"]
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
    rounds: Annotated[Int32, "how many rounds it rests on"]
    more_rounds: Annotated[Int32 | None, "how many more would be needed"]
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
    more_rounds: int | None


def _rows(data: TrialData, qualities: Mapping[str, float], flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[DeadlineRow]:
    """Yield a row per reference quality and clock."""
    wanted, scale = analysis.deadline, scale_of(data.judged(data.metric))
    floors = {reference: wanted.quality * quality for reference, quality in qualities.items()}
    by_clock = {clock: _of_rounds(data, clock, sorted({floor for floor in floors.values() if floor > 0})) for clock in Clock}
    for reference, clock in product(qualities, Clock):
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
            "method": "order statistic",
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
        "more_rounds": None,
    }


def _promise(data: TrialData, found: NDArray[np.float64], flags: Sequence[str], wanted: DeadlineConfig) -> _Promise:
    """Return what can be promised from the deadline of every round, [R]."""
    fixed = (_fixed_rounds(data), *data.record.looks)
    promise = certify_deadline(found, fixed, late_share=wanted.late_share, confidence=wanted.confidence)
    observed = percentile_inverted_cdf(found[: promise.rounds or None], 100 * (1 - wanted.late_share))
    certified = promise.ns is not None and not flags
    return {
        "deadline_ns": math.ceil(promise.ns) if promise.ns is not None and certified else None,
        "certified": certified,
        "reason": "; ".join(filter(None, [", ".join(flags), promise.reason])) or None,
        "observed_ns": math.ceil(observed) if math.isfinite(observed) else None,
        "parameters": {
            **({} if promise.rank is None else {"rank": float(promise.rank)}),
            "look": float(promise.look),
            "allowed_error": promise.allowed_error,
        },
        "rounds": promise.rounds,
        "more_rounds": promise.more_rounds or None,
    }


def _of_rounds(data: TrialData, clock: Clock, floors: Sequence[float]) -> dict[float, NDArray[np.float64]]:
    """Return by quality floor the deadline of every round, [R]."""
    judged, times = data.judged(data.metric), data.times[clock]
    if isinstance(judged, JudgedMean):
        return dict(zip(floors, mean_deadlines(judged.scores, times, floors), strict=True))
    return {floor: round_deadlines(judged.curve, times, floor) for floor in floors}


def _fixed_rounds(data: TrialData) -> int:
    """Return the number of rounds that was fixed before anything was measured: all under rule ``rounds``, else ``min_rounds``."""
    measurement, stopping = data.record.trial.measurement, data.record.stopping
    ran_all = measurement.rule == "rounds" and stopping is not None and stopping.reason == "max_rounds"
    return measurement.max_rounds if ran_all else measurement.min_rounds
