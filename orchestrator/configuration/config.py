"""What a trial and a campaign are: frozen models that refuse unknown keys; and the keys that a command line may set.

The words are those of the documentation: a *trial* is one model x task x system x runtime x measurement setting x repeat; a
*campaign* is all trials of one command.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ByteSize, Field, ValidationError, model_validator

from orchestrator.configuration.analysis import AnalysisConfig, with_tolerance_file
from orchestrator.configuration.fields import (
    LARGEST_SEED,
    MOST_CLASSES,
    MOST_CORES,
    MOST_REPEATS,
    MOST_ROUNDS,
    MOST_SAMPLES,
    MOST_SECONDS,
    Bytes,
    Core,
    Cores,
    DeviceKind,
    Dtype,
    Frozen,
    Modules,
    Name,
    Names,
    Programs,
    explain,
)
from orchestrator.configuration.load import LoadConfig, refuse_empty_streams
from orchestrator.configuration.server import MOST_UNASKED_IN_FLIGHT, ServerSettings
from orchestrator.contracts import InputError, nearest
from orchestrator.stats.constants import CERTIFY_ROUNDS, PAUSE

T = TypeVar("T", bound=BaseModel)
UUID = "(GPU|MIG)-[0-9A-Za-z-]+"


class Target(Frozen):
    """A class to construct: ``target`` with ``options`` as its keyword arguments."""

    name: Name
    kind: Name
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, data: Any) -> Any:
        """Every key that is not ours belongs to the target."""
        if "options" in data and set(data) <= set(cls.model_fields):
            return dict(data)
        ours = {key: value for key, value in data.items() if key in cls.model_fields}
        theirs = {str(key): value for key, value in data.items() if key not in cls.model_fields}
        return {**ours, "options": theirs}


class ModelConfig(Target):
    """A model, its kind and the runtimes that can execute it. ``parameters`` is its number of weights, for the plan's look at memory.

    ``several_gpus`` says that the class divides its network among all GPUs of a system that names more than one. ``same_as`` names the
    model in this process whose weights a server holds: answers and times are compared with its.
    """

    runtimes: Names = Field(min_length=1)
    classes: int | None = Field(None, gt=0, le=MOST_CLASSES)
    parameters: int | None = Field(None, gt=0, le=10**15)
    several_gpus: bool = False
    same_as: Name | None = Field(None, exclude_if=lambda name: name is None)

    @property
    def stands_for(self) -> str:
        """The name of the model whose weights answer."""
        return self.same_as or self.name


class TaskConfig(Target):
    """A task and how its samples are drawn and held."""

    classes: int | None = Field(None, gt=0, le=MOST_CLASSES)
    limit: int | None = Field(None, gt=0, le=MOST_SAMPLES)
    subset_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    preload: Literal["bytes", "none", "decoded"] = "bytes"
    memory_limit: Bytes = ByteSize(4 * 2**30)


class SystemConfig(Frozen):
    """One place to measure on: a host (chosen by Ray node labels), a device, pinned cores and threads.

    ``device`` is ``cpu``, a GPU by index or UUID, or several GPUs of one host that work as one: ``cuda:0,1,2,3``.
    ``cores`` is a number of cores, a list of core numbers, or null for all that the process may use. ``threads`` defaults to the
    number of cores.
    """

    name: Name
    device: Annotated[str, Field(pattern=rf"^(cpu|cuda:\d+(,\d+)*|{UUID}(,{UUID})*)$")] = "cpu"
    cores: Cores = None
    threads: int | None = Field(None, gt=0, le=MOST_CORES)
    numa: Core | None = None
    labels: dict[str, str] = Field({})
    paths: dict[str, str] = Field({})
    python: str | None = None
    exclusive: bool = True

    @property
    def device_kind(self) -> DeviceKind:
        return "cpu" if self.device == "cpu" else "cuda"

    @property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs of the device, each by the name that a machine knows it by: ``cuda:0``, or its UUID. None for ``cpu``."""
        if self.device == "cpu":
            return ()
        indices = self.device.startswith("cuda:")
        return tuple(f"cuda:{name}" if indices else name for name in self.device.removeprefix("cuda:").split(","))


class RuntimeConfig(Frozen):
    """What executes the model.

    ``packages`` are the modules it cannot do without, ``programs`` the compilers that must be on the search path, and ``dtypes`` what
    it can compute in, the latter two by kind of device. A kind not named there is not limited. ``asks_server`` says that a
    server answers, which the block ``server`` names.
    """

    name: Name
    packages: Modules = ()
    programs: dict[DeviceKind, Programs] = Field({})
    dtypes: dict[DeviceKind, tuple[Dtype, ...]] = Field({})
    dtype: Dtype = "fp32"
    deterministic: bool = False
    autotune: bool = False
    asks_server: bool = Field(False, exclude_if=lambda asks: not asks)


class MeasurementConfig(Frozen):
    """How a trial is measured and when it stops. ``max_seconds`` counts after ``min_rounds``; ``rule_options`` are the rule's own.

    ``schedule`` says how the trials of one machine share its time: in visits of ``visit_rounds`` rounds, ``interleaved`` (visits of one
    round), or ``sequential``. ``pause`` is the least time between two visits of a trial, in lengths of the first. ``lead_in`` is the number
    of untimed inferences at the start of each visit. ``certify_rounds`` is the number of rounds that a certificate of a deadline rests on;
    of fewer, none is given.
    """

    batch: int = Field(1, gt=0, le=MOST_SAMPLES)
    rule: Name = "settled"
    min_rounds: int = Field(30, gt=0, le=MOST_ROUNDS)
    max_rounds: int = Field(1000, gt=0, le=MOST_ROUNDS)
    max_seconds: float | None = Field(None, gt=0, le=10**9)
    half_width: float = Field(0.02, gt=0, lt=1)
    certify_rounds: int = Field(CERTIFY_ROUNDS, gt=0, le=MOST_ROUNDS)
    warmup_rounds: int = Field(2, gt=0, le=1000)
    round_timeout_s: float = Field(600.0, gt=0, le=MOST_SECONDS)
    order: Literal["fixed", "shuffled"] = "fixed"
    schedule: Literal["visits", "sequential", "interleaved"] = "visits"
    visit_rounds: int = Field(2, gt=0, le=MOST_ROUNDS)
    pause: float = Field(PAUSE, ge=0, le=1000)
    lead_in: int = Field(3, ge=0, le=MOST_SAMPLES)
    garbage_collection: Literal["between_rounds", "on"] = "between_rounds"
    repeat: int = Field(1, gt=0, le=MOST_REPEATS)
    max_errors: int = Field(0, ge=0, le=10**18)
    rule_options: dict[Name, bool | int | float | str] = Field({}, exclude_if=lambda options: not options)

    @property
    def rounds_per_visit(self) -> int | None:
        """How many rounds follow one another before other trials of the machine have theirs; None for all."""
        return {"visits": self.visit_rounds, "interleaved": 1, "sequential": None}[self.schedule]

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        remedy = "raise measurement.max_rounds or lower measurement.min_rounds"
        return self.sound(
            (self.max_rounds < self.min_rounds, f"max_rounds={self.max_rounds} is below min_rounds={self.min_rounds}; {remedy}")
        )


class ClusterConfig(Frozen):
    """Which Ray cluster: one started for this command, the one at ``address``, or none at all (``inline``, for debugging).

    ``machines`` says what counts as one physical machine, on which trials take turns: all Ray nodes of one boot id, or each ``node``
    for itself, which is for demonstrations of several hosts on one machine.
    """

    name: Literal["local", "address", "inline"] = "local"
    address: str | None = None
    machines: Literal["boot_id", "node"] = "boot_id"

    @model_validator(mode="after")
    def _address_where_needed(self) -> Self:
        rule = "cluster=address needs cluster.address=HOST:PORT, and no other cluster takes one"
        return self.sound(((self.name == "address") != (self.address is not None), rule))


# Headers, in small letters, whose values are secrets.
OF_TOKENS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key")


class Trial(Frozen):
    """One model x task x system x runtime x measurement setting x load x server x repeat."""

    model: ModelConfig
    task: TaskConfig
    system: SystemConfig
    runtime: RuntimeConfig
    measurement: MeasurementConfig
    load: LoadConfig = Field(LoadConfig(), exclude_if=lambda load: not load.is_open)
    server: ServerSettings = Field(ServerSettings(), exclude_if=lambda server: not server.is_asked)
    repeat: int = Field(0, ge=0, le=MOST_ROUNDS)

    @property
    def fixed_batch(self) -> int:
        """How many samples share one time by their place in a round: under load a batch is what waits, and every sample has its own."""
        return 1 if self.load.is_open else self.measurement.batch

    @property
    def in_flight(self) -> int:
        """How many samples are on their way at once, at most: to a server several may be, in this process there is one."""
        if not self.server.is_asked:
            return 1
        return self.server.in_flight or (MOST_UNASKED_IN_FLIGHT if self.load.is_open else 1)

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        asked, load = self.server.is_asked, self.load
        plain: dict[str, tuple[object, object]] = {
            "load.policy": (load.policy, "queue"),
            "load.queue_limit": (load.queue_limit, None),
            "measurement.batch": (self.measurement.batch, 1),
        }
        idle = next((f"{key}={value}" for key, (value, default) in plain.items() if value != default), None)
        request = self.model.options.get("request")
        headers = request.get("headers") if isinstance(request, Mapping) else None
        token = next((name for name in headers or () if str(name).lower() in OF_TOKENS), None)
        return self.sound(
            (
                asked and not self.runtime.asks_server,
                f"runtime={self.runtime.name} computes in this process and asks no server={self.server.name}; choose "
                "runtime=open_inference, openai or http_json, or server=none",
            ),
            (
                self.runtime.asks_server and not asked,
                f"runtime={self.runtime.name} asks a server and none is named; add server=url server.name=NAME server.url=http://HOST:PORT",
            ),
            (
                asked and load.is_open and idle,
                f"{idle} has no effect where a server is asked under load: every sample is a request that is sent at its moment; "
                "leave it out, and bound server.in_flight",
            ),
            (
                asked and self.system.device != "cpu",
                f"system.device={self.system.device} is the client's, and a client of server={self.server.name} needs the CPU alone; "
                "set system.device=cpu",
            ),
            (
                load.batch_wait_ms and self.measurement.batch == 1,
                f"load.batch_wait_ms={load.batch_wait_ms:g} has no effect where one sample is a batch; raise measurement.batch",
            ),
            (  # the keys of a request are stored, and so would be the token, which this does not show
                token,
                f"model.request.headers.{token} would be stored with the results; give a token by server.token_env=VARIABLE or "
                "server.token_file=PATH, and another header than Authorization by server.token_header=NAME",
            ),
        )


class CampaignConfig(Frozen):
    """What all trials of one command share. ``minutes`` bounds the time that it measures on each machine."""

    analysis: AnalysisConfig = AnalysisConfig()
    cluster: ClusterConfig = ClusterConfig()
    code: Names = ()
    minutes: Annotated[float, Field(gt=0)] | None = None
    require_same_stack: bool = False
    results_dir: str | None = None


TRIAL_KEYS = ("model", "task", "system", "runtime", "measurement", "load", "server")


def parse_trial(document: Mapping[str, Any]) -> Trial:
    """Return the trial that one composed document describes. Raises InputError, naming the first value that breaks a rule."""
    trial = _validate(Trial, {key: document[key] for key in TRIAL_KEYS if document.get(key)})
    refuse_empty_streams(trial.load)
    return trial


def parse_campaign(document: Mapping[str, Any]) -> CampaignConfig:
    """Return what is common to all trials. Raises InputError."""
    return _validate(CampaignConfig, {key: value for key, value in with_tolerance_file(document).items() if key not in TRIAL_KEYS})


def _validate(model: type[T], data: Mapping[str, Any]) -> T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(explain(error)) from error


# The configuration groups, each with what its YAML may hold.
BLOCKS: dict[str, type[BaseModel]] = {
    "model": ModelConfig,
    "task": TaskConfig,
    "system": SystemConfig,
    "runtime": RuntimeConfig,
    "measurement": MeasurementConfig,
    "load": LoadConfig,
    "server": ServerSettings,
    "analysis": AnalysisConfig,
    "cluster": ClusterConfig,
}
# Blocks whose other keys are the target's own: those written in the YAML are the only ones allowed.
WITH_OPTIONS = ("model", "task")
PLAIN_KEYS = ("code", "minutes", "require_same_stack", "results_dir")
# Mappings of the user's own names.
OPEN_KEYS = ("system.labels.", "system.paths.", "measurement.rule_options.", "server.settings.", "server.environment.")
# What all trials of a campaign share, so that no sweep varies it.
CAMPAIGN_BLOCKS = ("analysis", "cluster", *PLAIN_KEYS)


def schema_keys(block: str) -> frozenset[str]:
    """Return the keys of a block that every YAML of its group may hold: ``deadline``, and ``deadline.quality`` within it."""
    return frozenset(_keys_of(BLOCKS[block])) - {"options"}


def _keys_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in _keys_of(field.annotation))


def check_key(key: str) -> None:
    """Refuse a key that no configuration has. A target's own options are checked when its YAML has been read.

    Raises
    ------
    InputError
        with the nearest known key.
    """
    block, dot, name = key.partition(".")
    if key in PLAIN_KEYS or key.startswith(OPEN_KEYS) or (block in BLOCKS and not dot):
        return
    if block not in BLOCKS:
        raise InputError(f"{key}: no such key; {nearest(block, [*BLOCKS, *PLAIN_KEYS, 'sweep'])}")
    if block not in WITH_OPTIONS and name not in schema_keys(block):
        raise InputError(f"{key}: no such key; {nearest_key(key, schema_keys(block))}")


def nearest_key(key: str, names: Iterable[str]) -> str:
    """Return advice as `nearest` does, for the last part of a dotted key among the names that could stand there."""
    parent, _, name = key.rpartition(".")
    outer = parent.partition(".")[2]
    known = [known.removeprefix(f"{outer}.") for known in names if not outer or known.startswith(f"{outer}.")] or list(names)
    return nearest(name, known).replace("did you mean ", f"did you mean {parent}.")
