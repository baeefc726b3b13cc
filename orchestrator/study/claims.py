"""What claims of the paper are held to: ``conf/study.yaml``."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from orchestrator.configuration.composer import shipped_folder
from orchestrator.configuration.fields import Frozen, Percentile, explain
from orchestrator.contracts import InputError, first_line
from orchestrator.storage.load import read_regular

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=100)]
Count = Annotated[int, Field(gt=0, le=10**9)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Percentiles = Annotated[tuple[Percentile, ...], Field(min_length=1, max_length=20)]


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


def read_criteria(given: Path | None = None) -> Criteria:
    """Return the criteria of a file, by default the shipped one.

    InputError names the first key that breaks a rule.
    """
    path = given or shipped_folder() / "study.yaml"
    try:
        return Criteria.model_validate(yaml.safe_load(read_regular(path)))
    except (OSError, yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        said = explain(error) if isinstance(error, ValidationError) else first_line(error)
        form = "write a whole file in the form of conf/study.yaml"
        raise InputError(f"{path}: cannot be read ({said}): {form}", "unreadable") from error
