"""The keys a command line may set: which are known, which are axes, and the nearest name for one that is not there."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import ClusterConfig, MeasurementConfig, ModelConfig, RuntimeConfig, SystemConfig, TaskConfig
from orchestrator.configuration.load import LoadConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError, nearest

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
"""The configuration groups, each with what its YAML may hold."""

WITH_OPTIONS = ("model", "task")
"""Blocks whose other keys are the target's own: those written in the YAML are the only ones allowed."""

PLAIN_KEYS = ("code", "minutes", "require_same_stack", "results_dir")
OPEN_KEYS = ("system.labels.", "system.paths.", "measurement.rule_options.", "server.settings.", "server.environment.")
"""Mappings of the user's own names."""

CAMPAIGN_BLOCKS = ("analysis", "cluster", *PLAIN_KEYS)
"""What all trials of a campaign share, so that no sweep varies it."""


def is_group(key: str) -> bool:
    """Return whether a key chooses a group's YAML."""
    return key in BLOCKS


def is_schema_key(key: str) -> bool:
    """Return whether a key may be set even if the chosen YAML does not have it."""
    block, _, name = key.partition(".")
    return key.startswith(OPEN_KEYS) or key in PLAIN_KEYS or (block in BLOCKS and name in schema_keys(block))


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
    if block == "hydra" or key.startswith("hydra/"):
        remedy = "use results_dir=" if key in ("hydra.run.dir", "hydra.sweep.dir") else "use results_dir= and --config-dir"
        raise InputError(f"{key}: Hydra only composes here and its own settings have no effect; {remedy}")
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
