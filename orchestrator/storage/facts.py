"""What the open mappings of ``trial.json`` may hold under the names that readers know; other names may hold anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.stats.stopping import CHECK_COLUMNS

Rule = tuple[str, Callable[[Any], bool]]
SERVER_STARTED = "server_started"
"""Name among a trial's facts of what is recorded of a server that the campaign has started for it."""


def _whole(value: Any, bits: int = 64) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


TEXT: Rule = ("text", lambda value: isinstance(value, str))
WHOLE: Rule = ("a whole number of 64 bits", _whole)
WHOLE_32: Rule = ("a whole number of 32 bits", lambda value: _whole(value, 32))
NUMBER: Rule = ("a number", _number)
YES_OR_NO: Rule = ("true or false", lambda value: isinstance(value, bool))
WHOLES: Rule = ("a list of whole numbers", lambda value: isinstance(value, list | tuple) and all(map(_whole, value)))

PLACEMENT = {
    "host": TEXT, "boot_id": TEXT, "device": TEXT, "name": TEXT, "pinned": YES_OR_NO, "cores": WHOLES, "threads": WHOLE,
    "quota_cores": NUMBER, "at_end": ("a mapping whose peak_memory_bytes is a whole number", lambda value: _at_end(value)),
}  # fmt: skip
ENVIRONMENT = {"host": TEXT, "boot_id": TEXT, "processor": TEXT}
DIGESTS = {"data": TEXT}
OF_PROCESS = {
    "load_ns": NUMBER, "first_inference_ns": NUMBER, "first_total_ns": NUMBER, "warmup_rounds_ns": WHOLES, "peak_memory_bytes": WHOLE,
    "gpu_allocated_peak_bytes": WHOLE,
}  # fmt: skip
COLD_START = {**OF_PROCESS, "earlier": ("a list of cold starts", lambda value: isinstance(value, list | tuple) and all(map(_cold, value)))}
"""That of the trial's last process, and in ``earlier`` those of the processes before it."""
OF_TYPE = {int: WHOLE, float: NUMBER, str: TEXT, bool: YES_OR_NO}
CHECK = {name: OF_TYPE[kind] for name, kind in CHECK_COLUMNS.items()} | {"rounds": WHOLE_32}
"""One check of a stopping rule becomes a row of ``convergence.parquet``."""


def _cold(value: Any) -> bool:
    """Return whether this is the cold start of one process."""
    return isinstance(value, dict) and all(value.get(name) is None or fits(value[name]) for name, (_, fits) in OF_PROCESS.items())


def _at_end(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("peak_memory_bytes") is None or _whole(value["peak_memory_bytes"]))


def known(rules: Mapping[str, Rule]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a validator of a mapping that refuses a value of another kind under a known name; null is always allowed."""

    def check(mapping: dict[str, Any]) -> dict[str, Any]:
        for name, (kind, fits) in rules.items():
            value = mapping.get(name)
            if value is not None and not fits(value):
                raise ValueError(f"{name}={str(value)[:40]} must be {kind}")
        return mapping

    return check


def check_of_rule(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return one check of a stopping rule. Raises ValueError if its number of rounds is missing or a figure is invalid."""
    if mapping.get("rounds") is None:
        raise ValueError("a check must have its number of rounds")
    return known(CHECK)(mapping)
