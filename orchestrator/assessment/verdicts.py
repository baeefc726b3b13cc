"""What was found of each requirement: a verdict, the figure that it rests on, and what is missing for one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.assessment.requirements import Requirement, Requirements
from orchestrator.stats.requirements import Verdict

EXIT_CODES: Mapping[Verdict, int] = {"not met": 1, "not shown": 3, "met": 0}
"""By the worst verdict of all."""


@dataclass(frozen=True)
class Basis:
    """What a finding rests on: rounds, visits, processes and sessions (days on which something was measured)."""

    rounds: int = 0
    visits: int = 0
    processes: int = 0
    sessions: int = 0


@dataclass(frozen=True)
class Finding:
    """One requirement held against one system.

    match_key, who
        the system: its key, and the names of model, system and so on; both empty where no trial is one that the requirement is for.
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
    """

    verdict: Verdict
    said: str
    missing: str = ""
    match_key: str = ""
    who: Mapping[str, str] = field(default_factory=dict)
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    asked: float | None = None
    unit: str = ""
    more_rounds: int | None = None
    method: str = ""
    basis: Basis = Basis()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assessed:
    """One requirement and what each system shows of it.

    allowed_error
        probability of a false verdict that it may risk.
    """

    requirement: Requirement
    verdict: Verdict
    allowed_error: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Assessment:
    """Every requirement of a file, held against campaigns; ``remarks`` say what of these was left out."""

    requirements: Requirements
    assessed: tuple[Assessed, ...]
    campaigns: tuple[Mapping[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 1 where any requirement is not met, else 3 where any is not shown, else 0."""
        return EXIT_CODES[worst(one.verdict for one in self.assessed)]

    def count(self, verdict: Verdict) -> int:
        """Return how many requirements have a verdict."""
        return sum(one.verdict == verdict for one in self.assessed)


def many(name: str) -> str:
    """Return the plural of a word."""
    return f"{name}es" if name.endswith("s") else f"{name}s"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return *not met* where any is, else *not shown* where any is or there are none, else *met*.

    Examples
    --------
    >>> worst(["met", "not shown"]), worst([]), worst(["met"])
    ('not shown', 'not shown', 'met')
    """
    found = set(verdicts)
    return "not met" if "not met" in found else "met" if found == {"met"} else "not shown"
