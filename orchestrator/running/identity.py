"""What makes two trials the same work: the readable id and the hash inside it.

Pure, but for the environment, where options name its variables.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import MeasurementConfig, Target, Trial
from orchestrator.configuration.environment_values import known_by_digests
from orchestrator.configuration.load import LoadConfig
from orchestrator.configuration.server import ServerSettings
from orchestrator.subject.inspection import Inspection

LONGEST_SLUG = 100
LONGEST_NAME = 22
"""Four names of this length, their hyphens and a batch of five digits fit into the longest slug."""

LONGEST_LOAD = 20
"""Where there is a load, each name gives up a part of its length for it."""
LONGEST_SERVER = 13
"""Five names of this length and the rest still fit."""

OF_SERVER = {"name", "timeout_s", "keep_alive", "in_flight", "command", "cores"}
"""What is known of a server in the hash: where it answers and with which token is no part of the work."""

NO_WORK = {
    "model": {"runtimes", "classes", "parameters", "several_gpus", "same_as", "options"},
    "task": {"classes", "limit", "subset_seed", "memory_limit", "options"},
    "system": {"paths", "python"},
    "runtime": {"packages", "programs", "dtypes", "asks_server"},
    "measurement": {"repeat", "round_timeout_s", "max_errors", "schedule", "visit_rounds", "pause", "lead_in", "certify_rounds"},
}
"""Keys outside the hash. They check, guard, locate or schedule the work and do not change it; the digest of the data
says which samples a limit draws. ``schedule`` is hashed as the one value that most older ids held. Options are added one by one, without
those that are paths: a digest says what a path holds."""


def match_key(trial: Trial, inspection: Inspection) -> str:
    """Return the id of a trial without its repeat: ``<readable slug>-<hash8>``."""
    return f"{slug(trial)}-{hash8(identity(trial, inspection))}"


def trial_id(key: str, repeat: int) -> str:
    """Return the id of one repeat."""
    return f"{key}-r{repeat}"


def slug(trial: Trial) -> str:
    """Return the readable part: model, task, system, runtime (with a number format other than fp32), server, batch and load, if any."""
    runtime = trial.runtime.name if trial.runtime.dtype == "fp32" else f"{trial.runtime.name}_{trial.runtime.dtype}"
    server = [trial.server.name] if trial.server.is_asked else []
    names = [_safe(name) for name in (trial.model.name, trial.task.name, trial.system.name, runtime, *server)]
    settings = [f"b{trial.measurement.batch}", *([_load_word(trial.load)] if trial.load.is_open else [])]
    whole = "-".join([*names, *settings])
    room = LONGEST_NAME if not trial.load.is_open else LONGEST_NAME - LONGEST_LOAD // len(names)
    room = LONGEST_SERVER if server else room
    return whole if len(whole) <= LONGEST_SLUG else "-".join([*(name[:room] for name in names), *settings])


def _load_word(load: LoadConfig) -> str:
    """Return the load as a word of an id, such as ``poisson40`` or ``periodic29_97``."""
    pace = load.speed if load.rate_per_s is None else load.rate_per_s
    return _safe(f"{load.name}{pace:g}")[:LONGEST_LOAD]


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)


def identity(trial: Trial, inspection: Inspection) -> dict[str, Any]:
    """Return everything that the hash covers, as plain JSON values. The closed loop, which older ids know alone, is not named."""
    blocks: dict[str, dict[str, Any]] = {
        name: getattr(trial, name).model_dump(mode="json", exclude=left_out) for name, left_out in NO_WORK.items()
    }
    blocks["model"]["options"] = _options(trial.model, inspection.model_paths)
    blocks["task"]["options"] = _options(trial.task, inspection.task_paths)
    blocks["measurement"] |= {"schedule": "sequential"} | _lead_in(trial.measurement)
    if trial.load.is_open:
        # Of a trace its content is the work, not where it lies.
        blocks["load"] = trial.load.model_dump(mode="json", exclude={"file"}) | {"file_digest": inspection.load_digest}
    if trial.server.is_asked:
        blocks["server"] = trial.server.model_dump(mode="json", include=OF_SERVER) | _started(trial.server)
    return {**blocks, "model_digest": inspection.model_digest, "data_digest": inspection.data_digest}


def _started(server: ServerSettings) -> dict[str, Any]:
    """Return what is known of a server that the campaign starts: command and settings without the folders of paths, and its environment."""
    if server.command is None:
        return {}
    command = list(map(_without_folder, server.command))
    settings = {name: _without_folder(value) for name, value in server.settings.items()}
    told = {"command": command, "environment": server.environment, "settings": settings}
    return {name: known_by_digests(value) for name, value in told.items()}


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _lead_in(measurement: MeasurementConfig) -> dict[str, int]:
    """Return the lead-in where it is not the default: what a visit's first samples find in the caches is part of the work."""
    return {} if measurement.lead_in == MeasurementConfig.model_fields["lead_in"].default else {"lead_in": measurement.lead_in}


def _options(target: Target, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that are not paths, environment values as digests.

    A null option is left out, as if its YAML did not write it.
    """
    return {name: known_by_digests(value) for name, value in target.options.items() if value is not None and name not in paths}


def hash8(document: dict[str, Any]) -> str:
    """Return the first 8 hexadecimal digits of the SHA-256 of a document as canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
