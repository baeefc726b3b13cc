"""The one interface of all stopping rules, and the bounds that hold for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = float | int | str | None


@dataclass(frozen=True)
class RoundObservation:
    """One round as a stopping rule sees it.

    number
        from 0.
    inference_ns, total_ns
        [S], ns, +inf for a sample without a time.
    quality
        tail quality of this round at a time bound in ns, on the total clock.
    ideal
        quality without a threshold.
    """

    number: int
    inference_ns: NDArray[np.float64]
    total_ns: NDArray[np.float64]
    quality: Callable[[float], float]
    ideal: float


@dataclass(frozen=True)
class Verdict:
    """What a rule found after a round: a reason to stop, and a row of the trajectory where it checked."""

    reason: str | None = None
    check: Mapping[str, Value] | None = None


@dataclass(frozen=True)
class Decision:
    """Whether a trial stops after a round, and why."""

    stop: bool
    reason: str | None = None
    check: Mapping[str, Value] | None = None


class Rule(Protocol):
    """One way to tell that enough was measured. It sees every round and knows no bounds."""

    def update(self, observation: RoundObservation, now_s: float) -> Verdict:
        """Take in one round; ``now_s`` is a clock that only ever grows."""

    def unsettled(self) -> str | None:
        """Return why the rule would not have stopped when a bound ends the trial, or None where nothing special stands against it."""


@dataclass
class Bounded:
    """A rule within ``min_rounds``, ``max_rounds`` and ``max_seconds`` (counted after ``min_rounds``)."""

    rule: Rule
    min_rounds: int
    max_rounds: int
    max_seconds: float | None = None
    _reached_s: float | None = field(default=None, init=False)

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round and decide."""
        verdict = self.rule.update(observation, now_s)
        rounds = observation.number + 1
        if rounds < self.min_rounds:
            return Decision(False, None, verdict.check)
        if self._reached_s is None:
            self._reached_s = now_s
        if verdict.reason is not None:
            return Decision(True, verdict.reason, verdict.check)
        bound = None
        if rounds >= self.max_rounds:
            bound = "max_rounds"
        elif self.max_seconds is not None and now_s - self._reached_s >= self.max_seconds:
            bound = "max_seconds"
        if bound is None:
            return Decision(False, None, verdict.check)
        return Decision(True, self.rule.unsettled() or bound, verdict.check)
