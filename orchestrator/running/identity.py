"""What makes two trials the same work: the readable id and the hash inside it.

Pure, but for the environment, where options name its variables.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.configuration.environment_values import known_by_digests
from orchestrator.subject.inspection import Inspection

LONGEST_SLUG = 100
# Four names of this length, their hyphens and a batch of five digits fit into the longest slug.
LONGEST_NAME = 22

# Where there is a load, each name gives up a part of its length for it.
LONGEST_LOAD = 20
# Five names of this length and the rest still fit.
LONGEST_SERVER = 13
# What each name gives up for a neighbour, whose word is no longer than that of a load.
FOR_NEIGHBOUR = 6

# What is known of a server in the hash: where it answers and with which token is no part of the work.
OF_SERVER = {"name", "timeout_s", "keep_alive", "in_flight", "command", "cores"}
OF_NEIGHBOUR = {"name", "command", "cores", "settings", "second"}

# Keys outside the hash. They check, guard, locate or schedule the work and do not change it; the digest of the data says which samples a
# limit draws. ``schedule`` is hashed as the one value that most older ids held. Options are added one by one, without those that are
# paths: a digest says what a path holds.
NO_WORK = {
    "model": {"runtimes", "classes", "parameters", "several_gpus", "same_as", "options"},
    "task": {"classes", "limit", "subset_seed", "memory_limit", "options"},
    "system": {"paths", "python", "price_per_hour"},
    "runtime": {"packages", "programs", "dtypes", "asks_server"},
    "measurement": {"repeat", "round_timeout_s", "max_errors", "schedule", "visit_rounds", "pause", "lead_in", "certify_rounds"},
}


def match_key(trial: Trial, inspection: Inspection) -> str:
    """Return the id of a trial without its repeat: ``<readable slug>-<8 digits of the SHA-256 of canonical JSON>``."""
    canonical = json.dumps(identity(trial, inspection), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{slug(trial)}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


def trial_id(key: str, repeat: int) -> str:
    """Return the id of one repeat."""
    return f"{key}-r{repeat}"


def slug(trial: Trial) -> str:
    """Return the readable part: model, task, system, runtime (with a number format other than fp32), server, batch, load, neighbour."""
    runtime = trial.runtime.name if trial.runtime.dtype == "fp32" else f"{trial.runtime.name}_{trial.runtime.dtype}"
    server = [trial.server.name] if trial.server.is_asked else []
    names = [_safe(name) for name in (trial.model.name, trial.task.name, trial.system.name, runtime, *server)]
    settings, load = [f"b{trial.measurement.batch}"], trial.load
    if load.is_open:  # such as poisson40 or periodic29_97
        settings.append(_safe(f"{load.name}{load.speed if load.rate_per_s is None else load.rate_per_s:g}")[:LONGEST_LOAD])
    settings += [_safe(f"beside_{trial.neighbour.name}")[:LONGEST_LOAD]] if trial.neighbour.is_started else []
    whole = "-".join([*names, *settings])
    room = LONGEST_SERVER if server else LONGEST_NAME - (LONGEST_LOAD // len(names) if load.is_open else 0)
    room -= FOR_NEIGHBOUR * trial.neighbour.is_started
    return whole if len(whole) <= LONGEST_SLUG else "-".join([*(name[:room] for name in names), *settings])


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)


def identity(trial: Trial, inspection: Inspection) -> dict[str, Any]:
    """Return everything that the hash covers, as plain JSON values. The closed loop, which older ids know alone, is not named."""
    blocks: dict[str, dict[str, Any]] = {
        name: getattr(trial, name).model_dump(mode="json", exclude=left_out) for name, left_out in NO_WORK.items()
    }
    for name, target, paths in (("model", trial.model, inspection.model_paths), ("task", trial.task, inspection.task_paths)):
        # A null option is left out, as if its YAML did not write it.
        options = {option: value for option, value in target.options.items() if value is not None and option not in paths}
        blocks[name]["options"] = {option: known_by_digests(value) for option, value in options.items()}
    blocks["measurement"]["schedule"] = "sequential"
    if trial.measurement.lead_in != MeasurementConfig.model_fields["lead_in"].default:
        blocks["measurement"]["lead_in"] = trial.measurement.lead_in  # what a visit's first samples find in the caches is part of the work
    if trial.load.is_open:
        # Of a trace its content is the work, not where it lies.
        blocks["load"] = trial.load.model_dump(mode="json", exclude={"file"}) | {"file_digest": inspection.load_digest}
    if trial.server.is_asked:
        blocks["server"] = trial.server.model_dump(mode="json", include=OF_SERVER)
        if trial.server.command is not None:  # it is started by the campaign; folders are no part of the work
            told = {
                "command": list(map(_without_folder, trial.server.command)),
                "environment": trial.server.environment,
                "settings": {name: _without_folder(value) for name, value in trial.server.settings.items()},
            }
            blocks["server"] |= {name: known_by_digests(value) for name, value in told.items()}
    if trial.neighbour.is_started:
        blocks["neighbour"] = trial.neighbour.model_dump(mode="json", include=OF_NEIGHBOUR)
    return {**blocks, "model_digest": inspection.model_digest, "data_digest": inspection.data_digest}


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
