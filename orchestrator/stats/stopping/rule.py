"""The one interface of all stopping rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

CheckRow: TypeAlias = dict[str, float | int | str | None]
"""One row of a trial's trajectory."""


@dataclass(frozen=True)
class RuleSettings:
    """The bounds that hold for every rule. ``max_seconds`` counts after ``min_rounds``."""

    min_rounds: int
    max_rounds: int
    max_seconds: float | None = None


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

    @property
    def rounds(self) -> int:
        """Number of rounds so far, this one included."""
        return self.number + 1


@dataclass(frozen=True)
class Decision:
    """What a rule says after a round.

    stop
        whether the trial ends here.
    reason
        why it stops; with ``stop`` false, what stands against stopping and is told where a bound ends the trial.
    check
        a row of the trajectory, where the rule checked.
    """

    stop: bool
    reason: str | None = None
    check: Mapping[str, float | int | str | None] | None = None


class StoppingRule(Protocol):
    """One way to tell that enough was measured. It sees every round and knows no bounds."""

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round; ``now_s`` is a clock that only ever grows."""
