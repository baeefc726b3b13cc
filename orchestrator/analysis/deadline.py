"""The deadline each system can promise: one tidy row per trial, clock and quality floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.analysis.trial_data import CLOCKS, TrialData
from orchestrator.config import AnalysisConfig
from orchestrator.stats.deadline import certify_deadline, round_deadlines
from orchestrator.stats.latency import percentile_inverted_cdf

NOTHING_TO_KEEP: dict[str, Any] = {
    "deadline_ns": None,
    "certified": False,
    "reason": "no answer is right, so there is no quality to keep",
    "observed_ns": None,
    "parameters": {},
    "more_rounds": None,
}


def deadline_rows(trials: Sequence[TrialData], flags: Mapping[str, Sequence[str]], analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of the trials of one task for ``deadline.parquet``.

    A floor is a share of ideal quality: of the trial's own, and of the lowest one among the trials, which every model can keep.
    """
    ideals = {data.trial_id: data.judged(data.metric).ideal() for data in trials}
    reached = [ideal for ideal in ideals.values() if ideal > 0]
    for data in trials:
        for reference, quality in (("own", ideals[data.trial_id]), ("common", min(reached, default=0.0))):
            if not math.isnan(ideals[data.trial_id]):
                yield from _rows(data, reference, quality, flags[data.trial_id], analysis)


def _rows(data: TrialData, reference: str, quality: float, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    wanted = analysis.deadline
    floor = wanted.quality * quality
    for clock in CLOCKS:
        asked = {
            **data.record.labels(),
            "metric": data.metric,
            "clock": clock,
            "reference": reference,
            "reference_quality": quality,
            "quality_share": wanted.quality,
            "floor": floor,
            "late_share": wanted.late_share,
            "confidence": wanted.confidence,
            "threshold_origin": "own",
            "method": "order statistic",
            "flags": list(flags),
        }
        if quality <= 0:
            yield asked | NOTHING_TO_KEEP | {"rounds": len(data.times[clock])}
            continue
        found = round_deadlines(data.judged(data.metric).curve, data.times[clock], floor)
        promise = certify_deadline(
            found, (_fixed_rounds(data), *data.record.looks), late_share=wanted.late_share, confidence=wanted.confidence
        )
        observed = percentile_inverted_cdf(found[: promise.rounds or None], 100 * (1 - wanted.late_share))
        certified = promise.ns is not None and not flags
        yield asked | {
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


def _fixed_rounds(data: TrialData) -> int:
    """Return the number of rounds that was fixed before anything was measured: all under rule ``rounds``, else ``min_rounds``."""
    measurement, stopping = data.record.trial.measurement, data.record.stopping
    ran_all = measurement.rule == "rounds" and stopping is not None and stopping.reason == "max_rounds"
    return measurement.max_rounds if ran_all else measurement.min_rounds
