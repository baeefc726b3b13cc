"""A baseline file: what a later comparison needs of one or several campaigns, without their timings, at the thresholds asked for."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import Frozen
from orchestrator.contracts import InputError, by_key
from orchestrator.stats.constants import FEWEST_REPEATS
from orchestrator.stats.latency import percentile_rank
from orchestrator.stats.pair import Design
from orchestrator.stats.thresholds import Threshold, primary_threshold, primary_threshold_of
from orchestrator.storage import schema
from orchestrator.storage.load import read_json
from orchestrator.storage.records import Plain, UtcTime, Version
from orchestrator.storage.schema import EXACT_LIMIT

# No metric is negative, and those of this program end at 1.
Quality = Annotated[FiniteFloat, Field(ge=0, le=1e9)]


# Shares by which all times are made longer: not at all, then 0.1 % to 11 times as long, each 17 % more than the one before.
SLOW_DOWNS = (0.0, *(float(f"{share:.4g}") for share in np.geomspace(0.001, 10, 61)))
SHORTEST_NS = 1000.0
# Bounds of stored curves lie at fixed multiples of 1 us; further apart for a metric that is no mean, which takes long to compute.
STEP, COARSE_STEP = 1.002, 1.02


def bounds_up_to(longest_ns: float, step: float) -> NDArray[np.int64]:
    """Return the fixed bounds in ns, the last one at or above a time: 1 us, and each one ``step`` times the one before."""
    count = max(0, math.ceil(math.log(longest_ns / SHORTEST_NS) / math.log(step))) + 2
    bounds: NDArray[np.int64] = np.ceil(SHORTEST_NS * step ** np.arange(count)).astype(np.int64)
    return bounds


class StoredCurve(Frozen):
    """Mean tail quality of a trial's repeats as a function of the threshold, on the total clock.

    It is known exactly at every fixed bound (`bounds_up_to`), and at all other thresholds between which and the fixed bound before no
    inference ended. At the others `known_near` names the next fixed bound, which is at most one ``step`` longer.

    bounds_ns : [M]
        the fixed bounds within which more inferences ended than within the one before.
    on_time : [M]
        how many inferences of all repeats ended within each.
    inferences
        of all repeats, also those without a time.
    qualities : [repeats, M]
    """

    step: FiniteFloat = Field(ge=1.001, le=2)
    bounds_ns: tuple[Annotated[int, Field(ge=1, lt=EXACT_LIMIT * 2)], ...]
    on_time: tuple[Annotated[int, Field(ge=1, lt=EXACT_LIMIT)], ...]
    inferences: int = Field(gt=0, lt=EXACT_LIMIT)
    qualities: tuple[tuple[Quality, ...], ...]

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        lengths = {len(self.on_time), *(len(of_repeat) for of_repeat in self.qualities)}
        ascending = all(list(of) == sorted(of) for of in (self.bounds_ns, self.on_time)) and len({*self.bounds_ns}) == len(self.bounds_ns)
        is_whole = lengths == {len(self.bounds_ns)} and ascending
        return self.sound(
            (not is_whole, "a curve must have one count and one quality of each repeat for each bound, in ascending order"),
            (max(self.on_time, default=0) > self.inferences, f"a curve must count at most its {self.inferences} inferences"),
        )

    def knows(self, threshold_ns: int) -> bool:
        """Return whether quality is known exactly at a threshold."""
        place = bisect_left(self.bounds_ns, threshold_ns)
        if place == len(self.bounds_ns) or self.bounds_ns[place] == threshold_ns:
            return True
        fixed = bounds_up_to(self.bounds_ns[place], self.step)
        before = int(np.searchsorted(fixed, self.bounds_ns[place])) - 1
        return before >= 0 and threshold_ns <= fixed[before]

    def known_near(self, threshold_ns: int) -> int:
        """Return the first fixed bound at or above a threshold."""
        fixed = bounds_up_to(threshold_ns, self.step)
        return int(fixed[np.searchsorted(fixed, threshold_ns)])

    def at(self, threshold_ns: float) -> tuple[float, ...]:
        """Return the quality of each repeat at a threshold: that of the last bound within it, 0 below all of them."""
        place = bisect_right(self.bounds_ns, threshold_ns) - 1
        return tuple(of_repeat[place] if place >= 0 else 0.0 for of_repeat in self.qualities)

    def time_at(self, percentile: float) -> int | None:
        """Return a percentile (in percent) of the times of all inferences, each rounded up to its fixed bound, in ns.

        None where it falls on an inference without a time.
        """
        place = bisect_left(self.on_time, percentile_rank(self.inferences, percentile))
        return self.bounds_ns[place] if place < len(self.bounds_ns) else None


class BaselineThreshold(Frozen):
    """Quality of a trial's repeats at one threshold.

    means
        tail quality of each repeat, a mean over its rounds.
    slowed
        mean tail quality if every time were longer by each of the campaign's ``slow_downs``; empty if that was not asked for.
    quickened
        of files of version 0.2.0; not used.
    """

    label: str
    ns: int = Field(ge=1, lt=EXACT_LIMIT)
    origin: Literal["absolute", "reference"]
    means: tuple[Quality, ...] = Field(min_length=1)
    slowed: tuple[Quality, ...] = ()
    quickened: tuple[Quality, ...] = ()

    @property
    def threshold(self) -> Threshold:
        return Threshold(self.label, self.ns, self.origin)


class BaselineTrial(Frozen):
    """All repeats of one match key that are done.

    not_done
        the other repeats, each with its state and why.
    rounds
        of each repeat.
    ideal
        mean quality without a threshold; None if the task has nothing to be right about, or nothing was measured.
    stack
        what may explain a change, each with the distinct values that the repeats had.
    load
        what else the machine did, by measure one figure for each repeat; empty in older files.
    curve
        quality at other thresholds than those; None in older files.
    """

    match_key: Plain
    trial: Trial
    not_done: tuple[str, ...] = ()
    metric: str | None = None
    ideal: Quality | None = None
    samples: int = Field(0, ge=0)
    rounds: tuple[Annotated[int, Field(ge=0)], ...] = ()
    thresholds: tuple[BaselineThreshold, ...] = ()
    digests: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    stack: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    flags: tuple[str, ...] = ()
    load: dict[str, tuple[FiniteFloat, ...]] = Field(default_factory=dict)
    curve: StoredCurve | None = None

    @model_validator(mode="after")
    def _one_mean_per_repeat(self) -> Self:
        found = [*(threshold.means for threshold in self.thresholds), *([] if self.curve is None else [self.curve.qualities])]
        differ = any(len(of_repeats) != len(self.rounds) for of_repeats in found)
        return self.sound(
            (differ, f"{self.match_key} must have one mean and one curve for each of its {len(self.rounds)} repeats"),
            (self.thresholds and not (self.samples and min(self.rounds, default=0)), f"{self.match_key} must have samples and rounds"),
        )


class Baseline(Frozen):
    """A campaign as a baseline.

    slow_downs
        shares: 0.1 makes every time 10 % longer.
    added
        further campaigns of the same trials, measured at other times, at the thresholds of the first that has the trial.
    """

    kind: Literal["baseline"] = "baseline"
    schema_version: Version = schema.SCHEMA_VERSION
    name: str
    measured_at: UtcTime
    code_version: str
    code_digest: str | None = None
    analysis: AnalysisConfig = AnalysisConfig()
    slow_downs: tuple[FiniteFloat, ...] = ()
    trials: tuple[BaselineTrial, ...] = ()
    added: tuple[Baseline, ...] = ()

    @property
    def campaigns(self) -> tuple[Baseline, ...]:
        return (self.model_copy(update={"added": ()}), *self.added)

    @property
    def known_by(self) -> tuple[str, datetime]:
        """Name and time, which tell one campaign from another: short ones follow one another within a second."""
        return self.name, self.measured_at

    @property
    def measured_when(self) -> str:
        return f"{self.name}, measured {self.measured_at:%Y-%m-%d %H:%M:%S} UTC"

    @model_validator(mode="after")
    def _campaigns_and_trials_differ(self) -> Self:
        told = [campaign.known_by for campaign in self.campaigns]
        nested = any(campaign.added for campaign in self.added)
        keys = {trial.match_key for trial in self.trials}
        lengths = {len(one.slowed) for trial in self.trials for one in trial.thresholds}
        return self.sound(
            (len({*told}) < len(told) or nested, "added must be further campaigns, each another one and without additions of its own"),
            (len(keys) < len(self.trials), "a match_key occurs twice; every trial needs one of its own"),
            (lengths - {0, len(self.slow_downs)}, "slowed must have one figure for each of slow_downs"),
        )


def read_baseline(path: Path) -> Baseline:
    """Return a baseline file. Raises InputError for one that is damaged, newer than this program or something else."""
    return read_json(path, Baseline)


AGAIN = "compare with the campaign's directory, or export the baseline again"


def stored_sides(before: Baseline, analysis: AnalysisConfig) -> Iterator[tuple[BaselineTrial, Design | None]]:
    """Yield the trials of a baseline file at the thresholds that ``analysis`` asks for, and how their figures are tested.

    Where at least 3 campaigns have a trial, its figures are the means of these campaigns; else the repeats of the latest that has it, which
    nothing tests. The first campaign that has it gives its thresholds.

    Raises
    ------
    InputError
        if an older file has no figures at a threshold.
    """
    trials = by_key((trial for campaign in before.campaigns for trial in campaign.trials), lambda trial: trial.match_key)
    for stored in trials.values():
        measured = [trial for trial in stored if trial.thresholds]
        if not measured:
            yield stored[-1], None
            continue
        alike = [trial for trial in measured if (trial.metric, trial.samples) == (measured[-1].metric, measured[-1].samples)]
        figures: dict[int, list[BaselineThreshold]] = {}
        for threshold in _asked(alike[0], before.analysis, analysis):
            of_campaigns = _figures(threshold, alike)
            figures.setdefault(of_campaigns[0].ns, of_campaigns)
        latest, thresholds = alike[-1], [of_campaigns[-1] for of_campaigns in figures.values()]
        if len(alike) < FEWEST_REPEATS:
            yield latest.model_copy(update={"thresholds": tuple(thresholds)}), None
            continue
        means = [tuple(float(np.mean(one.means)) for one in of_campaigns) for of_campaigns in figures.values()]
        kept = tuple(one.model_copy(update={"means": of_one}) for one, of_one in zip(thresholds, means, strict=True))
        rounds = tuple(min(trial.rounds) for trial in alike)
        load = {name: tuple(figure for trial in alike for figure in trial.load.get(name, ())) for name in latest.load}
        yield latest.model_copy(update={"thresholds": kept, "rounds": rounds, "load": load}), "earlier campaigns"


def bounds_if_slowed(threshold: Threshold) -> list[float]:
    """Return the bounds in ns that stand for all times longer by each of the shares: t (1 + s) is on time where t <= theta / (1 + s)."""
    return [threshold.ns / (1 + share) for share in SLOW_DOWNS]


def _asked(first: BaselineTrial, stored: AnalysisConfig, analysis: AnalysisConfig) -> list[Threshold]:
    """Return the thresholds that are asked for, the primary one first."""
    if analysis.primary == stored.primary:
        absolute = primary_threshold(stored.primary, None)
        known = [threshold.threshold for threshold in first.thresholds]
        found = [one for one in known if one.origin == "reference" or (absolute is not None and one.ns == absolute.ns)]
    elif first.curve is None:
        raise InputError(
            f"analysis.primary={analysis.primary}: the baseline file was written at {stored.primary or 'p95'}; {AGAIN}",
            "incomparable",
            "analysis.primary",
            analysis.primary,
        )
    else:
        found = list(filter(None, [primary_threshold_of(analysis.primary, first.curve.time_at)]))
    return list({threshold.ns: threshold for threshold in reversed([*found, *analysis.thresholds])}.values())[::-1]


def _figures(threshold: Threshold, trials: Sequence[BaselineTrial]) -> list[BaselineThreshold]:
    """Return the exact figures of a trial in every campaign at a threshold, or at the next fixed bound of their curves."""
    curve = next((trial.curve for trial in trials if _at(trial, threshold) is None), None)
    if curve is not None:  # the label of an absolute one says its time
        ns = curve.known_near(threshold.ns)
        threshold = Threshold(f"{ns / 1e6:.4g} ms" if threshold.origin == "absolute" else threshold.label, ns, threshold.origin)
    found = [figures for trial in trials if (figures := _at(trial, threshold))]
    if len(found) < len(trials):
        raise InputError(f"the baseline file has no figures at {threshold.label} of every campaign; {AGAIN}", "no_data")
    return found


def _at(trial: BaselineTrial, threshold: Threshold) -> BaselineThreshold | None:
    """Return a trial's figures at a threshold: those stored, else those of its curve, where it knows them."""
    for stored in trial.thresholds:
        if stored.ns == threshold.ns:
            return stored
    curve = trial.curve
    if curve is None or not curve.knows(threshold.ns):
        return None
    slowed = tuple(float(np.mean(curve.at(bound))) for bound in bounds_if_slowed(threshold))
    origin = "absolute" if threshold.origin == "absolute" else "reference"
    return BaselineThreshold(label=threshold.label, ns=threshold.ns, origin=origin, means=curve.at(threshold.ns), slowed=slowed)
