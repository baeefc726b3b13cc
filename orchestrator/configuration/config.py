"""What a trial and a campaign are: frozen models that refuse unknown keys.

The words are those of the documentation: a *trial* is one model x task x system x runtime x measurement setting x repeat; a
*campaign* is all trials of one command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.contracts import InputError

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


T = TypeVar("T", bound=BaseModel)

MOST_REPEATS = 1000
MOST_THRESHOLDS = 1000
"""Of each kind: tables have a row for each of them, trial and clock."""
MOST_ROUNDS = 10**9
"""Rounds are numbered with 32 bits."""
MOST_SECONDS = 10**6
"""Of one round, 11 days: systems' own waits take little more."""
LONGEST_MS = 9 * 10**9
"""Of a threshold, 104 days: beyond, float64 holds no exact number of nanoseconds."""
MOST_CORES = 4096
MOST_CLASSES = MOST_SAMPLES = 10**9
LARGEST_SEED = 2**63 - 1

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


class Frozen(BaseModel):
    """Base of all configuration: immutable, unknown keys refused, no silent conversion of strings to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Target(Frozen):
    """A class to construct: ``target`` with ``options`` as its keyword arguments."""

    name: Name
    kind: Name
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, data: Any) -> Any:
        """Every key that is not ours belongs to the target."""
        if not isinstance(data, Mapping):
            raise ValueError("must be a mapping with name, kind and target")
        if "options" in data and set(data) <= set(cls.model_fields):
            return dict(data)
        ours = {key: value for key, value in data.items() if key in cls.model_fields}
        theirs = {str(key): value for key, value in data.items() if key not in cls.model_fields}
        return {**ours, "options": theirs}


class ModelConfig(Target):
    """A model, its kind and the runtimes that can execute it. ``parameters`` is its number of weights, for the plan's look at memory."""

    runtimes: Names = Field(min_length=1)
    classes: int | None = Field(None, gt=0, le=MOST_CLASSES)
    parameters: int | None = Field(None, gt=0, le=10**15)


class TaskConfig(Target):
    """A task and how its samples are drawn and held."""

    classes: int | None = Field(None, gt=0, le=MOST_CLASSES)
    limit: int | None = Field(None, gt=0, le=MOST_SAMPLES)
    subset_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    preload: Literal["bytes", "none", "decoded"] = "bytes"
    memory_limit: Bytes = 4 * 2**30


class SystemConfig(Frozen):
    """One place to measure on: a host (chosen by Ray node labels), a device, pinned cores and threads.

    ``cores`` is a number of cores, a list of core numbers, or null for all that the process may use. ``threads`` defaults to the
    number of cores.
    """

    name: Name
    device: Annotated[str, Field(pattern=r"^(cpu|cuda:\d+|(GPU|MIG)-[0-9A-Za-z-]+)$")] = "cpu"
    cores: Annotated[int, Field(gt=0, le=MOST_CORES)] | tuple[Annotated[int, Field(ge=0, lt=MOST_CORES)], ...] | None = None
    threads: int | None = Field(None, gt=0, le=MOST_CORES)
    numa: int | None = Field(None, ge=0, lt=MOST_CORES)
    labels: dict[str, str] = {}
    paths: dict[str, str] = {}
    python: str | None = None
    exclusive: bool = True

    @property
    def device_kind(self) -> DeviceKind:
        """``cpu``, or ``cuda`` for a GPU by index or UUID."""
        return "cpu" if self.device == "cpu" else "cuda"

    @model_validator(mode="after")
    def _cores_once(self) -> SystemConfig:
        if isinstance(self.cores, tuple) and len(set(self.cores)) < len(self.cores):
            raise ValueError(f"cores={list(self.cores)} names a core twice; list each core once in system.cores")
        return self


class RuntimeConfig(Frozen):
    """What executes the model.

    ``packages`` are the modules it cannot do without, ``programs`` the compilers that must be on the search path, and ``dtypes`` what
    it can compute in, the latter two by kind of device. A kind that is not named there is not limited.
    """

    name: Name
    packages: Modules = ()
    programs: dict[DeviceKind, Programs] = {}
    dtypes: dict[DeviceKind, tuple[Dtype, ...]] = {}
    dtype: Dtype = "fp32"
    deterministic: bool = False
    autotune: bool = False


class MeasurementConfig(Frozen):
    """How a trial is measured and when it stops. ``max_seconds`` counts after ``min_rounds``."""

    batch: int = Field(1, gt=0, le=MOST_SAMPLES)
    rule: Name = "settled"
    min_rounds: int = Field(30, gt=0, le=MOST_ROUNDS)
    max_rounds: int = Field(1000, gt=0, le=MOST_ROUNDS)
    max_seconds: float | None = Field(None, gt=0, le=10**9)
    half_width: float = Field(0.02, gt=0, lt=1)
    warmup_rounds: int = Field(2, gt=0, le=1000)
    round_timeout_s: float = Field(600.0, gt=0, le=MOST_SECONDS)
    order: Literal["fixed", "shuffled"] = "fixed"
    schedule: Literal["sequential", "interleaved"] = "sequential"
    garbage_collection: Literal["between_rounds", "on"] = "between_rounds"
    repeat: int = Field(1, gt=0, le=MOST_REPEATS)
    max_errors: int = Field(0, ge=0, le=10**18)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> MeasurementConfig:
        if self.max_rounds < self.min_rounds:
            raise ValueError(
                f"max_rounds={self.max_rounds} is below min_rounds={self.min_rounds}; raise measurement.max_rounds or lower "
                "measurement.min_rounds"
            )
        return self


class DeadlineConfig(Frozen):
    """What a deadline promises: at least 1 - ``late_share`` of rounds keep ``quality`` of the quality they have without a threshold."""

    quality: float = Field(0.99, gt=0, le=1)
    late_share: float = Field(0.10, ge=1e-6, lt=1)
    confidence: float = Field(0.95, gt=0, lt=1)


class AnalysisConfig(Frozen):
    """How stored timings are read. These keys never need a new measurement."""

    thresholds_ms: tuple[Milliseconds, ...] = Field((), max_length=MOST_THRESHOLDS)
    percentiles: tuple[Percentile, ...] = Field((90, 95, 99, 99.9), max_length=MOST_THRESHOLDS)
    reference: str | None = None
    primary: str | None = None
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    slices: Names = ()
    deadline: DeadlineConfig = DeadlineConfig()

    def unknown_reference(self, trial_ids: Sequence[str]) -> InputError:
        """Return what to raise where ``reference`` is none of these trials."""
        more = ", ..." if len(trial_ids) > 4 else ""
        return InputError(f"analysis.reference={self.reference}: no such trial; choose one of {', '.join(trial_ids[:4])}{more}")

    def check_slices(self, known: Iterable[str]) -> None:
        """Raise InputError for a name of ``slices`` that is none of those that samples have."""
        names = sorted(set(known))
        for name in self.slices:
            if name not in names:
                raise InputError(f"analysis.slices={name}: no sample has this slice; choose of {', '.join(names) or 'none'}")


class ClusterConfig(Frozen):
    """Which Ray cluster: one started for this command, the one at ``address``, or none at all (``inline``, for debugging).

    ``machines`` says what counts as one physical machine, on which trials take turns: all Ray nodes of one boot id, or each ``node``
    for itself, which is for demonstrations of several hosts on one machine.
    """

    name: Literal["local", "address", "inline"] = "local"
    address: str | None = None
    machines: Literal["boot_id", "node"] = "boot_id"

    @model_validator(mode="after")
    def _address_where_needed(self) -> ClusterConfig:
        if (self.name == "address") != (self.address is not None):
            raise ValueError("cluster=address needs cluster.address=HOST:PORT, and no other cluster takes one")
        return self


class Trial(Frozen):
    """One model x task x system x runtime x measurement setting x repeat."""

    model: ModelConfig
    task: TaskConfig
    system: SystemConfig
    runtime: RuntimeConfig
    measurement: MeasurementConfig
    repeat: int = Field(0, ge=0, le=MOST_ROUNDS)


class CampaignConfig(Frozen):
    """What all trials of one command share."""

    analysis: AnalysisConfig = AnalysisConfig()
    cluster: ClusterConfig = ClusterConfig()
    code: Names = ()
    require_same_stack: bool = False
    results_dir: str | None = None


TRIAL_KEYS = ("model", "task", "system", "runtime", "measurement")


def parse_trial(document: Mapping[str, Any]) -> Trial:
    """Return the trial that one composed document describes.

    Raises
    ------
    InputError
        naming the first value that breaks a rule.
    """
    missing = [key for key in TRIAL_KEYS if not document.get(key)]
    if missing:
        raise InputError(f"no {missing[0]} was chosen: add {missing[0]}=NAME to the command line")
    return _validate(Trial, {key: document[key] for key in TRIAL_KEYS})


def parse_campaign(document: Mapping[str, Any]) -> CampaignConfig:
    """Return what is common to all trials. Raises InputError."""
    return _validate(CampaignConfig, {key: value for key, value in document.items() if key not in TRIAL_KEYS})


def _validate(model: type[T], data: Mapping[str, Any]) -> T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Return the first complaint of a validation error as one line: key, value, rule."""
    first = error.errors(include_url=False)[0]
    # Pydantic names the members of a union too ("constrained-int"): only words and indices are ours.
    parts = [str(part) for part in first["loc"] if part != "options" and re.fullmatch(r"\w+", str(part))]
    key = ".".join(parts) or error.title
    message = _rule(first["type"], first.get("ctx", {})) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{key}: no such key"
    value = first.get("input")
    shown = "" if isinstance(value, Mapping) or first["type"] == "missing" else f"={str(value)[:80]}"
    more = len(error.errors()) - 1
    return f"{key}{shown}: {message[0].lower() + message[1:]}" + (f" (and {more} more)" if more else "")


def _rule(kind: str, context: Mapping[str, Any]) -> str | None:
    """Return the rule that a value breaks and the remedy, where Pydantic's own words would not do."""
    if kind == "tuple_type":
        return "Must be a list such as [12]"
    if kind in ("model_type", "model_attributes_type"):
        return "Must be a group of keys; set one of them, as KEY.NAME=VALUE"
    if kind == "less_than_equal":
        return f"Must be at most {int(context['le']):,}; write a smaller number"
    if kind == "greater_than_equal":
        return f"Must be at least {context['ge']:g}; write a larger number"
    if kind == "too_long":
        return f"Must be at most {context['max_length']:,} values; leave some out"
    return None
