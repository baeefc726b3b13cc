"""Tail quality of every trial, metric, clock and threshold, over all samples or some: one tidy row per figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import ThresholdSet
from orchestrator.analysis.quality import (
    JudgedMean,
    NothingToKeep,
    ideal_quality,
    in_blocks,
    intervals,
    scale_of,
)
from orchestrator.analysis.together import together
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import flags_of_units
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics import Judged
from orchestrator.stats.interval import Interval, sampling_interval
from orchestrator.stats.tail_quality import summarize
from orchestrator.stats.thresholds import Threshold, own_thresholds
from orchestrator.stats.times import Clock
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters

LOWER = (10.0, 5.0, 1.0)
"""Stored percentiles over rounds."""
IN_SAMPLE = "in-sample"
"""Flags a figure at a threshold that the same rounds have set."""


class TailQualityRow(Labels):
    """One row per trial, metric, clock and threshold."""

    metric: Annotated[str, "its name"]
    slice: Annotated[str, "`all`, or in `slices.parquet` one group of a slice as `NAME=GROUP`"]
    clock: Annotated[str, "`inference`, `total`, under load `response`, of streams `first_token`, `per_token`; several are joined by `and`"]
    threshold: Annotated[str, "its label, such as `p99` or `50 ms`"]
    threshold_ns: Annotated[Int64, "an answer is on time when its time is at most this"]
    threshold_origin: Annotated[str, "`absolute`, `reference` or `own`"]
    threshold_reference: Annotated[str | None, "the trial whose percentile it is, where the origin is `reference`"]
    ideal: Annotated[float, "quality without a threshold"]
    mean: Annotated[float, "tail quality, a mean over rounds"]
    worst: Annotated[float, "tail quality of the worst round"]
    sd: Annotated[float | None, "standard deviation over rounds; null of one round"]
    p10: Annotated[float | None, "tail quality that 10 % of rounds lie below; null where fewer than 10 rounds do"]
    p5: Annotated[float | None, "the same of 5 %"]
    p1: Annotated[float | None, "the same of 1 %"]
    interval_low: Annotated[float, "lower limit of the 95 % interval of the mean of *rounds to come*, in one stretch of this period"]
    interval_high: Annotated[float, "upper limit"]
    interval_method: Annotated[str, "`korn-graubard`, `t` of metrics that are no mean, `exact`, `none`: [statistics.md](statistics.md)"]
    interval_unit: Annotated[str, "what it takes as independent: `visits`, `streams` or, in one stretch, `rounds`"]
    interval_parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    ideal_low: Annotated[float | None, "lower limit of `ideal` over samples like these, where `task.limit` drew them"]
    ideal_high: Annotated[float | None, "upper limit"]
    first_round: Annotated[Int32, "the figures cover rounds from this one on"]
    rounds: Annotated[Int32, "how many rounds they cover"]
    samples: Annotated[Int32, "how many samples"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def tail_quality_rows(data: TrialData, common: ThresholdSet, flags: Sequence[str], analysis: AnalysisConfig) -> Iterator[TailQualityRow]:
    """Yield the rows of one trial for ``tail_quality.parquet``. Quality is judged by sample, own percentiles are those of inferences."""
    own = {clock: own_thresholds(data.inferences[clock], analysis.percentiles) for clock in data.times}
    in_sample, first_round = own[data.clock].in_sample, own[data.clock].first_round
    everything = np.ones(len(data.references), dtype=bool)
    for metric in data.record.metrics:
        try:
            figure = Figure(data, metric, "all", everything)
        except NothingToKeep:
            continue
        if figure.defined:
            own_flags = (*flags, IN_SAMPLE) if in_sample else flags
            yield from figure.rows({clock: at.thresholds for clock, at in own.items()}, first_round, own_flags)
            yield from figure.rows({clock: common.common(clock) for clock in data.times if clock in common.percentiles}, 0, flags)
            found = together(data, dict(analysis.together_ms or {}))
            if found is not None:
                figure = Figure(found.data, metric, "all", everything)
                yield from figure.rows({found.clock: (found.threshold,)}, 0, flags)


class Figure:
    """One metric of all samples, of a group of them, or of parts of them.

    Parameters
    ----------
    members : [S]
        the samples that count.
    judged
        the metric of parts of these samples; None for the samples as they are.

    Raises
    ------
    NothingToKeep
        if answers are worth exactly what late ones are.
    """

    def __init__(self, data: TrialData, metric: str, slice_name: str, members: NDArray[np.bool_], judged: Judged | None = None) -> None:
        self._data, self._metric, self._slice, self._members = data, metric, slice_name, members
        if judged is None:
            judged = data.judged(metric) if members.all() else data.judged_of_some(metric, members)
        self._judged = judged
        self._ideal = self._judged.ideal()
        self._answers = data.answers_at_stake(self._judged, members) if self.defined else 0.0
        self._sampling = self._sampling_interval()

    @property
    def defined(self) -> bool:
        """Whether there is anything to be right about: no AP of small objects where there are none."""
        return not math.isnan(self._ideal)

    def _sampling_interval(self) -> Interval | None:
        """Return the interval over other samples of the task, if these were drawn from it."""
        drawn = self._data.record.trial.task.limit is not None
        return sampling_interval(self._judged.scores) if drawn and isinstance(self._judged, JudgedMean) else None

    def rows(self, thresholds: Mapping[Clock, Sequence[Threshold]], first_round: int, flags: Sequence[str]) -> Iterator[TailQualityRow]:
        """Yield one row per clock and threshold; the figures cover rounds from ``first_round`` on."""
        places = [(clock, threshold) for clock, of_clock in thresholds.items() for threshold in of_clock]
        members = slice(None) if self._members.all() else self._members  # a slice copies nothing
        times = {clock: self._data.times[clock][first_round:, members] for clock in thresholds}
        for some in in_blocks(places, len(self._data.times[self._data.clock]) - first_round):
            yield from self._rows(some, times, first_round, flags)

    def _rows(
        self,
        places: Sequence[tuple[str, Threshold]],
        times: Mapping[Clock, NDArray[np.float64]],
        first_round: int,
        flags: Sequence[str],
    ) -> Iterator[TailQualityRow]:
        """Yield the rows of some clocks and thresholds."""
        bounds = {clock: [threshold.ns for of, threshold in places if of == clock] for clock in times}
        curve = np.concatenate([self._judged.curve(times[clock], of_clock) for clock, of_clock in bounds.items() if of_clock])
        units = self._data.units_from(first_round)
        of_units = flags_of_units(units, self._data.record.trial.load.is_open)
        scale, sampling = scale_of(self._judged), self._sampling
        ideal_low, ideal_high = (None, None) if sampling is None else scale.shown_limits(sampling.low, sampling.high)
        found = zip(places, curve, intervals(self._judged, curve, self._answers, units), strict=True)
        for (clock, threshold), gained, interval in found:
            summary = summarize(gained, LOWER)
            low, high = scale.shown_limits(interval.low, interval.high)
            in_sample = [IN_SAMPLE] if threshold.reference == self._data.trial_id else []
            lower = {percent: None if below is None else scale.shown(below) for percent, below in summary.lower.items()}
            yield {
                **self._data.record.labels(),
                "metric": self._metric,
                "slice": self._slice,
                "clock": clock,
                **threshold.columns(),
                "ideal": ideal_quality(self._judged),
                "mean": scale.shown(summary.mean),
                "worst": scale.shown(summary.worst),
                "sd": None if math.isnan(summary.sd) else summary.sd,
                "p10": lower[10],
                "p5": lower[5],
                "p1": lower[1],
                "interval_low": low,
                "interval_high": high,
                "interval_method": interval.method,
                "interval_unit": self._data.unit_from(first_round),
                "interval_parameters": {"confidence": interval.confidence, **interval.parameters},
                "ideal_low": ideal_low,
                "ideal_high": ideal_high,
                "first_round": first_round,
                "rounds": gained.size,
                "samples": int(self._members.sum()),
                "flags": list(dict.fromkeys([*flags, *of_units, *in_sample])),
            }
