"""A baseline file: what a later comparison needs of a campaign, without its timings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from orchestrator.configuration.config import AnalysisConfig, Frozen, Trial
from orchestrator.contracts import InputError
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage import schema
from orchestrator.storage.files import write_json
from orchestrator.storage.load import read_json
from orchestrator.storage.matrix import EXACT_LIMIT
from orchestrator.storage.records import Plain, UtcTime, Version

Quality = Annotated[FiniteFloat, Field(ge=0, le=1e9)]
"""No metric is negative, and those of this program end at 1."""


class BaselineThreshold(Frozen):
    """Quality of a trial's repeats at one threshold.

    means
        tail quality of each repeat, a mean over its rounds.
    slowed
        mean tail quality if every time were longer by each of the campaign's ``slow_downs``; empty if that was not asked for.
    """

    label: str
    ns: int = Field(ge=1, lt=EXACT_LIMIT)
    origin: Literal["absolute", "reference"]
    means: tuple[Quality, ...] = Field(min_length=1)
    slowed: tuple[Quality, ...] = ()

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

    @model_validator(mode="after")
    def _one_mean_per_repeat(self) -> Self:
        if any(len(threshold.means) != len(self.rounds) for threshold in self.thresholds):
            raise ValueError(f"{self.match_key} must have one mean for each of its {len(self.rounds)} repeats")
        if self.thresholds and (not self.samples or min(self.rounds) < 1):
            raise ValueError(f"{self.match_key} must have samples and rounds")
        return self


class Baseline(Frozen):
    """A campaign as a baseline. ``slow_downs`` are shares: 0.1 makes every time 10 % longer."""

    kind: Literal["baseline"] = "baseline"
    schema_version: Version = schema.SCHEMA_VERSION
    name: str
    measured_at: UtcTime
    code_version: str
    code_digest: str | None = None
    analysis: AnalysisConfig = AnalysisConfig()
    slow_downs: tuple[FiniteFloat, ...] = ()
    trials: tuple[BaselineTrial, ...] = ()

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [trial.match_key for trial in self.trials]
        if len(set(keys)) < len(keys):
            raise ValueError("a match_key occurs twice; every trial needs one of its own")
        lengths = {len(threshold.slowed) for trial in self.trials for threshold in trial.thresholds}
        if not lengths <= {0, len(self.slow_downs)}:
            raise ValueError("slowed must have one figure for each of slow_downs")
        return self


def store_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline file, sealed. Raises InputError if there is no folder for it."""
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"{path}: a baseline is a file in a folder that exists; name another place")
    write_json(path, baseline.model_dump(mode="json"))


def read_baseline(path: Path) -> Baseline:
    """Return a baseline file. Raises InputError for one that is damaged, newer than this program or something else."""
    return read_json(path, Baseline)
