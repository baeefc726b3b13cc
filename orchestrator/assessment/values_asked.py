"""The values of a file of requirements: times with their units, thresholds, shares, patterns; each refuses what it cannot mean."""

import math
import re
from difflib import get_close_matches
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import MOST_ROUNDS, parse_bytes
from orchestrator.contracts import InputError
from orchestrator.stats.thresholds import LONGEST_NS, primary_threshold

PER_CENT = "must be in per cent, above 1 and below 100, such as 99"
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}

AXES = {
    "model": "model.name",
    "task": "task.name",
    "system": "system.name",
    "runtime": "runtime.name",
    "batch": "measurement.batch",
    "repeat": "repeat",
}
"""Short names of axes, and the keys that they stand for."""
AXIS_NAMES = (*AXES, "load")
"""``load`` is what a reader calls one, in words."""
OWN_KEYS = ("model", "task")
"""Blocks that hold the options of a class beside their own keys."""


def _number(value: object) -> object:
    """Refuse true and false where a number is wanted: Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, which true and false are not; write one")
    return value


def _time(value: object) -> int:
    """Return ns from ``33.3 ms``; a number alone has no unit and is refused."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ns|us|ms|s)", value.strip()) if isinstance(value, str) else None
    ns = math.floor(Fraction(match[1]) * UNITS[match[2]]) if match else 0
    if match and ns > LONGEST_NS:
        raise ValueError("must be at most 292 years; write a shorter time")
    if ns < 1:
        unit = f'; if it is in milliseconds, write "{value} ms"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise ValueError(f'must be a time above 0 with its unit, ns, us, ms or s, such as "33.3 ms" or "2 s"{unit}')
    return ns


def _threshold(value: object) -> str:
    """Return a threshold as it is written; a time in another unit than ms is given the remedy."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'has no unit: write "{value} ms" for a time, p{value} for a percentile of the reference trial')
    if not isinstance(value, str):
        raise ValueError('must be a percentile such as p95 or a time such as "50 ms"')
    text = value.strip()
    other = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ns|us|s)", text)
    if other:
        raise ValueError(f'must be in ms: write "{float(Fraction(other[1]) * UNITS[other[2]] / UNITS["ms"]):.12g} ms"')
    percentile = re.fullmatch(r"p(\d+(?:\.\d+)?)", text)
    if percentile and 0 < float(percentile[1]) <= 1:
        raise ValueError(
            f"must be in per cent: write p{float(100 * Fraction(percentile[1])):.12g}" if float(percentile[1]) < 1 else PER_CENT
        )
    try:
        primary_threshold(text, None)
    except InputError as error:
        raise ValueError(str(error).partition(": ")[2]) from error
    return text


def _percentile(value: float) -> float:
    """Refuse a share, which would ask for next to nothing."""
    if not 1 < value < 100:
        raise ValueError(f"must be in per cent: write {100 * value:.12g}" if 0 < value < 1 else PER_CENT)
    return value


def _slice(value: str) -> str:
    if not re.fullmatch(r"all|[^=]+=.+", value):
        raise ValueError('must be all, or NAME=GROUP such as "size=small"')
    return value


def _bytes(value: object) -> int:
    found = parse_bytes(value)
    if not 0 < found <= 2**60:
        raise ValueError("must be above 0 and at most 2^60 bytes; write one such as 500MB or 4GiB")
    if str(value).strip().replace(".", "", 1).isdigit():
        raise ValueError(f'has no unit: write "{value}GiB", "{value}MB" or, if it is in bytes, "{value}B"')
    return found


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,79}", value):
        raise ValueError("must be 1 to 80 of the characters A-Z a-z 0-9 _ . : / + - and start with a letter or digit")
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


def one_or_more(value: object) -> object:
    """Accept one pattern where a list is wanted, and numbers where they stand for texts."""
    if value is None or isinstance(value, dict):
        raise ValueError('must be a pattern or a list of them, such as "cpu_*"')
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(as_text(each) if isinstance(each, int | float) else each for each in values)


def _axis(value: str) -> str:
    """Refuse what no trial can have: a key that is none of any block's."""
    blocks = {name: field.annotation for name, field in Trial.model_fields.items()}
    keys = [
        f"{name}.{key}"
        for name, block in blocks.items()
        if isinstance(block, type) and issubclass(block, BaseModel)
        for key in block.model_fields
    ]
    block, _, key = value.partition(".")
    whole = f"{block}.{key.partition('.')[0]}"
    if value in AXIS_NAMES or (key and (whole in keys or block in OWN_KEYS)):
        return value
    nearest = get_close_matches(value, [*AXIS_NAMES, *keys], n=1)
    rule = f"no trial has such a key: choose {', '.join(AXIS_NAMES)} or a key of a trial, such as measurement.batch"
    raise ValueError(f"{rule}; did you mean {nearest[0]}?" if nearest else rule)


Float = Annotated[float, BeforeValidator(_number)]
Int = Annotated[int, BeforeValidator(_number)]
Time = Annotated[int, BeforeValidator(_time)]
Threshold = Annotated[str, BeforeValidator(_threshold), Field(max_length=40)]
Percentile = Annotated[Float, AfterValidator(_percentile)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Axis = Annotated[str, Field(max_length=100), AfterValidator(_axis)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Metric = Annotated[str, Field(min_length=1, max_length=200)]
Slice = Annotated[str, Field(max_length=200), AfterValidator(_slice)]
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], BeforeValidator(one_or_more), Field(min_length=1)]
Confidence = Annotated[Float, Field(ge=0.5, lt=1)]
Share = Annotated[Float, Field(gt=0, lt=1)]
"""A share that some data can show: all rounds, or none, no number of them can."""
Count = Annotated[Int, Field(ge=0, le=MOST_ROUNDS)]
Positive = Annotated[Int, Field(ge=1, le=MOST_ROUNDS)]
