"""Tail quality of every trial, metric, slice, clock and threshold: one tidy row per figure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import at_stake, judge
from orchestrator.analysis.threshold_sets import ThresholdSet
from orchestrator.analysis.trial_data import CLOCKS, TrialData
from orchestrator.config import AnalysisConfig
from orchestrator.metrics import Answers
from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.intervals import rounds_interval
from orchestrator.stats.tail_quality import summarize
from orchestrator.stats.thresholds import Threshold, own_thresholds

NOT_EXCHANGEABLE = "rounds not exchangeable"


def tail_quality_rows(data: TrialData, common: ThresholdSet, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows of one trial for ``tail_quality.parquet``."""
    flags = data.flags + exchangeability_flags(data, common)
    for clock in CLOCKS:
        times = data.times[clock]
        own = own_thresholds(times, analysis.percentiles)
        own_flags = (*flags, "in-sample") if own.in_sample else flags
        for metric, slice_name, members in _figures(data, analysis.slices):
            at = _Figure(data, metric, slice_name, members, clock, analysis.seed)
            yield from at.rows(own.thresholds, times[own.first_round :], own.first_round, own_flags)
            yield from at.rows(common.common(clock), times, 0, flags, reference=common.reference.trial if common.reference else None)


def exchangeability_flags(data: TrialData, common: ThresholdSet) -> tuple[str, ...]:
    """Return the flag of a trial whose rounds drift or resemble their neighbours, or nothing."""
    total = data.times["total"]
    if common.primary is None or len(total) < 3:
        return ()
    judged = judge(data.record.metrics[0], data.answers(np.ones(total.shape[1], dtype=bool)))
    quality = judged.curve(total, [common.primary.ns])[0]
    log_medians = np.log(np.median(total, axis=1))
    return (NOT_EXCHANGEABLE,) if exchangeability_flag(log_medians, quality).flagged else ()


def _figures(data: TrialData, slices: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield metric, name of the slice and its members."""
    for metric in data.record.metrics:
        yield metric, "all", np.ones(len(data.references), dtype=bool)
        for name in slices:
            groups = data.slices.get(name, ())
            for group in sorted({group for group in groups if group is not None}):
                yield metric, f"{name}={group}", np.array([member == group for member in groups])


class _Figure:
    """One metric of one slice on one clock."""

    def __init__(self, data: TrialData, metric: str, slice_name: str, members: NDArray[np.bool_], clock: str, seed: int) -> None:
        self._data, self._metric, self._slice, self._members, self._clock = data, metric, slice_name, members, clock
        answers: Answers = data.answers(members)
        self._judged = judge(metric, answers)
        self._ideal = self._judged.ideal()
        self._at_stake = at_stake(self._judged, answers)
        self._random = np.random.default_rng([seed, zlib.crc32(f"{data.trial_id} {metric} {slice_name} {clock}".encode())])

    def rows(
        self,
        thresholds: Sequence[Threshold],
        times: NDArray[np.float64],
        first_round: int,
        flags: Sequence[str],
        reference: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield one row per threshold."""
        curve = self._judged.curve(times[:, self._members], [threshold.ns for threshold in thresholds])
        for threshold, quality in zip(thresholds, curve, strict=True):
            summary = summarize(quality, self._ideal)
            interval = rounds_interval(quality, self._ideal, self._at_stake, self._random)
            yield {
                **self._data.record.labels(),
                "metric": self._metric,
                "slice": self._slice,
                "clock": self._clock,
                "threshold": threshold.label,
                "threshold_ns": threshold.ns,
                "threshold_origin": threshold.origin,
                "threshold_reference": reference if threshold.origin == "reference" else None,
                "ideal": summary.ideal,
                "mean": summary.mean,
                "worst": summary.worst,
                "sd": None if math.isnan(summary.sd) else summary.sd,
                "interval_low": interval.low,
                "interval_high": interval.high,
                "interval_method": interval.method,
                "first_round": first_round,
                "rounds": summary.rounds,
                "samples": int(self._members.sum()),
                "flags": list(flags),
            }
