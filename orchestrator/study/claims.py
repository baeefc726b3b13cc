"""Claims of the paper: what they are held to, ``conf/study.yaml``, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.fields import Percentile, explain
from orchestrator.configuration.frozen import Frozen
from orchestrator.contracts import InputError, first_line
from orchestrator.stats.interval import clopper_pearson
from orchestrator.storage.load import read_regular
from orchestrator.study.tables import StudyTable

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=100)]
Count = Annotated[int, Field(gt=0, le=10**9)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Percentiles = Annotated[tuple[Percentile, ...], Field(min_length=1, max_length=20)]
Verdict = Literal["holds", "fails", "not shown"]


class _Fluctuation(Frozen):  # C1
    percentile: Percentile
    range: Share
    trials: Share
    rounds: Count


class _Choice(Frozen):  # C2
    margin: Share
    confidence: Confidence


class _Enough(Frozen):  # C3
    rjsd: Positive
    window: Annotated[int, Field(gt=0, le=100)]
    within: Share
    trials: Share


class _Foretold(Frozen):  # C4
    percentile: Percentile
    least: Share
    deviations: Positive
    misses: Share


class _Queries(Frozen):  # that MLPerf asks for, and the percentile that they bound
    percentile: Percentile
    queries: Count


class _Inferences(Frozen):  # C5
    confidence: Confidence
    single_stream: _Queries
    server: _Queries
    trials: Share


class _Factors(Frozen):  # C6
    share: Share
    confidence: Confidence


class _Claims(Frozen):
    fluctuation: _Fluctuation
    choice: _Choice
    enough: _Enough
    prediction: _Foretold
    inferences: _Inferences
    factors: _Factors


class Criteria(Frozen):
    """What the study shows, and what claims are held to."""

    percentiles: Percentiles
    tail_percentiles: Percentiles
    predicted_percentiles: Percentiles
    first_rounds: Count
    most_samples: Annotated[int, Field(gt=1, le=1000)]
    claims: _Claims


def shipped_criteria() -> Path:
    """Return where the shipped file lies."""
    return shipped_folder() / "study.yaml"


def read_criteria(path: Path) -> Criteria:
    """Return the criteria of a file; InputError names the first key that breaks a rule."""
    try:
        return Criteria.model_validate(yaml.safe_load(read_regular(path)))
    except (OSError, yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        said = explain(error) if isinstance(error, ValidationError) else first_line(error)
        form = "write a whole file in the form of conf/study.yaml"
        raise InputError(f"{path}: cannot be read ({said}): {form}") from error


@dataclass(frozen=True)
class Claim:
    """A claim, what it is held to, and what was found: in words, and their numbers by name."""

    name: str
    claim: str
    criterion: str
    verdict: Verdict
    figure: str
    numbers: Mapping[str, float]


def claims_table(found: Sequence[Claim]) -> StudyTable:
    """Return all claims with their verdicts."""
    return StudyTable(
        "claims",
        "Claims of the paper, on these systems",
        [("name", "claim"), ("words", "says", "held to", "verdict", "found")],
        [[one.name, one.claim, one.criterion, one.verdict, one.figure] for one in found],
        "Criteria stand in conf/study.yaml and were fixed beforehand. Not shown: these data "
        "neither bear the claim out nor contradict it. Behind a count of trials: its share and the "
        "95 % Clopper-Pearson limits of the share, of as many independent trials. Trials of one "
        "system or of one session have something in common, so that limits of the share in other "
        "sessions lie further apart.",
    )


def figures_table(found: Sequence[Claim]) -> StudyTable:
    """Return the numbers of every claim's figure, one a row, for documents and programs."""
    rows = [(one.name, name, value) for one in found for name, value in one.numbers.items()]
    columns = [("name", "claim", "figure"), ("significant", "value")]
    return StudyTable("claim_figures", "Figures of the claims", columns, rows)


def counted(count: int, out_of: int) -> tuple[str, dict[str, float]]:
    """Return in words how many of so many cases, and their share with its 95 % limits by name.

    Examples
    --------
    >>> counted(15, 96)[0], counted(0, 0)
    ('15 of 96 (0.156 [0.090, 0.245])', ('0 of 0', {}))
    """
    if not out_of:
        return f"{count} of {out_of}", {}
    share, (low, high) = count / out_of, map(float, clopper_pearson(count, out_of))
    said = f"{count} of {out_of} ({share:.3f} [{low:.3f}, {high:.3f}])"
    return said, {"share": share, "low": low, "high": high}


def by_share(count: int, out_of: int, wanted: float) -> Verdict:
    """Return *holds* where at least a share of cases does, *not shown* without a case."""
    kept: Verdict = "holds" if count >= wanted * out_of - 1e-9 else "fails"
    return kept if out_of else "not shown"
