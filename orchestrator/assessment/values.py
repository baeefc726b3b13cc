"""The values of a file of requirements: times with their units, thresholds, shares, patterns; each refuses what it cannot mean."""

import math
import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from orchestrator.configuration.fields import MOST_ROUNDS, matches
from orchestrator.stats.thresholds import LONGEST_NS

UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
TIME = 'must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"'
PER_CENT = "must be in per cent, above 1 and below 100, such as 99"


def _ns(value: object) -> Fraction | None:
    """Return a time that is written with its unit in ns; None for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ns|us|ms|s)", value.strip()) if isinstance(value, str) else None
    return Fraction(found[1]) * UNITS[found[2]] if found else None


def _time(value: object) -> int:
    ns = math.floor(_ns(value) or 0)
    if not 0 < ns <= LONGEST_NS:
        raise ValueError(TIME)
    return ns


def _threshold(value: object) -> str:
    """Return a percentile as it is written, and a time in ms."""
    percentile = re.fullmatch(r"\s*(p(\d+(?:\.\d+)?))\s*", value) if isinstance(value, str) else None
    if percentile is None:
        if _ns(value) is None:
            raise ValueError('must be a percentile of the reference trial such as p95, or a time with its unit such as "50 ms"')
        return f"{_time(value) / UNITS['ms']:.12g} ms"
    if not 1 < float(percentile[2]) < 100:
        raise ValueError(PER_CENT.replace("99", "p99"))
    return percentile[1]


def _percentile(value: float) -> float:
    if not 1 < value < 100:
        raise ValueError(f"must be in per cent: write {100 * value:.12g}" if 0 < value < 1 else PER_CENT)
    return value


def as_text(value: object) -> str:
    """Return a setting as the text that patterns are held against.

    Examples
    --------
    >>> [as_text(value) for value in (30.0, 0.5, True, None, "periodic *")]
    ['30', '0.5', 'true', 'null', 'periodic *']
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _one_or_more(value: Any) -> tuple[Any, ...]:
    """Accept one pattern where a list is wanted, and numbers where they stand for texts."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(as_text(each) if isinstance(each, int | float) else each for each in values)


Float = Annotated[float, Field(strict=True)]
Int = Annotated[int, Field(strict=True)]
Time = Annotated[int, BeforeValidator(_time)]
Threshold = Annotated[str, BeforeValidator(_threshold), Field(max_length=40)]
Percentile = Annotated[Float, AfterValidator(_percentile)]
Identifier = Annotated[
    str,
    matches(
        r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,79}",
        "must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + - and start with a letter or digit",
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Metric = Annotated[str, Field(min_length=1, max_length=200)]
Slice = Annotated[str, Field(max_length=200), matches("all|[^=]+=.+", 'must be all, or NAME=GROUP such as "size=small"')]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
AnyPatterns = Annotated[tuple[Pattern, ...], BeforeValidator(_one_or_more)]
Patterns = Annotated[AnyPatterns, Field(min_length=1)]
Confidence = Annotated[Float, Field(ge=0.5, lt=1)]
# A share that some data can show: all rounds, or none, no number of them can.
Share = Annotated[Float, Field(gt=0, lt=1)]
Count = Annotated[Int, Field(ge=0, le=MOST_ROUNDS)]
Positive = Annotated[Int, Field(ge=1, le=MOST_ROUNDS)]
