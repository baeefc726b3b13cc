"""What ``campaign.json`` and ``trial.json`` hold."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from orchestrator.configuration.config import CampaignConfig, Trial
from orchestrator.configuration.fields import Frozen, explain
from orchestrator.contracts import InputError, nearest
from orchestrator.stats.stopping import CHECK_COLUMNS
from orchestrator.storage import schema
from orchestrator.storage.layout import plain
from orchestrator.storage.schema import FaultName, Origin, State

# States of a trial that has a ``trial.json``, since it is written first.
STARTED: tuple[State, ...] = ("running", "done", "failed", "interrupted")

Plain = Annotated[str, AfterValidator(plain)]
# Rounds, samples and processes are counted in 32 bits, as the tables do.
MOST = 2**31 - 1
# The end of the year 9999, s since 1970.
LAST_S = 253_402_300_799
Version = Annotated[int, Field(ge=1, le=schema.SCHEMA_VERSION)]


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time that UTC has") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# Name among a trial's facts of what is recorded of a server that the campaign has started for it.
SERVER_STARTED = "server_started"
ALONE_CORES = "neighbour_alone_cores"  # how many cores the trial's neighbour keeps busy where nothing is measured beside it

Count = Annotated[int, Field(ge=0, lt=2**63)]
Time = Annotated[int, Field(ge=0, lt=schema.EXACT_LIMIT)] | Annotated[float, Field(ge=0, lt=schema.EXACT_LIMIT)]
Spread = Annotated[int, Field(ge=0, le=10**30)] | Annotated[float, Field(ge=0, le=1e30)]
# No figure that somebody measured lies further from 0, and float32, in which curves are drawn, still holds it.
Quality = Annotated[float, Field(ge=-1e30, le=1e30)]
Distance = Annotated[float, Field(ge=0, le=math.sqrt(math.log(2)) + 1e-9)]


def known(*needed: str, **kinds: Any) -> AfterValidator:
    """Return a validator of an open mapping that refuses a value of another kind under a known name, and null where it is needed."""
    fields: Any = {name: (kind, ...) if name in needed else (kind | None, None) for name, kind in kinds.items()}
    model = create_model("Known", __config__=ConfigDict(extra="allow", strict=True), **fields)

    def check(mapping: dict[str, Any]) -> dict[str, Any]:
        try:
            model.model_validate(mapping)
        except ValidationError as error:
            raise ValueError(explain(error)) from error
        return mapping

    return AfterValidator(check)


OF_PROCESS = {
    **dict.fromkeys(("load_ns", "first_inference_ns", "first_total_ns"), Time),
    **dict.fromkeys(("peak_memory_bytes", "gpu_allocated_peak_bytes"), Count),
    "warmup_rounds_ns": Sequence[Annotated[int, Field(ge=0, lt=schema.EXACT_LIMIT)]],
}
Placement = Annotated[
    dict[str, Any],
    known(
        **dict.fromkeys(("host", "boot_id", "device", "name"), str),
        pinned=bool, cores=Sequence[Count], threads=Count, quota_cores=Spread,
        at_end=Annotated[dict[str, Any], known(peak_memory_bytes=Count)],
    ),
]  # fmt: skip
Environment = Annotated[
    dict[str, Any],
    known(
        **dict.fromkeys(("host", "boot_id", "processor"), str),
        **dict.fromkeys(("logical_cores", "physical_cores", "memory_bytes", "swap_used_bytes"), Count),
    ),
]
# That of the trial's last process, and in ``earlier`` those of the processes before it.
ColdStart = Annotated[dict[str, Any], known(**OF_PROCESS, earlier=Sequence[Annotated[dict[str, Any], known(**OF_PROCESS)]])]
OF_TYPE = {int: Count, float: Spread, str: str, bool: bool}
OF_CHECK: dict[str, Any] = {name: Distance if name.startswith("rjsd_") else OF_TYPE[kind] for name, kind in CHECK_COLUMNS.items()}
# One check of a stopping rule, which becomes a row of ``convergence.parquet``.
Check = Annotated[
    dict[str, Any],
    known(
        "rounds",
        **OF_CHECK
        | {
            "rounds": Annotated[int, Field(ge=1, le=MOST)],
            "rjsd_bound": Spread,
            "quality_mean": Quality,
            "percentile": Annotated[float, Field(ge=0, le=100)],
        },
    ),
]


def utc_now() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC)


class PlannedTrial(Frozen):
    """One trial of a campaign and how far it has come."""

    trial_id: Plain = Field(description="its id")
    match_key: Plain = Field(description="the id without the repeat")
    trial: Trial = Field(description="its configuration")
    state: State = Field("planned", description="`planned`, `running`, `done`, `failed`, `interrupted` or `infeasible`")
    reason: str | None = Field(None, description="why it failed or cannot run")
    part: int = Field(0, ge=0, exclude_if=lambda part: not part, description="number of the group of trials that are loaded together")

    @model_validator(mode="after")
    def _id_names_the_repeat(self) -> Self:
        if self.trial_id != f"{self.match_key}-r{self.trial.repeat}":
            raise ValueError(f"trial_id {self.trial_id} must be match_key {self.match_key} with -r{self.trial.repeat} after it")
        return self

    def with_state(self, state: State, reason: str | None) -> Self:
        """Return the same trial in another state."""
        return self.model_copy(update={"state": state, "reason": reason})

    def labels(self) -> dict[str, Any]:
        """Return the columns that every result table begins with."""
        return {
            "trial": self.trial_id,
            "match_key": self.match_key,
            "model": self.trial.model.name,
            "task": self.trial.task.name,
            "system": self.trial.system.name,
            "runtime": self.trial.runtime.name,
            "server": self.trial.server.name,
            "batch": self.trial.measurement.batch,
            "repeat": self.trial.repeat,
        }


class LeftOut(Frozen):
    """Two choices that were not paired, such as a model and a task of another kind, and why."""

    pair: tuple[str, str]
    reason: str


class Pairing(Frozen):
    """The campaign is one side of two that were measured in adjacent pairs of processes; ``id`` is that of both, and seeds their order."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    side: Literal["a", "b"]


class CapacityQuestion(Frozen):
    """What `capacity` was asked: up to which rate answers within ``deadline`` keep ``keep`` of ideal quality.

    ``answers`` is how many a stream has at least, null for as many as that share takes, ``minutes`` within which all is measured and
    reported, null for no limit. ``trials`` are searched, at any rate. ``max_seconds`` bounded a rate in version 0.2.0.
    """

    deadline: str
    keep: float = Field(gt=0, lt=1)
    answers: int | None = Field(None, gt=0, exclude_if=lambda answers: answers is None)
    max_seconds: float | None = Field(None, gt=0, exclude_if=lambda seconds: seconds is None)
    minutes: float | None = Field(None, gt=0, exclude_if=lambda minutes: minutes is None)
    trials: tuple[Trial, ...] = Field(min_length=1)


class CampaignRecord(Frozen):
    """``campaign.json``: all trials of one command. Until 0.2.0 ``code_files`` had modules in place of paths."""

    schema_version: Version = Field(schema.SCHEMA_VERSION, description="version of the stored form")
    created_at: UtcTime = Field(default_factory=utc_now, description="when the campaign began")
    code_version: str = Field(description="version of the program")
    code_digest: str | None = Field(None, description="digest of all files of `code_files`")
    code_files: dict[str, str] = Field(default_factory=dict, description="SHA-256 of each Python file that measures")
    name: str = Field(description="name of the campaign")
    command: tuple[str, ...] = Field((), description="words of the command line")
    sweep: dict[str, Any] | None = Field(None, description="the sweep file, if any")
    config: CampaignConfig = Field(CampaignConfig(), description="keys of the campaign")
    trials: tuple[PlannedTrial, ...] = Field((), description="every trial, with configuration and state")
    left_out: tuple[LeftOut, ...] = Field((), description="pairs that were not measured, and why")
    under_way: bool = Field(False, description="a driver is at work, or was killed: then the state in `trial.json` counts")
    pairing: Pairing | None = Field(
        None, exclude_if=lambda pairing: pairing is None, description="for a side of `compare --run`: id of the pair and which side"
    )
    capacity: CapacityQuestion | None = Field(
        None, exclude_if=lambda capacity: capacity is None, description="what a search for capacity was asked"
    )
    open_to: tuple[str, ...] = Field(
        (), exclude_if=lambda open_to: not open_to, description="which other users could change the folder when measuring began"
    )

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        # On some file systems A and a are one name.
        ids = [planned.trial_id.lower() for planned in self.trials]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"trial id {twice} occurs twice; every trial needs one of its own")
        return self

    def planned(self, trial_id: str) -> PlannedTrial:
        """Return one trial. Raises InputError for an id that is not in this campaign."""
        place = self._places.get(trial_id, 0)  # which may be that of a record that this one is a changed copy of
        likely = self.trials[place : place + 1]
        for planned in likely if likely and likely[0].trial_id == trial_id else self.trials:
            if planned.trial_id == trial_id:
                return planned
        advice = nearest(trial_id, [planned.trial_id for planned in self.trials])
        raise InputError(
            f"trial {trial_id!r} is not in this campaign: choose one of its {len(self.trials)} trials; {advice}", "unknown", value=trial_id
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each trial stands: looking for thousands one by one takes minutes."""
        return {planned.trial_id: place for place, planned in enumerate(self.trials)}


class Process(Frozen):
    """A process that timed rounds of a trial; ``process`` counts them from 0 and stands in every row of rounds.

    ``created_s`` is when the operating system says it began (s since 1970), which tells it from a later process of the same id.
    """

    process: int = Field(ge=0, le=MOST)
    pid: int = Field(gt=0)
    host: str
    started_at: UtcTime
    boot_id: str | None = None
    created_s: float | None = Field(None, ge=0, le=LAST_S)


class Stopping(Frozen):
    """Why a trial stopped, and what each check of the rule found on the way."""

    rule: str
    reason: str | None = None
    checks: tuple[Check, ...] = ()


class TrialError(Frozen):
    """Something that went wrong: with one sample of a round, with a round, or with the trial."""

    message: str
    round: int | None = Field(None, ge=0, le=MOST)
    sample: int | None = Field(None, ge=0, le=MOST)


# Others ran on the machine at the same time, as ``exclusive: false`` asks.
SHARED = "machine shared with other trials"
# The turn on the machine was taken among this user's campaigns alone.
OTHER_USERS = "other users not excluded"
# By the times of day it ended before it began. Stamps of rounds come from another clock, which nobody sets.
CLOCK_SET_BACK = "clock set back"
# Flags about the machine that take nothing from a figure: they stand where machines are described.
NOTES = frozenset({OTHER_USERS, CLOCK_SET_BACK})


class Fault(Frozen):
    """What ended a process of a trial before its time; ``round`` is the one in flight."""

    name: FaultName
    message: str
    process: int = Field(ge=0, le=MOST)
    at: UtcTime = Field(default_factory=utc_now)
    round: int | None = Field(None, ge=0, le=MOST)


class TrialRecord(PlannedTrial):
    """``trial.json``: what a trial was, where it ran and how it ended. ``origin`` is null in campaigns of before `import`."""

    schema_version: Version = Field(schema.SCHEMA_VERSION, description="version of the stored form")
    origin: Origin | None = Field(None, exclude_if=lambda origin: origin is None, description="`imported` if another program measured it")
    placement: Placement = Field(
        default_factory=dict,
        description="host, device, cores, threads, NUMA nodes, quota and Ray node, read back; `at_end` once more after the rounds",
    )
    stack: dict[str, Any] = Field(default_factory=dict, description="versions of frameworks and drivers")
    environment: Environment = Field(default_factory=dict, description="processor, memory and system of the host")
    digests: Annotated[dict[str, Any], known(data=str)] = Field(default_factory=dict, description="SHA-256 of weights and data")
    cold_start: ColdStart = Field(
        default_factory=dict,
        description="times and memory of the last process until its warm-up ends; `earlier`: of the processes before it",
    )
    facts: dict[str, Any] = Field(default_factory=dict, description="what model and server reported")
    metrics: tuple[str, ...] = Field((), description="names of the metrics, the primary one first")
    ideal: dict[str, Quality] = Field(default_factory=dict, description="ideal quality by metric")
    late: dict[str, Quality] = Field(
        default_factory=dict,
        exclude_if=lambda late: not late,
        description="quality by metric if all answers are late, where a metric scores late answers",
    )
    stopping: Stopping | None = Field(None, description="why the trial stopped, and each check of the rule")
    errors: tuple[TrialError, ...] = Field((), description="messages by round and sample")
    started_at: UtcTime | None = Field(None, description="time of day at which the trial was begun")
    ended_at: UtcTime | None = Field(None, description="time of day of the end")
    processes: tuple[Process, ...] = Field((), description="host, boot id, process id and start of each process that timed rounds")
    rounds: int = Field(0, ge=0, le=MOST, description="rounds stored at that time; fewer on disk mean a loss")
    flags: tuple[str, ...] = Field((), validate_default=True, description="flags of the trial")
    faults: tuple[Fault, ...] = Field((), description="what ended a process early")
    looks: tuple[Annotated[int, Field(ge=0, le=MOST)], ...] = Field((), description="numbers of rounds at which an extension ended")
    extension: int | None = Field(None, ge=1, le=MOST, description="number of rounds at which a running extension ends")
    changes: tuple[str, ...] = Field((), description="changes that a user accepted")

    @field_validator("flags")
    @classmethod
    def _with_the_clock(cls, flags: tuple[str, ...], known: ValidationInfo) -> tuple[str, ...]:
        began, ended = known.data.get("started_at"), known.data.get("ended_at")
        is_back = began is not None and ended is not None and ended < began
        return (*flags, CLOCK_SET_BACK) if is_back and CLOCK_SET_BACK not in flags else flags

    @property
    def imported(self) -> bool:
        """Whether another program measured it, so that nothing here can go on with it."""
        return self.origin == "imported"

    @property
    def flags_of_figures(self) -> tuple[str, ...]:
        """The flags that belong to every figure."""
        return tuple(flag for flag in self.flags if flag not in NOTES)

    @classmethod
    def from_plan(cls, planned: PlannedTrial) -> Self:
        """Return the record of a trial that is known only from the plan."""
        return cls.model_validate(dict(planned))
