"""What the five answers of a task are made of: the words and their links, and the case that they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.ranking import Order, Ranking, Standing, by_model, order_of
from orchestrator.configuration.analysis import DeadlineConfig


@dataclass(frozen=True)
class Piece:
    """Some words: plain, a link, a command, or an aside: what a list of tasks (``aside``) or a phone (``remedy``) leaves out."""

    text: str
    href: str = ""
    kind: str = ""


Line = tuple[Piece, ...]


@dataclass(frozen=True)
class Said:
    """One of the five: a short answer in bold, and lines of detail."""

    question: str
    short: str
    detail: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join([self.short, *("".join(piece.text for piece in line) for line in self.detail)])


@dataclass(frozen=True)
class FiveAnswers:
    """The answers in their order.

    models
        where there are several, a row for each under `MODELS`.
    """

    rows: tuple[Said, ...]
    models: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Doubt:
    """What is in doubt, where it is explained, of which systems it is true, and what to do about it."""

    term: str
    href: str
    whose: str
    remedy: str = ""


@dataclass(frozen=True)
class Case:
    """What the answers rest on.

    ranked
        the systems, the best first.
    within, ns
        the deadline, as it is called and in ns.
    wanted
        what it means to keep a deadline.
    more_rounds
        by a system's first trial, how many rounds could certify its deadline, where rounds alone are missing; 0 where flags forbid it.
    tested
        whether differences were computed at this deadline.
    needed
        what would show more.
    doubts
        as they are listed; ``uncertified`` counts systems whose deadline is not certified.
    """

    ranked: Ranking
    within: str
    ns: int
    wanted: DeadlineConfig
    more_rounds: Mapping[str, int]
    tested: bool = True
    needed: tuple[Line, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    uncertified: int = 0
    unwell: tuple[Line, ...] = ()

    @property
    def found(self) -> tuple[Standing, ...]:
        """The systems, the best first."""
        return self.ranked.found

    @property
    def models(self) -> list[Order]:
        """What ties and what is behind, per model, that of the best first."""
        return [order_of(systems) for systems in by_model(self.found)]

    @property
    def compares_models(self) -> bool:
        """Whether models were tested against each other here."""
        return self.tested and self.ranked.tests_models

    @property
    def samples(self) -> int:
        """How many samples the task has."""
        return len(self.ranked.group.trials[0].references)

    def keeps(self, one: Standing) -> bool:
        """Return whether a system keeps its quality within the deadline, certified or as observed."""
        return kept_from_ns(one) <= self.ns

    def name(self, one: Standing) -> str:
        """Name a system by what tells it from the others of its task, but its model."""
        names = [key for key in ("system", "runtime") if len({other.names[key] for other in self.found}) > 1]
        parts = [one.names[key] for key in names]
        parts += [f"batch {one.names['batch']}"] if len({other.names["batch"] for other in self.found}) > 1 else []
        parts += [one.names["settings"]] if one.names["settings"] else []
        return " · ".join(parts or [one.names["system"], one.names["runtime"]])


def plain(text: str) -> Line:
    """Return a line without links."""
    return (Piece(text),)


def kept_from_ns(one: Standing) -> float:
    """Return from which deadline on a system keeps its quality: certified, else as observed; infinity if from none on."""
    certified, observed = one.deadlines
    return certified if math.isfinite(certified) else observed
