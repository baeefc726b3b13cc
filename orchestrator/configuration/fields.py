"""The kinds of values that a configuration holds, their bounds, and how a mistake in one is worded."""

import os
import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.contracts import CUT, Code, InputError, by_key, nearest

MOST_REPEATS = 1000
MOST_THRESHOLDS = 1000  # per kind: tables have a row per threshold, trial and clock
MOST_ROUNDS = 10**9  # rounds are numbered with 32 bits
MOST_SECONDS = 10**6  # 11 days for a round: systems' own waits take little more
LONGEST_MS = 9 * 10**9  # 104 days for a threshold: beyond, float64 holds no exact number of nanoseconds
MOST_CORES = 4096
MOST_CLASSES = MOST_SAMPLES = 10**9
LARGEST_SEED = 2**63 - 1
FEWEST_ARRIVALS_PER_S, MOST_ARRIVALS_PER_S = 1e-3, 10**7
LONGEST_STREAM_S = 86_400
LARGEST = 2**128  # no whole number in a file of this program lies further from 0
# Pydantic's names in the place of a value, beside keys and numbers.
KINDS_OF_JSON = ("dict", "list", "float", "[key]")
PLAIN = "null, true, false, a finite number, text, a list or a mapping with text as keys"
SHOWN = 80  # characters of a value that a message repeats


def matches(pattern: str, rule: str) -> AfterValidator:
    """Return a check that a text has a form as a whole; ``rule`` says which."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(rule)
        return value

    return AfterValidator(check)


# One text stands for a list of one.
ONE_OR_SEVERAL = BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)

DeviceKind = Literal["cpu", "cuda"]
Dtype = Literal["fp32", "bf16", "fp16"]
DTYPE_BYTES: Mapping[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2}

NAME = matches(
    r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}", "must be 1 to 100 of the characters A-Z a-z 0-9 _ . + - and start with a letter or digit"
)
MODULE = matches(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "must be the name of a Python module")
PROGRAM = matches(r"(?s)(?=.*\S)[^\0]{1,200}", "must be the name of a program, of 1 to 200 characters")

# A timed process has another working directory than the command.
File = Annotated[str, AfterValidator(lambda file: str(Path(file).expanduser().absolute()))]
Name = Annotated[str, NAME]
Names = Annotated[tuple[str, ...], ONE_OR_SEVERAL]
Modules = Annotated[tuple[Annotated[str, MODULE], ...], ONE_OR_SEVERAL]
Programs = Annotated[tuple[Annotated[str, PROGRAM], ...], ONE_OR_SEVERAL]
Bytes = Annotated[ByteSize, Field(gt=0, le=2**60)]
Percentile = Annotated[float, Field(ge=1e-6, lt=100)]
Milliseconds = Annotated[float, Field(ge=1e-6, le=LONGEST_MS, allow_inf_nan=False)]
Price = Annotated[float, Field(gt=0, le=10**9)]
Core = Annotated[int, Field(ge=0, lt=MOST_CORES)]
# A number of cores, a list of core numbers, or all there are.
Cores = Annotated[int, Field(gt=0, le=MOST_CORES)] | tuple[Core, ...] | None


class Frozen(BaseModel):
    """Base of all configuration: immutable, unknown keys refused. Text that reads as a number counts as one, as on a command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    def changed(self) -> list[str]:
        """Return the keys whose values are not their defaults."""
        return [key for key, field in type(self).model_fields.items() if getattr(self, key) != field.get_default()]

    def sound(self, *mistakes: tuple[object, str]) -> Self:
        """Return this, unless one of the mistakes is there. Raises ValueError with the rule that it breaks."""
        for is_there, rule in mistakes:
            if is_there:
                raise ValueError(rule)
        return self


PLAIN_VALUES = TypeAdapter[JsonValue](JsonValue, config=ConfigDict(allow_inf_nan=False))


def check_plain(value: object, key: str) -> None:
    """Refuse what a file of JSON would not give back as it was; ``key`` says where it stands. Raises InputError."""
    try:
        PLAIN_VALUES.validate_python(value)
    except ValidationError as error:
        place = ".".join([key, *(str(part) for part in error.errors()[0]["loc"] if part not in KINDS_OF_JSON)])
        raise InputError(f"{place}: must be {PLAIN}; write it as one of these", "invalid", place) from error


SHORTEST_HIDDEN = 6  # a shorter secret would be found in any text
ASKED: set[str] = set()  # variables whose values this process has put into configurations, of its own keys too
SECRET = "token_"  # noqa: S105 - how keys begin whose values no message repeats: somebody may have put the token itself there


def expression(name: str) -> str:
    """Return how the value of an environment variable is written where it may not be stored."""
    return f"${{oc.env:{name}}}"


def without(text: str, names: Iterable[str]) -> str:
    """Return a text with expressions in place of the values of environment variables."""
    return hide(text, {os.environ.get(name, ""): expression(name) for name in sorted(names)})


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text with something else in place of secrets, of each of their lines, and of what a cut has left of these."""
    hidden: dict[str, str] = {}
    for secret, instead in secrets.items():
        for part in (secret, *(line.strip() for line in secret.splitlines())):
            if len(part) >= SHORTEST_HIDDEN:
                hidden[part] = instead
                for length in range(1, len(part) + 1) if CUT in text else ():
                    hidden[part[:length] + CUT] = instead + CUT
                    hidden[CUT + part[-length:]] = CUT + instead
    for part in sorted(hidden, key=len, reverse=True):
        text = text.replace(part, hidden[part])
    return text


# The rule that a value breaks and the remedy, by Pydantic's name of the mistake, where its own words would not do.
RULES = {
    "missing": "is missing; add it",
    "byte_size": "must be a number of bytes such as 500MB or 4GiB",
    "byte_size_unit": "must be a number of bytes such as 500MB or 4GiB",
    "tuple_type": "must be a list such as [12]",
    "dict_type": "must be a group of keys, each with its value",
    "model_type": "must be a group of keys; set one of them, on a command line as KEY.NAME=VALUE",
    "model_attributes_type": "must be a group of keys; set one of them, on a command line as KEY.NAME=VALUE",
    "float_type": "must be a number; write one such as 0.95",
    "int_type": "must be a whole number; write one such as 60",
    "int_parsing": "must be a whole number; write one such as 60",
    "float_parsing": "must be a number; write one such as 0.95",
    "bool_parsing": "must be true or false",
    "int_parsing_size": "is too far from 0 for a whole number here; write one closer to 0",
    "string_type": "must be a text; write it in quotes",
    "string_too_short": "is empty; write a text, or leave the key out",
    "less_than": "must be below {lt:,.0f}; write a smaller number",
    "less_than_equal": "must be at most {le:,.0f}; write a smaller number",
    "greater_than": "must be above {gt:g}; write a larger number",
    "greater_than_equal": "must be at least {ge:g}; write a larger number",
    "too_short": "is empty; write at least one",
    "too_long": "must be at most {max_length:,} values; leave some out",
}
CODES: Mapping[str, Code] = {"missing": "missing", "extra_forbidden": "unknown"}


def explain(error: ValidationError, keys: Iterable[str] = ()) -> str:
    """Return the first complaint of a validation error as one line: key, value, rule. ``keys`` are those that there are at the top."""
    return str(refusal(error, keys))


def refusal(error: ValidationError, keys: Iterable[str] = ()) -> InputError:
    """Return the same as an InputError with its code, key and value."""
    places = by_key(error.errors(include_url=False), lambda one: tuple(takewhile(_is_ours, one["loc"])))
    # Where a key may have several forms, that of the form which the value resembles most counts.
    first = max(next(iter(places.values())), key=lambda one: (len(one["loc"]), one["type"] == "value_error"))
    unknown = first["type"] == "extra_forbidden"
    key = ".".join(str(part) for part in first["loc"] if part != "options" and (unknown or _is_ours(part))) or error.title
    return refused(first, key, keys, f" (and {len(places) - 1} more)" if len(places) > 1 else "")


def refused(mistake: ErrorDetails, key: str, keys: Iterable[str] = (), more: str = "") -> InputError:
    """Return one mistake as an InputError: key, value, rule and remedy. ``keys`` are those that there are beside an unknown one."""
    kind, value, limits = mistake["type"], mistake["input"], mistake.get("ctx", {})
    code, name = CODES.get(kind, "invalid"), key.rpartition(".")[2]
    if code == "unknown":
        return InputError(f"{key}: no such key" + (f"; {nearest(name, keys)}" if keys else ""), code, key)
    hide = isinstance(value, Mapping) or code == "missing" or name.startswith(SECRET)
    shown = key if hide or not key else f"{key}={without(str(value), ASKED)[:SHOWN]}"
    rule = RULES.get(kind, "").format(**limits) or mistake["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if limits.get("lt", limits.get("le")) == 1 and isinstance(value, int | float) and 1 < value < 100:
        rule = f"must be a share; write {value / 100:g}"
    said = ": ".join(filter(None, (shown, f"{rule[0].lower()}{rule[1:]}{more}")))
    return InputError(said, code, key, None if hide else value)


def _is_ours(part: int | str) -> bool:
    """Return whether a part of a key is none of Pydantic's names for the members of a union, such as "constrained-int"."""
    return re.fullmatch(r"\w+", str(part)) is not None
