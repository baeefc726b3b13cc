"""Searches for the highest rate that keeps its tail quality, read from the trials that they have measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.load import NOT_KEPT, load_flags
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.stats.arrivals import SECOND_NS
from orchestrator.stats.capacity_search import Bracket, Probe, Span, bracket_of, next_rate, span_of
from orchestrator.stats.capacity_verdict import Judgement, Requirement, answers_at_stake, judged, stream_means, waited
from orchestrator.stats.stopping.capacity import DEFAULTS, Capacity
from orchestrator.stats.thresholds import Threshold, thresholds_from_ms
from orchestrator.stats.times import Clock

ANY_RATE = 1.0
"""Stands in the place of the rate of a trial that is searched."""


@dataclass(frozen=True)
class MeasuredProbe:
    """A rate that was measured: its trial, and what that has shown."""

    data: TrialData
    judgement: Judgement

    @property
    def probe(self) -> Probe:
        """The rate with its verdict."""
        rate = self.data.record.trial.load.rate_per_s
        assert rate is not None
        return Probe(rate, self.judgement.verdict)


@dataclass(frozen=True)
class Search:
    """All rates of one trial.

    like
        the trial, with any rate.
    closed
        the same in a closed loop; None where it was not measured.
    """

    like: Trial
    closed: TrialData | None
    probes: tuple[MeasuredProbe, ...]

    @property
    def closed_per_s(self) -> float | None:
        """Samples a second in a closed loop, from the duration of its whole rounds."""
        if self.closed is None:
            return None
        took_ns = self.closed.evidence["duration_ns"][~self.closed.incomplete]
        samples = self.closed.times[self.closed.clock].shape[1]
        return float(samples * took_ns.size / took_ns.sum() * SECOND_NS) if took_ns.size else None

    @property
    def span(self) -> Span | None:
        """Where it goes; None where that is not known."""
        throughput = self.closed_per_s
        return None if throughput is None else span_of(throughput)

    @property
    def bracket(self) -> Bracket:
        """What it has found so far."""
        return bracket_of(measured.probe for measured in self.probes)

    @property
    def failed(self) -> bool:
        """Whether a trial of it has not ended as it should, so that it cannot go on."""
        trials = [*([self.closed] if self.closed is not None else []), *(measured.data for measured in self.probes)]
        return any(data.record.state != "done" for data in trials)

    def next_rate(self, expected: float | None = None) -> float | None:
        """Return the rate to measure next, samples a second; None where the search is over or cannot go on."""
        span = self.span
        if span is None or self.failed:
            return None
        return next_rate([measured.probe for measured in self.probes], span, expected)


def question_of(trial: Trial) -> tuple[Threshold, Requirement] | None:
    """Return the deadline of a trial that is a rate of a search and what it must keep; None of any other."""
    if trial.measurement.rule != Capacity.name or trial.load.rate_per_s is None:
        return None
    options = {**DEFAULTS, **trial.measurement.rule_options}
    try:
        [deadline] = thresholds_from_ms([float(options["deadline_ms"])])
        found = Requirement(float(options["keep"]), int(options["most_streams"]), float(options["error"]))
    except (InputError, OverflowError, ValueError):  # the record may be a stranger's
        return None
    return (deadline, found) if found.sound else None


def is_probe(trial: Trial) -> bool:
    """Return whether a trial is a rate of a search."""
    return question_of(trial) is not None


def at_any_rate(trial: Trial) -> Trial:
    """Return what all rates of a search have in common: a trial without its rate and without how it is stopped."""
    return trial.model_copy(
        update={"load": trial.load.model_copy(update={"rate_per_s": ANY_RATE}), "measurement": _unstopped(trial.measurement)}
    )


def _unstopped(measurement: MeasurementConfig) -> MeasurementConfig:
    defaults = MeasurementConfig()
    changed = {name: getattr(defaults, name) for name in ("rule", "rule_options", "min_rounds", "max_rounds", "max_seconds")}
    return measurement.model_copy(update=changed)


def _in_closed_loop(trial: Trial) -> Trial:
    return trial.model_copy(update={"load": LoadConfig(), "measurement": _unstopped(trial.measurement)})


def searches_of(trials: Sequence[TrialData], wanted: Iterable[Trial] = ()) -> list[Search]:
    """Return the searches among trials, in the order of their first ones; those of ``wanted`` come first, even without a rate yet."""
    likes = {_key(like): like for like in map(at_any_rate, wanted)}
    measured = [data for data in trials if is_probe(data.record.trial) and data.streams is not None and Clock.RESPONSE in data.times]
    if not (likes or measured):
        return []
    probes: dict[str, list[TrialData]] = {}
    closed = {_key(_in_closed_loop(data.record.trial)): data for data in trials if not data.record.trial.load.is_open}
    for data in measured:
        like = at_any_rate(data.record.trial)
        likes.setdefault(_key(like), like)
        probes.setdefault(_key(like), []).append(data)
    return [
        Search(like, closed.get(_key(_in_closed_loop(like))), tuple(MeasuredProbe(data, judge_probe(data)) for data in probes.get(key, ())))
        for key, like in likes.items()
    ]


def _key(trial: Trial) -> str:
    return trial.model_dump_json()


def asked_of(data: TrialData) -> tuple[Threshold, Requirement]:
    """Return the deadline of a probe, and what it must keep."""
    found = question_of(data.record.trial)
    assert found is not None
    return found


def judge_probe(data: TrialData) -> Judgement:
    """Return what a probe has shown; a schedule that was not kept shows nothing."""
    found = _judge_streams(data)
    kept = found.verdict == "undecided" or NOT_KEPT not in load_flags(data, asked_of(data)[0])
    return found if kept else Judgement("undecided", found.streams, found.mean, found.low, found.high, found.confidence)


def _judge_streams(data: TrialData) -> Judgement:
    deadline, requirement = asked_of(data)
    metric = data.judged(data.metric)
    times = data.times[Clock.RESPONSE]
    qualities = metric.curve(times, [deadline.ns])[0]
    assert data.streams is not None
    waiting = waited(times, data.times[Clock.TOTAL]).mean(axis=1)
    means, shares = (stream_means(values, data.streams, data.cut_short) for values in (qualities, waiting))
    samples = times.shape[1] * int(np.unique(data.streams, return_counts=True)[1].max())
    ideal = metric.ideal()
    return judged(means, answers_at_stake(samples, shares, ideal), ideal, requirement)


def words_without_rate(load: LoadConfig) -> str:
    """Return a load in words, without its rate."""
    pace = f" {load.rate_per_s:g}/s"
    return load.words.replace(pace, "", 1)
