"""What a trial and a campaign are: frozen models that refuse unknown keys; and the keys that a command line may set.

The words are those of the documentation: a *trial* is one model x task x system x runtime x measurement setting x repeat; a
*campaign* is all trials of one command.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
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
    Price,
    Programs,
    matches,
    refusal,
)
from orchestrator.configuration.load import LoadConfig, refuse_empty_streams
from orchestrator.configuration.neighbour import NeighbourConfig
from orchestrator.configuration.server import MOST_UNASKED_IN_FLIGHT, ServerSettings
from orchestrator.contracts import InputError, nearest
from orchestrator.stats.constants import CERTIFY_ROUNDS, PAUSE

T = TypeVar("T", bound=BaseModel)
UUID = "(GPU|MIG)-[0-9A-Za-z-]+"


class Target(Frozen):
    """A class to construct: ``target`` with ``options`` as its keyword arguments."""

    name: Name = Field(description="name in results, and part of a trial's id")
    kind: Name = Field(description="what samples and answers are: a model pairs with tasks of its kind only")
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = Field(description="class to construct, `module:Class`")
    options: dict[str, Any] = Field({}, description="keyword arguments of the class: every other key of the YAML")

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
    """A model, its kind and the runtimes that can execute it."""

    runtimes: Names = Field(min_length=1, description="runtimes that can execute the model")
    classes: int | None = Field(None, gt=0, le=MOST_CLASSES, description="number of classes; must equal the task's")
    parameters: int | None = Field(None, gt=0, le=10**15, description="number of weights, from which `plan` estimates memory")
    several_gpus: bool = Field(False, description="the class divides its network among all GPUs of the system")
    same_as: Name | None = Field(
        None,
        exclude_if=lambda name: name is None,
        description="for a served model: the model in the timed process with the same weights, to compare answers and times with",
    )

    @property
    def stands_for(self) -> str:
        """The name of the model whose weights answer."""
        return self.same_as or self.name


class TaskConfig(Target):
    """A task and how its samples are drawn and held."""

    classes: int | None = Field(None, gt=0, le=MOST_CLASSES, description="number of classes; must equal the model's")
    limit: int | None = Field(None, gt=0, le=MOST_SAMPLES, description="draw this many samples, labels in proportion; null takes all")
    subset_seed: int = Field(0, ge=0, le=LARGEST_SEED, description="another seed draws another subset; equal on every machine")
    preload: Literal["bytes", "none", "decoded"] = Field(
        "bytes",
        description="what is in memory before a round: encoded bytes, nothing (files are read inside `preprocess`), or decoded samples",
    )
    memory_limit: Bytes = Field(ByteSize(4 * 2**30), description="most memory that `preload` may take, 4 GiB by default; `plan` checks it")


class SystemConfig(Frozen):
    """One place to measure on: a host (chosen by Ray node labels), a device, pinned cores and threads."""

    name: Name = Field(description="name in results, and part of a trial's id")
    device: Annotated[str, matches(rf"cpu|cuda:\d+(,\d+)*|{UUID}(,{UUID})*", "must be cpu, cuda:0, cuda:0,1 or the UUID of a GPU")] = Field(
        "cpu", description="`cpu`, `cuda:N`, a GPU's UUID, or several GPUs that work as one: `cuda:0,1,2,3` or UUIDs"
    )
    cores: Cores = Field(None, description="a number of cores, a list of core numbers, or null for all")
    threads: int | None = Field(None, gt=0, le=MOST_CORES, description="threads that compute; null takes one per core")
    numa: Core | None = Field(None, description="take the cores of this NUMA node; pinned threads touch its memory first")
    labels: dict[str, str] = Field({}, description="Ray node labels that choose the host: `system.labels.zone=a`")
    paths: dict[str, str] = Field({}, description="paths that differ on this host: `system.paths={task.root: /data}`")
    python: str | None = Field(
        None,
        description="interpreter of a separate environment on that host, with the same Ray, minor version of Python and imported packages",
    )
    exclusive: bool = Field(
        True,
        description="never time two trials at once on one machine; `false`: time them together on disjoint cores, flagged",
    )
    price_per_hour: Price | None = Field(
        None,
        exclude_if=lambda price: price is None,
        description="what an hour of the system costs, in any currency; `analysis.price_per_hour` changes it afterwards",
    )

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
    """What executes the model."""

    name: Name = Field(description="name in results, and part of a trial's id")
    packages: Modules = Field((), description="modules that the machine must have; without them a trial is infeasible")
    programs: dict[DeviceKind, Programs] = Field({}, description="compilers that must be on `PATH`, by kind of device (`cpu`, `cuda`)")
    dtypes: dict[DeviceKind, tuple[Dtype, ...]] = Field(
        {}, description="numeric types that the runtime supports, by kind of device; another `runtime.dtype` is infeasible"
    )
    dtype: Dtype = Field("fp32", description="numeric type")
    deterministic: bool = Field(False, description="deterministic algorithms of the framework")
    autotune: bool = Field(False, description="autotuning of the framework")
    asks_server: bool = Field(False, exclude_if=lambda asks: not asks, description="a server computes, which `server` names")


class MeasurementConfig(Frozen):
    """How a trial is measured and when it stops."""

    batch: int = Field(1, gt=0, le=MOST_SAMPLES, description="samples per inference, at most as many as there are samples")
    rule: Name = Field("settled", description="stopping rule")
    min_rounds: int = Field(30, gt=0, le=MOST_ROUNDS, description="least rounds under every rule; `minutes` may end a trial earlier")
    max_rounds: int = Field(
        1000, gt=0, le=MOST_ROUNDS, description="every rule measures at most this many; under load, the stream that reaches it is completed"
    )
    max_seconds: float | None = Field(
        None, gt=0, le=10**9, description="a trial stops so many seconds of measuring after its `min_rounds`, pauses excluded"
    )
    half_width: float = Field(
        0.02, gt=0, lt=1, description="half-width of the interval at which rule `settled` stops, as a share of ideal quality"
    )
    certify_rounds: int = Field(
        CERTIFY_ROUNDS,
        gt=0,
        le=MOST_ROUNDS,
        description="rounds that certify a deadline, no fewer; under rule `rounds` `max_rounds` if more",
    )
    warmup_rounds: int = Field(2, gt=0, le=1000, description="rounds before the first one, stored apart")
    round_timeout_s: float = Field(
        600.0, gt=0, le=MOST_SECONDS, description="limit of a round; streams and time-outs of a server add to it"
    )
    order: Literal["fixed", "shuffled"] = Field("fixed", description="order of samples within a round")
    schedule: Literal["visits", "sequential", "interleaved"] = Field(
        "visits",
        description="how the trials of one machine share its time; `interleaved`: visits of one round; `sequential`: one by one",
    )
    visit_rounds: int = Field(2, gt=0, le=MOST_ROUNDS, description="rounds of a visit")
    pause: float = Field(PAUSE, ge=0, le=1000, description="least pause after a visit of a trial, in lengths of that visit; 0 means none")
    lead_in: int = Field(3, ge=0, le=MOST_SAMPLES, description="uncounted inferences at the start of each visit, at most one round")
    garbage_collection: Literal["between_rounds", "on"] = Field(
        "between_rounds", description="when Python collects garbage; `on`: at any time, inside timings too"
    )
    repeat: int = Field(1, gt=0, le=MOST_REPEATS, description="fresh processes per trial")
    max_errors: int = Field(
        0, ge=0, le=10**18, description="samples on which the model may raise; requests to a server may fail, but not all of the warm-up"
    )
    rule_options: dict[Name, bool | int | float | str] = Field(
        {}, exclude_if=lambda options: not options, description="options of the stopping rule, as `measurement.rule_options.NAME=VALUE`"
    )

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
    """Which Ray cluster: one started for this command, a running one, or none at all."""

    name: Literal["local", "address", "inline"] = Field(
        "local",
        description="`local`: an embedded Ray; `address`: a running Ray; `inline`: this process, unpinned, for debugging",
    )
    address: str | None = Field(None, description="head of the cluster to join, HOST:PORT")
    machines: Literal["boot_id", "node"] = Field(
        "boot_id", description="what counts as one machine: all nodes of one boot id, or each node"
    )

    @model_validator(mode="after")
    def _address_where_needed(self) -> Self:
        rule = "cluster=address needs cluster.address=HOST:PORT, and no other cluster takes one"
        return self.sound(((self.name == "address") != (self.address is not None), rule))


# Headers, in small letters, whose values are secrets.
OF_TOKENS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key")


class Trial(Frozen):
    """One model x task x system x runtime x measurement setting x load x server x neighbour x repeat."""

    model: ModelConfig
    task: TaskConfig
    system: SystemConfig
    runtime: RuntimeConfig
    measurement: MeasurementConfig
    load: LoadConfig = Field(LoadConfig(), exclude_if=lambda load: not load.is_open)
    server: ServerSettings = Field(ServerSettings(), exclude_if=lambda server: not server.is_asked)
    neighbour: NeighbourConfig = Field(NeighbourConfig(), exclude_if=lambda neighbour: not neighbour.is_started)
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

    @property
    def replays_its_task(self) -> bool:
        """Whether task and load name one trace: its k-th arrival asks for the k-th sample."""
        file = self.task.options.get("file")
        return self.load.file is not None and isinstance(file, str) and str(Path(file).expanduser().absolute()) == self.load.file

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
    """What all trials of one command share."""

    analysis: AnalysisConfig = AnalysisConfig()
    cluster: ClusterConfig = ClusterConfig()
    code: Names = Field((), description="folders with modules of your own")
    minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="time to measure on each machine, in equal shares of whole visits; each trial has one visit at least"
    )
    require_same_stack: bool = Field(False, description="refuse systems of other Python, frameworks, CUDA or drivers")
    results_dir: str | None = Field(None, description="folder of the campaign; null makes `results/<sweep, single or multirun>/<UTC time>`")


TRIAL_KEYS = ("model", "task", "system", "runtime", "measurement", "load", "server", "neighbour")


def parse_trial(document: Mapping[str, Any]) -> Trial:
    """Return the trial that one composed document describes. Raises InputError, naming the first value that breaks a rule."""
    trial = parse_block(Trial, {key: document[key] for key in TRIAL_KEYS if document.get(key)})
    refuse_empty_streams(trial.load)
    return trial


def parse_campaign(document: Mapping[str, Any]) -> CampaignConfig:
    """Return what is common to all trials. Raises InputError."""
    return parse_block(CampaignConfig, {key: value for key, value in with_tolerance_file(document).items() if key not in TRIAL_KEYS})


def parse_block(model: type[T], data: Mapping[str, Any]) -> T:
    """Return keys as their model has them. Raises InputError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise refusal(error) from error


# The configuration groups, each with what its YAML may hold.
BLOCKS: dict[str, type[BaseModel]] = {
    "model": ModelConfig,
    "task": TaskConfig,
    "system": SystemConfig,
    "runtime": RuntimeConfig,
    "measurement": MeasurementConfig,
    "load": LoadConfig,
    "server": ServerSettings,
    "neighbour": NeighbourConfig,
    "analysis": AnalysisConfig,
    "cluster": ClusterConfig,
}
# Blocks whose other keys are the target's own: those written in the YAML are the only ones allowed.
WITH_OPTIONS = ("model", "task")
PLAIN_KEYS = ("code", "minutes", "require_same_stack", "results_dir")
# Mappings of the user's own names.
OPEN_KEYS = (
    "system.labels.", "system.paths.", "measurement.rule_options.", "server.settings.", "server.environment.", "neighbour.settings.",
)  # fmt: skip
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
        raise InputError(f"{key}: no such key; {nearest(block, [*BLOCKS, *PLAIN_KEYS, 'sweep'])}", "unknown", key)
    if block not in WITH_OPTIONS and name not in schema_keys(block):
        raise InputError(f"{key}: no such key; {nearest_key(key, schema_keys(block))}", "unknown", key)


def nearest_key(key: str, names: Iterable[str]) -> str:
    """Return advice as `nearest` does, for the last part of a dotted key among the names that could stand there."""
    parent, _, name = key.rpartition(".")
    outer = parent.partition(".")[2]
    known = [known.removeprefix(f"{outer}.") for known in names if not outer or known.startswith(f"{outer}.")] or list(names)
    return nearest(name, known).replace("did you mean ", f"did you mean {parent}.")
