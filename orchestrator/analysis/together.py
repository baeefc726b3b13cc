"""A set of thresholds as one: an answer is on time when every clock of the set is within its own bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import ClockName
from orchestrator.stats.thresholds import Threshold, thresholds_from_ms
from orchestrator.stats.times import Clock


@dataclass(frozen=True)
class Together:
    """A set of thresholds, ready for a trial that has all of its clocks.

    clock
        its name in the place of a clock: ``first_token and per_token``.
    threshold
        with the bounds in its label, ``200 ms and 50 ms``; its time is that of the first.
    data
        the trial with a time under that name: that of the first clock, as late as the latest of the set.
    """

    clock: Clock
    threshold: Threshold
    data: TrialData


def together(data: TrialData, bounds_ms: Mapping[ClockName, float]) -> Together | None:
    """Return a trial under a set of thresholds, None where it lacks a clock of it."""
    clocks = [Clock(name) for name in bounds_ms]
    if not clocks or any(clock not in data.times for clock in clocks):
        return None
    bounds = [thresholds_from_ms([bound])[0] for bound in bounds_ms.values()]
    times = _latest([data.times[clock] for clock in clocks], [bound.ns for bound in bounds])
    inferences = _latest([data.inferences[clock] for clock in clocks], [bound.ns for bound in bounds])
    # A name of several clocks is none of them, and stands in every table where one does.
    name = cast(Clock, " and ".join(clocks))
    label = " and ".join(bound.label for bound in bounds)
    known = replace(data, times={**data.times, name: times}, inferences={**data.inferences, name: inferences})
    return Together(name, Threshold(label, bounds[0].ns, "absolute"), known)


def _latest(times: list[NDArray[np.float64]], bounds: list[int]) -> NDArray[np.float64]:
    """Return times in ns that are at most the first bound exactly where each is at most its own."""
    first = bounds[0]
    on_time: NDArray[np.bool_] = np.logical_and.reduce([of_clock <= bound for of_clock, bound in zip(times, bounds, strict=True)])
    latest: NDArray[np.float64] = np.maximum.reduce([of_clock * (first / bound) for of_clock, bound in zip(times, bounds, strict=True)])
    found: NDArray[np.float64] = np.where(on_time, np.clip(latest, 1, first), np.maximum(latest, first + 1))
    return found
