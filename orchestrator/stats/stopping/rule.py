"""The one interface of all stopping rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError

CheckRow: TypeAlias = dict[str, float | int | str | None]
"""One row of a trial's trajectory, or a part of it."""

CHECK_COLUMNS = (
    "rounds",
    "rjsd_bound",
    "rjsd_inference",
    "rjsd_total",
    "rjsd_inference_as_in_paper_code",
    "rjsd_total_as_in_paper_code",
    "bandwidth_inference",
    "bandwidth_total",
    "bandwidth_inference_method",
    "bandwidth_total_method",
    "primary_threshold",
    "primary_threshold_ns",
    "primary_threshold_origin",
    "quality_mean",
    "half_width",
    "half_width_bound",
    "not_exchangeable",
    "percentile",
    "overruns",
    "samples_needed",
    "samples_effective",
    "design_effect",
)
"""What a row may tell. Every row has all of them, None where its rule does not look or does not know yet, so that rows of different
rules make one table."""


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
        [B], ns, one time per inference, +inf for one without a time: samples of a batch share theirs, which is one observation.
    quality
        tail quality of this round, over its samples, at a time bound in ns on the total clock.
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


def check_columns(name: str, columns: Sequence[str]) -> None:
    """Raise InputError for a column that a rule of that name would fill and no trajectory has."""
    for column in columns:
        if column not in CHECK_COLUMNS:
            raise InputError(
                f"measurement.rule={name}: no column {column!r} in the trajectory; add it to CHECK_COLUMNS in "
                "orchestrator/stats/stopping/rule.py"
            )


def check_row(*parts: CheckRow) -> CheckRow:
    """Return one row of all columns from the parts that are known. Raises ValueError for a value that has no column."""
    known: CheckRow = {column: value for part in parts for column, value in part.items()}
    unknown = known.keys() - set(CHECK_COLUMNS)
    if unknown:
        raise ValueError(f"no column {min(unknown)!r} in the trajectory: add it to CHECK_COLUMNS")
    return {column: known.get(column) for column in CHECK_COLUMNS}


class StoppingRule(Protocol):
    """One way to tell that enough was measured. It sees every round and knows no bounds."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of `CHECK_COLUMNS` that its checks may fill. They are looked up before anything is measured."""

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round; ``now_s`` is a clock that only ever grows."""
