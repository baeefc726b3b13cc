"""What claims are held to: ``conf/study.yaml``, or a file of the user's own in its form."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from orchestrator.configuration.fields import Percentile, explain
from orchestrator.configuration.frozen import Frozen
from orchestrator.contracts import InputError, first_line
from orchestrator.storage.load import read_regular

SHIPPED = "study.yaml"
MOST_BYTES = 2**16

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=100)]
Count = Annotated[int, Field(gt=0, le=10**9)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Percentiles = Annotated[tuple[Percentile, ...], Field(min_length=1, max_length=20)]


class Fluctuation(Frozen):
    """C1."""

    percentile: Percentile
    range: Share
    trials: Share
    rounds: Count


class Choice(Frozen):
    """C2."""

    margin: Share
    confidence: Confidence


class Enough(Frozen):
    """C3."""

    rjsd: Positive
    window: Annotated[int, Field(gt=0, le=100)]
    within: Share
    trials: Share


class Foretold(Frozen):
    """C4."""

    percentile: Percentile
    least: Share
    deviations: Positive
    misses: Share


class Queries(Frozen):
    """How many queries MLPerf asks for, and which percentile they bound."""

    percentile: Percentile
    queries: Count


class Inferences(Frozen):
    """C5."""

    confidence: Confidence
    single_stream: Queries
    server: Queries
    trials: Share


class Factors(Frozen):
    """C6."""

    share: Share
    confidence: Confidence


class Claims(Frozen):
    """Every claim's criteria."""

    fluctuation: Fluctuation
    choice: Choice
    enough: Enough
    prediction: Foretold
    inferences: Inferences
    factors: Factors


class Criteria(Frozen):
    """What the study shows, and what claims are held to."""

    percentiles: Percentiles
    tail_percentiles: Percentiles
    predicted_percentiles: Percentiles
    first_rounds: Count
    most_samples: Annotated[int, Field(gt=1, le=1000)]
    claims: Claims


def shipped_criteria() -> Path:
    """Return where the shipped file lies: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf" / SHIPPED
    return inside if inside.is_file() else package.parent / "conf" / SHIPPED


def read_criteria(path: Path) -> Criteria:
    """Return the criteria of a file.

    Raises
    ------
    InputError
        for a file that cannot be read, is no YAML mapping, is not complete, or breaks a rule, naming the first key that does.
    """
    try:
        content = read_regular(path)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path}: has {len(content):,} bytes; criteria take at most {MOST_BYTES:,}")
        document = yaml.safe_load(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): name a file in the form of conf/study.yaml") from error
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: is no YAML ({first_line(error)}): write it in the form of conf/study.yaml") from error
    try:
        return Criteria.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path}: {_complaint(error)}") from error


def _complaint(error: ValidationError) -> str:
    """Return what is wrong with criteria in one line: a key that none has before those that are missing for it, then the other rules."""
    of_kind: dict[str, list[str]] = {"extra_forbidden": [], "missing": []}
    for one in error.errors(include_url=False):
        of_kind.setdefault(one["type"], []).append(".".join(map(str, one["loc"])))
    unknown, missing = of_kind["extra_forbidden"], of_kind["missing"]
    complete = "a file of criteria must be complete: copy conf/study.yaml and change its values"
    if unknown:
        near = difflib.get_close_matches(unknown[0], missing, n=1)
        return f"{unknown[0]}: no such key; {f'did you mean {near[0]}? ' if near else ''}{complete}"
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return f"{missing[0]}: is missing{more}; {complete}"
    return explain(error)
