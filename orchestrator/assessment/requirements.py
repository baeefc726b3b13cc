"""What a system must keep: a file of requirements, one entry each, validated before any result is read."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.assessment.mistakes import FORM, NotThisForm, parse, told
from orchestrator.assessment.values_asked import (
    Axis,
    Bytes,
    Confidence,
    Count,
    Float,
    Identifier,
    Metric,
    Patterns,
    Percentile,
    Positive,
    Share,
    Slice,
    Text,
    Threshold,
    Time,
    one_or_more,
)
from orchestrator.configuration.analysis import ClockName
from orchestrator.configuration.fields import MOST_ARRIVALS_PER_S
from orchestrator.contracts import InputError
from orchestrator.storage.load import read_regular

MOST_BYTES = 2**20
MOST_REQUIREMENTS = 1000


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
    accept_flags: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()


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
    trials: dict[Axis, Patterns] = {}
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
        again = next((number for number, name in enumerate(ids) if name in ids[:number]), None)
        if again is not None:
            first = ids.index(ids[again])
            told = f"is that of entries {first + 1} and {again + 1}; every requirement needs one of its own"
            raise PydanticCustomError("value_error", "{told}", {"told": told, "place": ("requirements", again, "id")})
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
        content = read_regular(path)
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
