"""What a check says: good, doubtful or bad, the value seen, and the rule that decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["good", "doubtful", "bad"]
GRADES: tuple[Grade, ...] = ("good", "doubtful", "bad")


@dataclass(frozen=True)
class Finding:
    """One line of the answer. ``why`` is the rule with its number, and where all is not well the remedy."""

    host: str
    what: str
    grade: Grade
    seen: str
    why: str


def graded(value: float, good: float, doubtful: float) -> Grade:
    """Return ``good`` up to one bound, ``doubtful`` up to the next, and ``bad`` beyond."""
    if value <= good:
        return "good"
    return "doubtful" if value <= doubtful else "bad"


def worst(*grades: Grade) -> Grade:
    """Return the worst of several grades."""
    return max(grades, key=GRADES.index)


def told(host: str, what: str, grade: Grade, seen: str, rule: str, remedy: str) -> Finding:
    """Return a finding that names the remedy only where one is needed."""
    return Finding(host, what, grade, seen, rule if grade == "good" else f"{rule}; {remedy}")
