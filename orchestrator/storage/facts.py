"""What the open mappings of ``trial.json`` may hold under the names that readers know; other names may hold anything."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.stats.stopping import CHECK_COLUMNS

Rule = tuple[str, Callable[[Any], bool]]
LONGEST_NS = 2**53
"""About 104 days: beyond it float64 does not hold every ns."""
LARGEST_FIGURE = 1e30
"""Further from 0 no figure lies that somebody measured, and float32, in which curves are drawn, still holds it."""
LARGEST_RJSD = math.sqrt(math.log(2)) + 1e-9
SERVER_STARTED = "server_started"
"""Name among a trial's facts of what is recorded of a server that the campaign has started for it."""


def _whole(value: Any, bits: int = 64) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _time(value: Any) -> bool:
    return _number(value) and 0 <= value < LONGEST_NS


def _size(value: Any) -> bool:
    return _whole(value) and value >= 0


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


TEXT: Rule = ("text", lambda value: isinstance(value, str))
COUNT: Rule = ("a whole number of 64 bits, not negative", _size)
ROUNDS: Rule = ("a whole number of 32 bits, from 1 on", lambda value: _whole(value, 32) and value >= 1)
TIME: Rule = ("a time in ns, not negative and below 104 days", _time)
TIMES: Rule = ("a list of whole times in ns, none negative and all below 104 days", _list_of(lambda ns: _whole(ns) and _time(ns)))
FIGURE: Rule = ("a number from -1e30 to 1e30", lambda value: _number(value) and abs(value) <= LARGEST_FIGURE)
SPREAD: Rule = ("a number from 0 to 1e30", lambda value: _number(value) and 0 <= value <= LARGEST_FIGURE)
DISTANCE: Rule = ("a root of a Jensen-Shannon divergence, from 0 to 0.833", lambda value: _number(value) and 0 <= value <= LARGEST_RJSD)
PER_CENT: Rule = ("a number from 0 to 100", lambda value: _number(value) and 0 <= value <= 100)
YES_OR_NO: Rule = ("true or false", lambda value: isinstance(value, bool))

PLACEMENT = {
    "host": TEXT, "boot_id": TEXT, "device": TEXT, "name": TEXT, "pinned": YES_OR_NO,
    "cores": ("a list of whole numbers, none negative", _list_of(_size)), "threads": COUNT, "quota_cores": SPREAD,
    "at_end": ("a mapping", lambda value: _at_end(value)),
}  # fmt: skip
ENVIRONMENT = {
    "host": TEXT, "boot_id": TEXT, "processor": TEXT, "logical_cores": COUNT, "physical_cores": COUNT, "memory_bytes": COUNT,
    "swap_used_bytes": COUNT,
}  # fmt: skip
DIGESTS = {"data": TEXT}
OF_PROCESS = {
    "load_ns": TIME, "first_inference_ns": TIME, "first_total_ns": TIME, "peak_memory_bytes": COUNT, "gpu_allocated_peak_bytes": COUNT,
    "warmup_rounds_ns": TIMES,
}  # fmt: skip
COLD_START = {
    **OF_PROCESS,
    "earlier": ("a list of cold starts", lambda value: _list_of(_cold)(value)),
}
"""That of the trial's last process, and in ``earlier`` those of the processes before it."""
OF_TYPE = {int: COUNT, float: SPREAD, str: TEXT, bool: YES_OR_NO}
CHECK = {
    **{name: DISTANCE if name.startswith("rjsd_") else OF_TYPE[kind] for name, kind in CHECK_COLUMNS.items()},
    "rounds": ROUNDS, "rjsd_bound": SPREAD, "quality_mean": FIGURE, "percentile": PER_CENT,
}  # fmt: skip
"""One check of a stopping rule becomes a row of ``convergence.parquet``."""


def _cold(value: Any) -> bool:
    """Return whether this is a mapping. Raises ValueError for one that is not the cold start of a process."""
    return isinstance(value, dict) and known(OF_PROCESS, "earlier.")(value) is value


def _at_end(value: Any) -> bool:
    return isinstance(value, dict) and known({"peak_memory_bytes": COUNT}, "at_end.")(value) is value


def known(rules: Mapping[str, Rule], within: str = "") -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a validator of a mapping that refuses a value of another kind under a known name; null is always allowed."""

    def check(mapping: dict[str, Any]) -> dict[str, Any]:
        for name, (kind, fits) in rules.items():
            value = mapping.get(name)
            if value is not None and not fits(value):
                raise ValueError(f"{within}{name}={str(value)[:40]} must be {kind}")
        return mapping

    return check


def check_of_rule(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return one check of a stopping rule. Raises ValueError if its number of rounds is missing or a figure is invalid."""
    if mapping.get("rounds") is None:
        raise ValueError("a check must have its number of rounds")
    known(CHECK)(mapping)
    return known({name: FIGURE for name, value in mapping.items() if name not in CHECK and _number(value)})(mapping)


def figures(mapping: dict[str, float]) -> dict[str, float]:
    """Return qualities by metric. Raises ValueError for one that no metric gives."""
    return known(dict.fromkeys(mapping, FIGURE))(mapping)
