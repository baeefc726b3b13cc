"""The one interface of all stopping rules."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.times import PRIMARY_CLOCK, SERVICE_CLOCKS, Clock, primary_of

# One row of a trial's trajectory, or a part of it.
CheckRow: TypeAlias = dict[str, float | int | str | None]
# What every row tells, None where its rule does not look or does not know yet, so that rows of
# different rules make one table. Other numbers of a rule stand in ``parameters`` of that table.
CHECK_COLUMNS: dict[str, type] = {
    "rounds": int,
    "rjsd_bound": float,
    **{f"rjsd_{clock}": float for clock in SERVICE_CLOCKS},
    **{f"rjsd_{clock}_as_in_paper_code": float for clock in SERVICE_CLOCKS},
    **{f"bandwidth_{clock}": float for clock in SERVICE_CLOCKS},
    **{f"bandwidth_{clock}_method": str for clock in SERVICE_CLOCKS},
    "primary_threshold": str,
    "primary_threshold_ns": int,
    "primary_threshold_origin": str,
    "quality_mean": float,
    "half_width": float,
    "half_width_bound": float,
    "percentile": float,
    "overruns": int,
    "samples_needed": int,
    "samples_effective": float,
    "design_effect": float,
}
# What ``parameters`` holds of every rule.
RESERVED = ("window", "confidence")
# A check is due after so many rounds and seconds, and when the history has grown so much.
ROUNDS_APART, SECONDS_APART, GROWTH = 2, 0.5, 1.05
# Of rJSD.
BOUND = 0.05
# Rounds are added to the densities together: one by one they cost more than all else of a rule.
ADDED_AT_ONCE = 64


@dataclass(frozen=True)
class RuleSettings:
    """What the user has set for every rule; ``max_seconds`` count after ``min_rounds``.

    ``half_width`` is the largest one of the 95 % interval of mean tail quality that is precise
    enough, as a share of ideal quality. ``primary`` is the primary threshold, such as ``50 ms`` or
    ``p95``; None is the trial's own p95.
    """

    min_rounds: int
    max_rounds: int
    max_seconds: float | None = None
    half_width: float = 0.02
    primary: str | None = None


@dataclass(frozen=True)
class RoundObservation:
    """One round, numbered from 0, as a stopping rule sees it; ``rounds`` counts it too.

    times
        per clock [B], ns, one time per inference, +inf for one without a time: samples of a batch
        share theirs, which is one observation.
    quality
        tail quality of this round at a time bound in ns on the primary clock; ``ideal`` without.
    visit
        number of its visit, where visits lie apart in time; else None.
    answers
        how many answers a round can lose (`interval.mean_intervals`); None: each inference is one.
    bounded
        whether quality is a mean of scores, so that no loss is negative.
    round_s
        seconds from one round to the next, with those of other trials' visits and of pauses.
    """

    number: int
    times: Mapping[Clock, NDArray[np.float64]]
    quality: Callable[[float], float]
    ideal: float
    visit: int | None = None
    answers: float | None = None
    bounded: bool = True
    round_s: float | None = None

    @property
    def primary_times(self) -> NDArray[np.float64]:
        """The times of the clock that counts first, [B] in ns."""
        return self.times[primary_of(self.times.keys())]

    @property
    def rounds(self) -> int:
        return self.number + 1


@dataclass(frozen=True)
class Decision:
    """Whether the trial ends here, and why; a row of the trajectory, where the rule checked.

    With ``stop`` false, the reason stands against stopping: it counts where a bound ends the trial.
    """

    stop: bool
    reason: str | None = None
    check: Mapping[str, float | int | str | None] | None = None


def check_row(*parts: CheckRow) -> CheckRow:
    """Return one row of all columns from the parts that are known, other numbers at its end.

    Raises TypeError where such a number is none, or has a name that is taken.
    """
    known = {column: value for part in parts for column, value in part.items()}
    for column in known.keys() - CHECK_COLUMNS.keys():
        value = known[column]
        if not isinstance(value, Real) or not math.isfinite(value) or column in RESERVED:
            raise TypeError(
                f"{column}={value!r}: a number of a rule's own must be a finite int or float, "
                f"and not be called {' or '.join(RESERVED)}"
            )
        known[column] = float(value)
    return {**dict.fromkeys(CHECK_COLUMNS), **known}


class StoppingRule(Protocol):
    """One way to tell that enough was measured. It sees every round and knows no bounds.

    It is constructed with `RuleSettings`, and with keyword arguments of its own, each with a
    default: what the user sets by ``measurement.rule_options.NAME=VALUE``. It may tell by
    ``may_stop_at`` after how many rounds it can stop next: until then it is asked in pauses.
    """

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round; ``now_s`` is a clock that only ever grows."""


class Cadence:
    """When a check is due: every 2 rounds, at most twice a second, not before 5 % more history.

    A check takes about 8 ms between rounds; so its share of the time stays small however short a
    round or long a trial. Two rounds are the paper's own distance between fits; a rule whose every
    look may err takes fewer.
    """

    def __init__(self, rounds_apart: int = ROUNDS_APART) -> None:
        self._rounds_apart = rounds_apart
        self._rounds, self._at_s = 0, -math.inf

    def due(self, rounds: int, now_s: float) -> bool:
        """Return whether to check after so many rounds; a check that is due counts as made."""
        grown = rounds >= max(self._rounds + self._rounds_apart, GROWTH * self._rounds)
        if not grown or now_s < self._at_s + SECONDS_APART:
            return False
        self._rounds, self._at_s = rounds, now_s
        return True


class Bounded:
    """Any rule, held to ``min_rounds``, ``max_rounds`` and ``max_seconds``.

    The seconds count from the end of the last of ``min_rounds`` rounds, so that they never cost a
    trial a round it must have.
    """

    def __init__(self, rule: StoppingRule, settings: RuleSettings) -> None:
        self._rule, self._settings = rule, settings
        self._enough_since_s: float | None = None

    @property
    def may_stop_at(self) -> int:
        """The fewest rounds, of those to come, after which a trial may end."""
        own = getattr(self._rule, "may_stop_at", 0) if self._settings.max_seconds is None else 0
        return min(max(own, self._settings.min_rounds), self._settings.max_rounds)

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        decision = self._rule.update(observation, now_s)
        if observation.rounds < self._settings.min_rounds:
            return Decision(False, None, decision.check)
        if self._enough_since_s is None:
            self._enough_since_s = now_s
        if decision.stop:
            return decision
        allowed_s, bound = self._settings.max_seconds, None
        if observation.rounds >= self._settings.max_rounds:
            bound = "max_rounds"
        elif allowed_s is not None and now_s - self._enough_since_s >= allowed_s:
            bound = "max_seconds"
        reason = None if bound is None else decision.reason or bound
        return Decision(bound is not None, reason, decision.check)


class AllClocks:
    """Density convergence of every clock side by side."""

    def __init__(self, bound: float = BOUND) -> None:
        self._clocks = {clock: DensityConvergence(threshold=bound) for clock in SERVICE_CLOCKS}
        self._bound = bound
        self._waiting: list[Mapping[Clock, NDArray[np.float64]]] = []

    def add(self, observation: RoundObservation) -> None:
        self._waiting.append(observation.times)
        if len(self._waiting) == ADDED_AT_ONCE:
            self._add_waiting()

    def _add_waiting(self) -> None:
        for clock, density in self._clocks.items():
            if times := [of_round[clock] for of_round in self._waiting]:
                density.add(np.concatenate(times), len(times))
        self._waiting.clear()

    def check(self) -> CheckRow:
        """Fit all densities and return the columns of the trajectory."""
        self._add_waiting()
        found = {clock: density.check() for clock, density in self._clocks.items()}
        row: CheckRow = {"rounds": found[PRIMARY_CLOCK].rounds, "rjsd_bound": self._bound}
        for clock, check in found.items():
            row[f"rjsd_{clock}"] = check.rjsd
            row[f"bandwidth_{clock}"] = check.bandwidth.value if check.bandwidth else None
            row[f"bandwidth_{clock}_method"] = check.bandwidth.method if check.bandwidth else None
        return row
