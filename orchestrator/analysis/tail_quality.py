"""Tail quality of every trial, metric, clock and threshold, over all samples or some: one tidy row per figure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.dependence import alike_visits, dependence_of_rows, flags_of_rows, visits_from
from orchestrator.analysis.groups import ThresholdSet
from orchestrator.analysis.quality import (
    JudgedMean,
    NothingToKeep,
    Stake,
    ideal_quality,
    in_blocks,
    intervals_of,
    intervals_to_come,
    scale_of,
)
from orchestrator.analysis.together import together
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics import Judged
from orchestrator.stats.intervals import sampling_interval
from orchestrator.stats.korn_graubard import Interval
from orchestrator.stats.tail_quality import summarize
from orchestrator.stats.thresholds import Threshold, own_thresholds
from orchestrator.stats.times import Clock
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters

LOWER = (10.0, 5.0, 1.0)
"""Stored percentiles over rounds."""
IN_SAMPLE = "in-sample"
"""Flags a figure at a threshold that the same rounds have set."""
UNEQUAL = "answers weigh unequally"


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
    interval_low: Annotated[float, "lower limit of the 95 % interval of the mean of *rounds to come*"]
    interval_high: Annotated[float, "upper limit"]
    interval_method: Annotated[str, "how it was found; see [statistics.md](statistics.md)"]
    interval_parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    session_low: Annotated[float, "lower limit of the 95 % interval of the mean of *this session*, these rounds' period"]
    session_high: Annotated[float, "upper limit"]
    session_method: Annotated[str, "how it was found"]
    session_parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
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
            figure = Figure(data, metric, "all", everything, analysis.seed)
        except NothingToKeep:
            continue
        if figure.defined:
            own_flags = (*flags, IN_SAMPLE) if in_sample else flags
            yield from figure.rows({clock: at.thresholds for clock, at in own.items()}, first_round, own_flags)
            yield from figure.rows({clock: common.common(clock) for clock in data.times if clock in common.percentiles}, 0, flags)
            found = together(data, dict(analysis.together_ms or {}))
            if found is not None:
                figure = Figure(found.data, metric, "all", everything, analysis.seed)
                yield from figure.rows({found.clock: (found.threshold,)}, 0, flags)


class Figure:
    """One metric of all samples, of a group of them, or of parts of them.

    Parameters
    ----------
    slice_name
        of what; seeds the resamples, too.
    members : [S]
        the samples that count.
    judged
        the metric of parts of these samples; None for the samples as they are.

    Raises
    ------
    NothingToKeep
        if answers are worth exactly what late ones are.
    """

    def __init__(
        self, data: TrialData, metric: str, slice_name: str, members: NDArray[np.bool_], seed: int, judged: Judged | None = None
    ) -> None:
        self._data, self._metric, self._slice, self._members, self._seed = data, metric, slice_name, members, seed
        if judged is None:
            judged = data.judged(metric) if members.all() else data.judged_of_some(metric, members)
        self._judged = judged
        self._ideal = self._judged.ideal()
        self._stake = data.stake(self._judged, members) if self.defined else Stake(0.0, True)
        self._sampling = self._sampling_interval()

    @property
    def defined(self) -> bool:
        """Whether there is anything to be right about: no AP of small objects where there are none."""
        return not math.isnan(self._ideal)

    def _sampling_interval(self) -> Interval | None:
        """Return the interval over other samples of the task, if these were drawn from it."""
        drawn = self._data.record.trial.task.limit is not None
        return sampling_interval(self._judged.scores) if drawn and isinstance(self._judged, JudgedMean) else None

    def _flags(self, threshold: Threshold) -> Iterator[str]:
        """Yield the flags of one threshold."""
        if not self._stake.balanced:
            yield UNEQUAL
        if threshold.reference == self._data.trial_id:
            yield IN_SAMPLE

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
        """Yield the rows of some clocks and thresholds. All rows of a figure share their resamples, whatever the blocks."""
        key = f"{self._data.trial_id} {self._metric} {self._slice} {first_round}"
        random = np.random.default_rng([self._seed, zlib.crc32(key.encode())])
        bounds = {clock: [threshold.ns for of, threshold in places if of == clock] for clock in times}
        curves = {clock: self._judged.curve(times[clock], of_clock) for clock, of_clock in bounds.items() if of_clock}
        dependent = {clock: dependence_of_rows(self._data, of_clock, clock, first_round) for clock, of_clock in curves.items()}
        alike = {clock: np.full(len(of_clock), alike_visits(self._data, clock, first_round)) for clock, of_clock in curves.items()}
        visits = visits_from(self._data, first_round)
        close = self._data.close_visits
        own_flags = [found for clock in curves for found in flags_of_rows(curves[clock], dependent[clock].found, visits, close)]
        curve = np.concatenate([*curves.values()])
        session = intervals_of(curve, self._ideal, self._stake, random)
        weights, found_alike = np.concatenate([of.weights for of in dependent.values()]), np.concatenate([*alike.values()])
        to_come = intervals_to_come(curve, self._ideal, self._stake, session, weights, visits, alike=found_alike)
        scale, sampling = scale_of(self._judged), self._sampling
        ideal_low, ideal_high = (None, None) if sampling is None else scale.shown_limits(sampling.low, sampling.high)
        for (clock, threshold), gained, of_session, of_come, own in zip(places, curve, session, to_come, own_flags, strict=True):
            summary = summarize(gained, self._ideal, LOWER)
            low, high = scale.shown_limits(of_come.low, of_come.high)
            session_low, session_high = scale.shown_limits(of_session.low, of_session.high)
            lower = {each.percentile: scale.shown(each.quality) if each.certified else None for each in summary.lower}
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
                "interval_method": _method(of_come),
                "interval_parameters": {"confidence": of_come.confidence, **of_come.parameters},
                "session_low": session_low,
                "session_high": session_high,
                "session_method": _method(of_session),
                "session_parameters": {"confidence": of_session.confidence, **of_session.parameters},
                "ideal_low": ideal_low,
                "ideal_high": ideal_high,
                "first_round": first_round,
                "rounds": summary.rounds,
                "samples": int(self._members.sum()),
                "flags": [*flags, *own, *self._flags(threshold)],
            }


def _method(interval: Interval) -> str:
    """Return how an interval was found, with its unit where that is not the round."""
    return interval.method if interval.unit == "rounds" else f"{interval.method} on {interval.unit}"
