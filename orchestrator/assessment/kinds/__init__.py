"""The kinds of requirements: what each asks for, whether stored rounds show it, and what a campaign needs to show it.

A kind is a subclass of `Kind` in a file of this folder, and a row in docs/requirements.md; it is found by being there.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from orchestrator.analysis.quality import Judgement, NothingToKeep
from orchestrator.analysis.tables.tail_quality import groups_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.subjects import NotShown, Subject
from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import MOST_ROUNDS
from orchestrator.contracts import InputError, nearest
from orchestrator.report.html import said
from orchestrator.stats.certificate import MOST_UNITS
from orchestrator.stats.constants import FEW_UNITS, MARGIN, POWER_PLANNED
from orchestrator.stats.requirements import Kind as Claim
from orchestrator.stats.requirements import Shown, Verdict, planned_units
from orchestrator.storage.records import PlannedTrial


class Block(BaseModel):
    """Base of all blocks of a file of requirements: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# What a finding rests on: how many of each of these; sessions are days, by UTC, on which something was measured.
COUNTED = {"rounds": "round", "visits": "visit", "processes": "process", "sessions": "session"}
Basis: TypeAlias = Mapping[str, int]


@dataclass(frozen=True)
class Outcome:
    """One requirement held against one system.

    said
        the figure with its interval or certificate, and what was asked, in words.
    missing
        what is missing, in words; empty where nothing is.
    figure, low, high, asked
        the same as numbers, in ``unit``; None where there is none.
    more_rounds
        how many more rounds would show it if they are as those measured; None where rounds are not what is missing or none would.
    flags
        what a reader must know of the trials.
    match_key, who
        the system: its key, and the names of model, system and so on; both empty where no trial is one that the requirement is for.
    """

    verdict: Verdict
    said: str = "no figure"
    missing: str = ""
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    asked: float | None = None
    unit: str = ""
    more_rounds: int | None = None
    method: str = ""
    flags: tuple[str, ...] = ()
    match_key: str = ""
    who: Mapping[str, str] = field(default_factory=dict)
    basis: Basis = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))


@dataclass(frozen=True)
class Need:
    """What one requirement needs of each planned trial.

    rounds, processes, days
        how many; 0 rounds where none are asked for.
    fixed
        whether the rounds must be fixed beforehand, as for a certificate.
    cannot
        why no such campaign can show it; empty where one can.
    remark
        what the numbers take for granted.
    """

    rounds: int = 0
    processes: int = 1
    days: int = 1
    fixed: bool = False
    cannot: str = ""
    remark: str = ""

    @property
    def processes_a_day(self) -> int:
        return -(-self.processes // self.days)


_units = cache(planned_units)


@dataclass(frozen=True)
class Prospect:
    """One planned trial that must show a requirement, and what its verdict may risk.

    trials
        all that the requirement is for.
    samples, per_visit
        how many samples there are, and rounds of a visit, under load of a stream; None where all are one stretch.
    error
        probability of a false verdict.
    held, systems
        how many trials must show it, each a process that must do so alone, and how many systems, of each of which all starts are
        taken together.
    margin
        how often systems break a bound, as a share of how often they may; 0 where they never do.
    """

    planned: PlannedTrial
    trials: Sequence[PlannedTrial]
    samples: int
    per_visit: int | None
    error: float
    held: int = 1
    systems: int = 1
    margin: float = MARGIN

    @property
    def trial(self) -> Trial:
        return self.planned.trial

    @property
    def answers(self) -> float:
        return self.samples / self.trial.fixed_batch

    def units(self, claim: Claim, allowed: float, parts: float = 1) -> int:
        """Return how many visits each trial needs, or starts each system. Raises NotShown where no number will do."""
        power = POWER_PLANNED ** (1 / (self.systems if claim == "starts" else self.held))
        found = _units(claim, round(allowed, 12), self.error, max(1, math.floor(parts)), self.margin, power)
        if found is None:
            of = "fresh processes" if claim == "starts" else "visits"
            raise NotShown(f"it takes more than {MOST_UNITS:,} {of}: ask for a smaller share or a lower confidence")
        return found

    def visits(self, units: int) -> int:
        """Return the rounds of so many visits, at least as many as are flagged below."""
        return max(units, FEW_UNITS) * (self.per_visit or 1)

    def mean(self, allowed: float, per_round: float) -> Need:
        """Return the need of a mean of which a share may be lost, over rounds that can lose so many answers each."""
        return Need(self.visits(self.units("mean", allowed, (self.per_visit or 1) * per_round)))

    def share_of_rounds(self, share: float, together: float = 1) -> Need:
        """Return the need of a share of rounds, of which so many are broken together."""
        return Need(self.visits(self.units("rounds", 1 - share, (self.per_visit or 1) / together)), fixed=True)

    def share_of_starts(self, share: float) -> Need:
        """Return the need of a share of fresh processes."""
        return Need(processes=self.units("starts", 1 - share))


class Kind(Block, ABC):
    """What a requirement of one kind asks for, by its keys; ``kind``, a literal, is the key that it stands under.

    Where ``at_any_rate``, trials that differ in their rate of arrivals alone are one system, and a finding is on one of its rates.
    """

    at_any_rate: ClassVar[bool] = False
    kind: str

    @abstractmethod
    def judge(self, system: Subject, error: float) -> Outcome:
        """Return what a system with rounds shows, at this probability of a false verdict. Raises NotShown, and InputError."""

    @abstractmethod
    def need(self, plan: Prospect) -> Need:
        """Return how many rounds or fresh processes a planned trial needs. Raises NotShown for what no campaign like it can show."""

    def deciding(self, trials: Sequence[PlannedTrial]) -> Sequence[PlannedTrial]:
        """Return the planned trials of one system that must show it."""
        return trials


@cache
def all_kinds() -> Mapping[str, type[Kind]]:
    """Return every kind by the key that it stands under."""
    for one in iter_modules(__path__):
        import_module(f"{__name__}.{one.name}")
    return {kind.model_fields["kind"].default: kind for kind in Kind.__subclasses__()}


# A sentence of ``sentences.j2``, filled with values.
say = partial(said, "orchestrator.assessment")


def error_of(data: TrialData, error: float, least: int = 0, most: int = MOST_ROUNDS) -> float:
    """Return the error that a verdict may risk, halved by each look at so many rounds before the trial was extended.

    A single look has the whole error. All looks of an extended trial together have less than twice as much: 1 + 1/2 + 1/4 and so on.
    """
    return error * 0.5 ** sum(least <= look <= most for look in data.record.looks)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return *not met* where any is, else *not shown* where any is or there are none, else *met*.

    Examples
    --------
    >>> worst(["met", "not shown"]), worst([]), worst(["met"])
    ('not shown', 'not shown', 'met')
    """
    found = set(verdicts)
    return "not met" if "not met" in found else "met" if found == {"met"} else "not shown"


def worst_share(found: Sequence[tuple[Shown, Any]]) -> tuple[Shown, Any]:
    """Return what speaks for all processes, each of which must keep a share alone: of the worst verdict the one that breaks it most."""
    verdict = worst([kept.verdict for kept, _ in found])
    return max((each for each in found if each[0].verdict == verdict), key=lambda each: each[0].figure)


# A metric, a slice, a quality, and what it is a share of.
Asked: TypeAlias = tuple[str | None, str, float, Literal["ideal", "absolute"]]


def judged_part(data: TrialData, asked: Asked) -> tuple[NDArray[np.bool_], Judgement, float]:
    """Return members of a slice, [S], their judged answers, and the gain that is asked for.

    Raises NotShown where there is none, and InputError for a metric that cannot judge these answers.
    """
    metric, slice_name, at_least, of = asked
    chosen = metric or data.metric
    try:
        members, judged = _group(data, chosen, slice_name)
    except InputError as error:
        if chosen in data.record.metrics or isinstance(error, NothingToKeep):
            raise
        task, has = data.record.trial.task.name, " and ".join(data.record.metrics)
        raise NotShown(f"metric={chosen} cannot judge the answers of task {task}, which has {has} ({error})") from error
    ideal = judged.ideal()
    if not math.isfinite(ideal):
        raise NotShown(f"ideal quality is {ideal}, so that nothing can be held to it")
    if ideal <= 0:
        raise NotShown("no answer is right, so that there is no quality to keep")
    floor = at_least * ideal if of == "ideal" else judged.gained(at_least)
    if floor <= 0:
        raise NotShown("an answer that is late is worth as much as what is asked for: ask for more")
    return members, judged, floor


def _group(data: TrialData, metric: str, slice_name: str) -> tuple[NDArray[np.bool_], Judgement]:
    if slice_name == "all":
        return np.ones(len(data.references), dtype=bool), data.judged(metric)
    name, _, group = slice_name.partition("=")
    found = {each[0]: each for each in groups_of(data, metric, name)}
    if group not in found:
        known = nearest(group, found) if found else nearest(name, data.slices_offered)
        raise NotShown(f"no sample is in the slice {slice_name}: {known}")
    *_, members, judged = found[group]
    return members, judged or data.judged_of_some(metric, members)
