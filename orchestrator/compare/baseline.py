"""A baseline file: what a later comparison needs of one or several campaigns, without their timings."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import Frozen
from orchestrator.stats.latency import percentile_rank
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage import schema
from orchestrator.storage.files import check_output_file, write_json
from orchestrator.storage.load import read_json
from orchestrator.storage.records import Plain, UtcTime, Version
from orchestrator.storage.schema import EXACT_LIMIT

Quality = Annotated[FiniteFloat, Field(ge=0, le=1e9)]
"""No metric is negative, and those of this program end at 1."""


SHORTEST_NS = 1000.0
STEP, COARSE_STEP = 1.002, 1.02
"""Bounds of stored curves lie at fixed multiples of 1 us; further apart for a metric that is no mean, which takes long to compute."""


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
        if lengths != {len(self.bounds_ns)} or not ascending:
            raise ValueError("a curve must have one count and one quality of each repeat for each bound, in ascending order")
        if self.on_time and self.on_time[-1] > self.inferences:
            raise ValueError(f"a curve must count at most its {self.inferences} inferences, and counts {self.on_time[-1]}")
        return self

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
        """The threshold itself."""
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
    rounds: tuple[int, ...] = ()
    thresholds: tuple[BaselineThreshold, ...] = ()
    digests: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    stack: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    flags: tuple[str, ...] = ()
    load: dict[str, tuple[FiniteFloat, ...]] = Field(default_factory=dict)
    curve: StoredCurve | None = None

    @model_validator(mode="after")
    def _one_mean_per_repeat(self) -> Self:
        if any(len(threshold.means) != len(self.rounds) for threshold in self.thresholds):
            raise ValueError(f"{self.match_key} must have one mean for each of its {len(self.rounds)} repeats")
        if self.curve is not None and len(self.curve.qualities) != len(self.rounds):
            raise ValueError(f"{self.match_key} must have one curve for each of its {len(self.rounds)} repeats")
        if self.thresholds and (not self.samples or min(self.rounds) < 1):
            raise ValueError(f"{self.match_key} must have samples and rounds")
        return self


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
        """All campaigns, in the order in which they were added."""
        return (self.model_copy(update={"added": ()}), *self.added)

    @property
    def known_by(self) -> tuple[str, datetime]:
        """Name and time, which tell one campaign from another: short ones follow one another within a second."""
        return self.name, self.measured_at

    @property
    def measured_when(self) -> str:
        """Name and time in words."""
        return f"{self.name}, measured {self.measured_at:%Y-%m-%d %H:%M:%S} UTC"

    @model_validator(mode="after")
    def _campaigns_differ(self) -> Self:
        told = [campaign.known_by for campaign in self.campaigns]
        if len(set(told)) < len(told) or any(campaign.added for campaign in self.added):
            raise ValueError("added must be further campaigns, each another one and without additions of its own")
        return self

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [trial.match_key for trial in self.trials]
        if len(set(keys)) < len(keys):
            raise ValueError("a match_key occurs twice; every trial needs one of its own")
        lengths = {len(one.slowed) for trial in self.trials for one in trial.thresholds}
        if not lengths <= {0, len(self.slow_downs)}:
            raise ValueError("slowed must have one figure for each of slow_downs")
        return self


def store_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline file, sealed. Raises InputError if there is no folder for it."""
    check_output_file(path)
    write_json(path, baseline.model_dump(mode="json"))


def read_baseline(path: Path) -> Baseline:
    """Return a baseline file. Raises InputError for one that is damaged, newer than this program or something else."""
    return read_json(path, Baseline)
