"""Systems and runtimes of one model should answer alike: count the samples where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.trial_data import TrialData


@dataclass(frozen=True)
class Disagreement:
    """Two trials of one model on the same data that answer ``samples`` samples differently."""

    first: str
    other: str
    samples: int
    out_of: int


def disagreements(trials: Sequence[TrialData]) -> list[Disagreement]:
    """Return the trials that answer differently from the first trial of the same model and data."""
    found = []
    firsts: dict[tuple[str, str, str], TrialData] = {}
    for data in trials:
        first = firsts.setdefault((*data.group, data.record.trial.model.name), data)
        different = sum(mine != theirs for mine, theirs in zip(data.predictions, first.predictions, strict=True))
        if different:
            found.append(Disagreement(first.trial_id, data.trial_id, different, len(data.predictions)))
    return found
