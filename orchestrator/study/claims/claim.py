"""A claim of the paper, what it is held to, and what these data say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.stats.interval import clopper_pearson
from orchestrator.study.tables import Column, StudyTable, Value, named, numbers, significant

Verdict = Literal["holds", "fails", "not shown"]


@dataclass(frozen=True)
class Claim:
    """One claim.

    criterion
        what it is held to, fixed beforehand in ``conf/study.yaml``.
    figure
        what was found, in words with numbers.
    numbers
        the numbers of these words, by name.
    """

    name: str
    claim: str
    criterion: str
    verdict: Verdict
    figure: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def claims_table(found: Sequence[Claim]) -> StudyTable:
    """Return all claims with their verdicts."""
    return StudyTable(
        "claims",
        "Claims of the paper, on these systems",
        [*named("claim"), Column("says"), Column("held to"), Column("verdict"), Column("found")],
        [[one.name, one.claim, one.criterion, one.verdict, one.figure] for one in found],
        "Criteria stand in conf/study.yaml and were fixed beforehand. Not shown: these data neither bear the claim out nor contradict it. "
        "Behind a count of trials: its share and the 95 % Clopper-Pearson limits of the share, of as many independent trials. Trials of "
        "one system or of one session have something in common, so that limits of the share in other sessions lie further apart.",
    )


def figures_table(found: Sequence[Claim]) -> StudyTable:
    """Return the numbers of every claim's figure, one a row, for documents and programs."""
    rows: list[list[Value]] = [[one.name, name, value] for one in found for name, value in one.numbers.items()]
    return StudyTable("claim_figures", "Figures of the claims", [*named("claim", "figure"), *numbers(significant, "value")], rows)


def counted(count: int, out_of: int) -> str:
    """Say how many of so many cases, their share, and its 95 % limits.

    Examples
    --------
    >>> counted(15, 96)
    '15 of 96 (0.156 [0.090, 0.245])'
    >>> counted(0, 0)
    '0 of 0'
    """
    figures = share_figures(count, out_of)
    share = "{share:.3f} [{low:.3f}, {high:.3f}]".format(**figures) if figures else ""
    return f"{count} of {out_of}" + (f" ({share})" if share else "")


def share_figures(count: int, out_of: int) -> dict[str, float]:
    """Return the share of cases and its 95 % limits (Clopper and Pearson), by name; nothing without a case."""
    if not out_of:
        return {}
    low, high = (float(limit) for limit in clopper_pearson(count, out_of))
    return {"share": count / out_of, "low": low, "high": high}


def by_share(count: int, out_of: int, wanted: float) -> Verdict:
    """Return *holds* where at least a share of cases does, *not shown* without a case, else *fails*."""
    if not out_of:
        return "not shown"
    return "holds" if count >= wanted * out_of - 1e-9 else "fails"
