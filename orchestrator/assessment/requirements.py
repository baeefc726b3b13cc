"""What a system must keep: a file of requirements, one entry each, validated before any result is read."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.assessment.mistakes import FORM, NotThisForm, parse, told
from orchestrator.configuration.analysis import ClockName
from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import MOST_ARRIVALS_PER_S, MOST_ROUNDS, parse_bytes
from orchestrator.contracts import InputError
from orchestrator.stats.thresholds import LONGEST_NS, primary_threshold

MOST_BYTES = 2**20
MOST_REQUIREMENTS = 1000
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


def _one_or_more(value: object) -> object:
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
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Metric = Annotated[str, Field(min_length=1, max_length=200)]
Slice = Annotated[str, Field(max_length=200), AfterValidator(_slice)]
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Confidence = Annotated[Float, Field(ge=0.5, lt=1)]
Share = Annotated[Float, Field(gt=0, lt=1)]
"""A share that some data can show: all rounds, or none, no number of them can."""
Count = Annotated[Int, Field(ge=0, le=MOST_ROUNDS)]
Positive = Annotated[Int, Field(ge=1, le=MOST_ROUNDS)]


class Block(BaseModel):
    """Base of all blocks: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TailQualityAsked(Block):
    """Tail quality at a threshold: in the mean of rounds to come or, with ``share_of_rounds``, in so large a share of them.

    ``at_least`` is a share of the trial's own ideal quality, or a quality on the metric's scale with ``of: absolute``.
    """

    threshold: Threshold
    at_least: Annotated[Float, Field(ge=-1e12, le=1e12)]
    of: Literal["ideal", "absolute"] = "ideal"
    metric: Metric | None = None
    slice: Slice = "all"
    clock: ClockName | None = None
    share_of_rounds: Share | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.of == "ideal" and not 0 < self.at_least < 1:
            share = self.at_least / 100 if 1 < self.at_least < 100 else 0.95
            why = " (that nothing at all is lost, no number of rounds shows)" if self.at_least == 1 else ""
            raise ValueError(f"at_least={self.at_least:g} of ideal quality: must be a share above 0 and below 1{why}; write {share:g}")
        return self


class LatencyAsked(Block):
    """A percentile of latency: in the mean of rounds to come, at least so large a share of answers is there within a time."""

    percentile: Percentile
    within: Time
    clock: ClockName | None = None


class DeadlineAsked(Block):
    """A certified deadline: at least a share of rounds keeps a share of ideal quality from ``within`` on."""

    within: Time
    keep: Annotated[Float, Field(gt=0, le=1)] = 0.99
    metric: Metric | None = None
    clock: ClockName | None = None
    share_of_rounds: Share = 0.9


class LateAnswersAsked(Block):
    """Late answers one after another, in a share of rounds: one of four forms.

    longest_streak
        most late answers in a row.
    at_most, out_of
        most late answers in any so many consecutive ones.
    ``warnings``
        most stretches of late answers in a round; each is a warning.
    ``errors``, ``error_after``
        most stretches in a round that last longer than ``error_after`` from when the first answer was due until one is on time.
    """

    threshold: Threshold
    clock: ClockName | None = None
    longest_streak: Count | None = None
    at_most: Count | None = None
    out_of: Positive | None = None
    warnings: Count | None = None
    errors: Count | None = None
    error_after: Time | None = None
    share_of_rounds: Share = 0.9

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.at_most is None) != (self.out_of is None):
            raise ValueError("at_most and out_of belong together, as at_most: 1 and out_of: 10; add the other")
        if (self.errors is None) != (self.error_after is None):
            raise ValueError('errors and error_after belong together, as errors: 0 and error_after: "100 ms"; add the other')
        if sum(form is not None for form in (self.longest_streak, self.out_of, self.warnings, self.errors)) != 1:
            raise ValueError("exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given")
        if self.out_of is not None and self.at_most is not None and self.at_most >= self.out_of:
            raise ValueError(f"at_most={self.at_most} of out_of={self.out_of} allows everything; lower at_most")
        return self


class FirstInferenceAsked(Block):
    """The first inference: ``cold`` is that of a fresh process, ``warm`` that after a pause, the first of a visit."""

    within: Time
    state: Literal["cold", "warm"] = "cold"
    share_of_starts: Share = 0.5


class ColdStartAsked(Block):
    """From the start of loading until the first answer of a fresh process."""

    within: Time
    share_of_starts: Share = 0.5


class MemoryAsked(Block):
    """Peak memory of a process while it was measured, resident or on its GPUs."""

    at_most: Bytes
    of: Literal["resident", "device"] = "resident"
    share_of_starts: Share = 0.5


class AnswersAsked(Block):
    """Samples whose answer changes: from a process's first round to later ones, or from one system of a model to another."""

    between: Literal["rounds", "systems"]
    at_most: Count = 0
    share_of_rounds: Share = 0.9


class CapacityAsked(Block):
    """Samples a second that a system sustains: at which, answers later than a threshold failed, it keeps a share of ideal quality."""

    at_least_per_s: Annotated[Float, Field(gt=0, le=MOST_ARRIVALS_PER_S)]
    threshold: Threshold
    keep: Share = 0.99
    metric: Metric | None = None


class Evidence(Block):
    """The least that a requirement must rest on. ``accept_flags`` are patterns of flags that do not stand in the way of *met*."""

    rounds: Positive = 1
    visits: Count = 0
    processes: Positive = 1
    sessions: Positive = 1
    accept_flags: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = ()


Asked: TypeAlias = (
    TailQualityAsked
    | LatencyAsked
    | DeadlineAsked
    | LateAnswersAsked
    | FirstInferenceAsked
    | ColdStartAsked
    | MemoryAsked
    | AnswersAsked
    | CapacityAsked
)
KINDS = (
    "tail_quality",
    "latency",
    "deadline",
    "late_answers",
    "first_inference",
    "cold_start",
    "memory",
    "answers",
    "capacity",
)
"""The keys of an entry of which it has exactly one."""


class Requirement(Block):
    """One requirement.

    id, text, source
        what it is called, what it says, and where it comes from.
    trials
        which trials it is for, patterns by axis: ``model``, ``task``, ``system``, ``runtime``, ``batch``, ``load``, ``repeat`` or any key
        of a trial, such as ``measurement.batch``; all where it names none.
    confidence
        of this verdict alone; the one of the whole file may ask for more.
    """

    id: Identifier
    text: Text
    source: Text = "not given"
    trials: dict[Annotated[str, Field(max_length=100), AfterValidator(_axis)], Patterns] = {}
    confidence: Confidence = 0.95
    evidence: Evidence = Evidence()
    tail_quality: TailQualityAsked | None = None
    latency: LatencyAsked | None = None
    deadline: DeadlineAsked | None = None
    late_answers: LateAnswersAsked | None = None
    first_inference: FirstInferenceAsked | None = None
    cold_start: ColdStartAsked | None = None
    memory: MemoryAsked | None = None
    answers: AnswersAsked | None = None
    capacity: CapacityAsked | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "asks for nothing"
            raise ValueError(f"{found}: must have exactly one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """Which kind of requirement it is, one of `KINDS`."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def asked(self) -> Asked:
        """What it asks for."""
        asked: Asked = getattr(self, self.kind)
        return asked


class Requirements(Block):
    """All requirements of a file. With ``confidence``, no *met* of them is false, of all together."""

    confidence: Confidence = 0.95
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1, max_length=MOST_REQUIREMENTS)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [requirement.id for requirement in self.requirements]
        if twice := [name for name in ids if ids.count(name) > 1]:
            places = [str(number) for number, name in enumerate(ids, start=1) if name == twice[0]]
            raise ValueError(f"id {twice[0]} is that of entries {' and '.join(places[:2])}; every requirement needs one of its own")
        return self

    def error_of(self, requirement: Requirement) -> float:
        """Return the probability that a requirement may falsely be called met or not met, both together.

        An equal part of what the file allows (Bonferroni), or what the requirement itself does where that is less.

        Examples
        --------
        >>> asked = {"text": "x", "latency": {"percentile": 99, "within": "50 ms"}}
        >>> both = Requirements.model_validate({"requirements": [{"id": "A", **asked}, {"id": "B", **asked, "confidence": 0.99}]})
        >>> [round(both.error_of(one), 4) for one in both.requirements]
        [0.025, 0.01]
        """
        return min(1 - self.confidence, (1 - self.confidence) / len(self.requirements), 1 - requirement.confidence)


def read_requirements(path: Path) -> Requirements:
    """Return the requirements of a file.

    Raises
    ------
    InputError
        for a file that cannot be read, is no YAML mapping, or breaks a rule, naming the first key that does.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): name a file of requirements, and {FORM}") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: has more than {MOST_BYTES:,} bytes: divide it into several files")
    return requirements_of(content, str(path))


def requirements_of(content: bytes, name: str) -> Requirements:
    """Return the requirements that a file's bytes hold; ``name`` is that of the file, for messages. Raises InputError."""
    try:
        document, node = parse(content)
    except NotThisForm as error:
        raise InputError(f"{name}: {error}") from error
    try:
        return Requirements.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{name}: {told(error, document, node, Requirements)}") from error
