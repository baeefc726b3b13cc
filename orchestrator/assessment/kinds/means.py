"""What the mean of rounds to come must keep: tail quality, a percentile of latency, quality at a rate of arrivals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from orchestrator.analysis.quality import JudgedMean, Judgement
from orchestrator.analysis.tables.tail_quality import FEWEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.kinds import Asked, Kind, Need, Outcome, Prospect, error_of, judged_part, say, worst
from orchestrator.assessment.kinds.rounds import keeps_quality
from orchestrator.assessment.subjects import NotShown, Subject
from orchestrator.assessment.values import Float, Metric, Percentile, Share, Slice, Threshold, Time
from orchestrator.configuration.analysis import ClockName
from orchestrator.configuration.fields import MOST_ARRIVALS_PER_S
from orchestrator.report.text import milliseconds, quality, quality_within
from orchestrator.stats.requirements import mean_reaches
from orchestrator.stats.times import Clock
from orchestrator.storage.records import PlannedTrial

# Share of the samples that a plan takes to be answered rightly: what they lose is what shows tail quality.
RIGHT = 0.5
# A share of answers, counted as a metric of which each answer on time has 1.
SHARE = JudgedMean(np.ones(1))


class TailQuality(Kind):
    """Tail quality at a threshold: in the mean of rounds to come or, with ``share_of_rounds``, in so large a share of them.

    ``at_least`` is a share of the trial's own ideal quality, or a quality on the metric's scale with ``of: absolute``.
    """

    kind: Literal["tail_quality"] = "tail_quality"
    threshold: Threshold
    at_least: Annotated[Float, Field(ge=-1e12, le=1e12)]
    of: Literal["ideal", "absolute"] = "ideal"
    metric: Metric | None = None
    slice: Slice = "all"
    clock: ClockName | None = None
    share_of_rounds: Share | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.of == "ideal" and not 0 < self.at_least < 1:
            share = self.at_least / 100 if 1 < self.at_least < 100 else 0.95
            raise ValueError(f"at_least={self.at_least:g} of ideal quality: must be a share above 0 and below 1; write {share:g}")
        return self

    def judge(self, system: Subject, error: float) -> Outcome:
        clock = system.clock(self.clock)
        threshold = system.threshold(self.threshold, clock)
        asked = (self.metric, self.slice, self.at_least, self.of)
        if self.share_of_rounds is not None:
            return keeps_quality(system, error, clock, threshold.ns, self.share_of_rounds, asked)
        at = f"{threshold.label} ({milliseconds(threshold.ns)})" if threshold.origin == "reference" else threshold.label
        part = "" if self.slice == "all" else f" of {self.slice}"
        name = f"tail quality ({self.metric or system.trials[0].metric}{part}, {clock}) at {at}"
        return _worst_of([_of_quality(data, error, name, clock, threshold.ns, asked) for data in system.trials])

    def need(self, plan: Prospect) -> Need:
        if self.share_of_rounds is not None:
            return plan.share_of_rounds(self.share_of_rounds)
        if self.of == "absolute":
            return Need(plan.visits(0), remark="how far ideal quality lies above an absolute bound is not known before it is measured")
        return plan.mean(1 - self.at_least, RIGHT * plan.answers)


class Latency(Kind):
    """A percentile of latency: in the mean of rounds to come, at least so large a share of answers is there within a time."""

    kind: Literal["latency"] = "latency"
    percentile: Percentile
    within: Time
    clock: ClockName | None = None

    def judge(self, system: Subject, error: float) -> Outcome:
        clock = system.clock(self.clock)
        name = f"share of answers within {milliseconds(self.within)} ({clock})"
        samples = len(system.trials[0].references)
        found = []
        for data in system.trials:
            times = data.inferences[clock]
            on_time = (times <= self.within).mean(axis=1)
            found.append(_of_mean(data, error, name, on_time, SHARE, float(times.shape[1]), self.percentile / 100, samples))
        return _worst_of(found)

    def need(self, plan: Prospect) -> Need:
        return plan.mean(1 - self.percentile / 100, plan.answers)


class Capacity(Kind):
    """Samples a second that a system sustains: at which, answers later than a threshold failed, it keeps a share of ideal quality."""

    at_any_rate: ClassVar[bool] = True
    kind: Literal["capacity"] = "capacity"
    at_least_per_s: Annotated[Float, Field(gt=0, le=MOST_ARRIVALS_PER_S)]
    threshold: Threshold
    keep: Share = 0.99
    metric: Metric | None = None

    def judge(self, system: Subject, error: float) -> Outcome:
        """Return *met* where any rate from the asked one on is shown to keep quality, *not met* where any up to it is shown not to.

        More arrivals never make a system that queues them faster. All rates share the error; the unit is the stream.
        """
        rates = [
            (rate, each.group, each.data)
            for each in system.measured
            if each.group and each.data and (rate := each.record.trial.load.rate_per_s) is not None
        ]
        if not rates:
            raise NotShown("no trial under load with a rate was measured: use `capacity`, or load= with load.rate_per_s=")
        findings = []
        for rate, group, data in rates:
            threshold = system.threshold(self.threshold, Clock.RESPONSE)
            name = f"tail quality at {rate:g}/s ({Clock.RESPONSE}) at {threshold.label}"
            asked: Asked = (self.metric, "all", self.keep, "ideal")
            found = _of_quality(data, error / len(rates), name, Clock.RESPONSE, threshold.ns, asked)[1]
            findings.append((rate, replace(found, flags=group.flags[data.trial_id])))
        failing = [one for one in findings if one[1].verdict == "not met" and one[0] <= self.at_least_per_s]
        keeping = [one for one in findings if one[1].verdict == "met" and one[0] >= self.at_least_per_s]
        if failing and keeping:
            lost, kept = failing[0][0], keeping[0][0]
            raise NotShown(f"at {lost:g}/s quality is lost and at {kept:g}/s it is kept: the machine was not the same throughout")
        if failing or keeping:
            return (failing or keeping)[0][1]
        rate, nearest = min(findings, key=lambda one: (one[0] < self.at_least_per_s, abs(one[0] - self.at_least_per_s)))
        measured = " and ".join(f"{one:g}/s" for one in sorted({one for one, _ in findings}))
        beside = f"a trial at {self.at_least_per_s:g}/s beside {measured}"
        return replace(nearest, verdict="not shown", missing=f"measured at {rate:g}/s: {nearest.missing}" if nearest.missing else beside)

    def need(self, plan: Prospect) -> Need:
        if (plan.trial.load.rate_per_s or 0.0) < self.at_least_per_s:
            raise NotShown(f"no planned trial arrives at {self.at_least_per_s:g}/s or more: add load= and load.rate_per_s=")
        return plan.mean(1 - self.keep, RIGHT * plan.samples)

    def deciding(self, trials: Sequence[PlannedTrial]) -> Sequence[PlannedTrial]:
        """Return those at the lowest rate from the asked one on: lower ones show nothing of it, and higher ones only lose more.

        Where none is so high, those at the highest.
        """
        rates = [one.trial.load.rate_per_s or 0.0 for one in trials]
        chosen = min((rate for rate in rates if rate >= self.at_least_per_s), default=max(rates, default=0.0))
        return [one for one, rate in zip(trials, rates, strict=True) if rate == chosen]


def _of_quality(
    data: TrialData,
    error: float,
    name: str,
    clock: Clock,
    threshold_ns: int,
    asked: Asked,
) -> tuple[float, Outcome]:
    members, judged, floor = judged_part(data, asked)
    times = data.times[clock] if members.all() else data.times[clock][:, members]
    gained = judged.curve(times, [threshold_ns])[0]
    at_stake = data.answers_at_stake(judged, members)
    return _of_mean(data, error, name, gained, judged, at_stake, floor, int(members.sum()))


def _of_mean(
    data: TrialData,
    error: float,
    name: str,
    gained: NDArray[np.float64],
    judged: Judgement,
    answers: float,
    floor: float,
    samples: int,
) -> tuple[float, Outcome]:
    """Return what one process gained in the mean, by that of each round, [R], and the finding on whether that is at least ``floor``."""
    found = mean_reaches(gained, floor, judged.ideal(), answers, data.visits, bounded=judged.is_bounded, error=error_of(data, error))
    low, high = judged.shown_limits(found.low, found.high)
    mean, asked = judged.shown(found.figure), judged.shown(floor)
    shown = f"{quality(mean)} {quality_within(low, high)}" if judged.plain else f"{mean:.4g} [{low:.4g}, {high:.4g}]"
    bound = f"{'at least' if judged.sign > 0 else 'at most'} {asked:.6g}"
    return found.figure, Outcome(
        found.verdict,
        say("mean", name=name, shown=shown, samples=samples, few=FEWEST, bound=bound),
        say("missing", kept=found, unit="round"),
        figure=mean,
        low=low,
        high=high,
        asked=asked,
        unit="quality",
        more_rounds=found.more,
        method="korn-graubard" if judged.is_bounded else "t",
    )


def _worst_of(found: Sequence[tuple[float, Outcome]]) -> Outcome:
    """Return the finding that speaks for all processes, each of which must keep the mean alone."""
    verdict = worst([one.verdict for _, one in found])
    chosen = min((each for each in found if each[1].verdict == verdict), key=lambda each: each[0])[1]
    return replace(chosen, said=f"{chosen.said}, in the worst of {len(found)} processes") if len(found) > 1 else chosen
