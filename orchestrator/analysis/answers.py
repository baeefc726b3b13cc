"""Systems and runtimes of one model should answer alike: count the samples where they do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.trial_data import TrialData

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Disagreement:
    """Two trials of one model on the same data that answer ``samples`` samples differently."""

    first: str
    other: str
    samples: int
    out_of: int


def alike(mine: Any, theirs: Any) -> bool:
    """Return whether two answers are the same, numbers with a fraction (scores, corners of boxes) to within 0.1 %."""
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(alike(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(alike, mine, theirs))
    return bool(mine == theirs)


def disagreements(trials: Sequence[TrialData]) -> list[Disagreement]:
    """Return the trials that answer differently from the first trial of the same model and data."""
    found = []
    firsts: dict[tuple[str, str, str], TrialData] = {}
    for data in trials:
        first = firsts.setdefault((*data.group, data.record.trial.model.name), data)
        different = sum(not alike(mine, theirs) for mine, theirs in zip(data.predictions, first.predictions, strict=True))
        if different:
            found.append(Disagreement(first.trial_id, data.trial_id, different, len(data.predictions)))
    return found
