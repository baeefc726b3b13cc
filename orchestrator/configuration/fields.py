"""The kinds of values that a configuration holds, their bounds, and how a mistake in one is worded."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

KNOWN_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?\s*")
SIZE_UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


def parse_bytes(value: object) -> int:
    """Return a number of bytes from ``4GiB``, ``500MB`` or a plain number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = KNOWN_SIZE.fullmatch(str(value))
    if match is None:
        raise ValueError("must be a number of bytes such as 500MB or 4GiB")
    return int(float(match[1]) * SIZE_UNITS[match[2] or "B"])


def _no_truth(value: object) -> object:
    """Refuse true and false where a number is wanted: Python counts them as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _plain_name(value: str) -> str:
    """Refuse names that could not be part of a file name on every system."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}", value) or ".." in value:
        raise ValueError("must be 1 to 100 of the characters A-Z a-z 0-9 _ . + - and start with a letter or digit")
    return value


def _plain_names(value: object) -> object:
    """Accept one string where a list of strings is wanted."""
    return (value,) if isinstance(value, str) else value


def _module_names(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what Python could not import."""
    for name in value:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
            raise ValueError(f"must be names of Python modules, and {name[:40]!r} is none")
    return value


def _program_names(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no file system could hold."""
    for name in value:
        if not name.strip() or "\0" in name or len(name) > 200:
            raise ValueError("must be names of programs of 1 to 200 characters")
    return value


MOST_REPEATS = 1000
MOST_THRESHOLDS = 1000
"""Per kind: tables have a row per threshold, trial and clock."""
MOST_ROUNDS = 10**9
"""Rounds are numbered with 32 bits."""
MOST_SECONDS = 10**6
"""11 days for a round: systems' own waits take little more."""
LONGEST_MS = 9 * 10**9
"""104 days for a threshold: beyond, float64 holds no exact number of nanoseconds."""
MOST_CORES = 4096
MOST_CLASSES = MOST_SAMPLES = 10**9
LARGEST_SEED = 2**63 - 1
FEWEST_ARRIVALS_PER_S, MOST_ARRIVALS_PER_S = 1e-3, 10**7
LONGEST_STREAM_S = 86_400

DeviceKind = Literal["cpu", "cuda"]
Dtype = Literal["fp32", "bf16", "fp16"]
DTYPE_BYTES: Mapping[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2}

Name = Annotated[str, AfterValidator(_plain_name)]
Names = Annotated[tuple[str, ...], BeforeValidator(_plain_names)]
Modules = Annotated[Names, AfterValidator(_module_names)]
Programs = Annotated[Names, AfterValidator(_program_names)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0, le=2**60)]
Percentile = Annotated[float, Field(ge=1e-6, lt=100)]
Milliseconds = Annotated[float, BeforeValidator(_no_truth), Field(ge=1e-6, le=LONGEST_MS, allow_inf_nan=False)]


SECRET = "token_"  # noqa: S105 - how keys begin whose values no message repeats: somebody may have put the token itself there


def explain(error: ValidationError) -> str:
    """Return the first complaint of a validation error as one line: key, value, rule."""
    found = _one_of_each_key(error.errors(include_url=False))
    first = found[0]
    # Pydantic names the members of a union too ("constrained-int"): only words and indices are ours.
    parts = [str(part) for part in first["loc"] if part != "options" and re.fullmatch(r"\w+", str(part))]
    key = ".".join(parts) or error.title
    message = _rule(first["type"], first.get("ctx", {})) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{key}: no such key"
    value = first.get("input")
    hidden = isinstance(value, Mapping) or first["type"] == "missing" or (parts[-1:] and parts[-1].startswith(SECRET))
    shown = "" if hidden else f"={str(value)[:80]}"
    more = len(found) - 1
    return f"{key}{shown}: {message[0].lower() + message[1:]}" + (f" (and {more} more)" if more else "")


def _one_of_each_key(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return one complaint of each key: where it may have several forms, that of the form which the value resembles most."""
    by_key: dict[tuple[int | str, ...], ErrorDetails] = {}
    for one in errors:
        place = one["loc"]
        # The members of a union stand behind the key by names of Pydantic's, such as "constrained-int".
        member = next((at for at, part in enumerate(place) if not re.fullmatch(r"\w+", str(part))), len(place))
        known = by_key.get(place[:member])
        if known is None or len(place) > len(known["loc"]):
            by_key[place[:member]] = one
    return list(by_key.values())


def _rule(kind: str, context: Mapping[str, Any]) -> str | None:
    """Return the rule that a value breaks and the remedy, where Pydantic's own words would not do."""
    if kind == "tuple_type":
        return "Must be a list such as [12]"
    if kind in ("model_type", "model_attributes_type"):
        return "Must be a group of keys; set one of them, as KEY.NAME=VALUE"
    if kind == "int_parsing_size":
        return "Is too far from 0 for a whole number here; write one closer to 0"
    if kind == "less_than":
        return f"Must be below {int(context['lt']):,}; write a smaller number"
    if kind == "less_than_equal":
        return f"Must be at most {int(context['le']):,}; write a smaller number"
    if kind == "greater_than_equal":
        return f"Must be at least {context['ge']:g}; write a larger number"
    if kind == "too_long":
        return f"Must be at most {context['max_length']:,} values; leave some out"
    return None
