"""What changed between the sides of a comparison beside what is compared: versions, host, placement, and the load of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.compare.baseline import Baseline
from orchestrator.storage.records import TrialRecord

ENVIRONMENT = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
PLACEMENT = ("device", "uuid", "cores", "numa", "quota_cores", "threads", "pinned", "niceness")
DERIVED = ("platform",)
"""Left out of the stack: it repeats the kernel's version."""


@dataclass(frozen=True)
class Change:
    """One thing that had one value in the baseline and another in the candidate; ``systems`` are those of the trials it touches."""

    name: str
    before: str
    after: str
    systems: tuple[str, ...]


def stack_of(records: Iterable[TrialRecord]) -> dict[str, tuple[str, ...]]:
    """Return what may explain a change, each with the distinct values that the trials had."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        parts = [
            {name: value for name, value in record.stack.items() if name not in DERIVED},
            _chosen(record.environment, ENVIRONMENT),
            _chosen(record.placement, PLACEMENT) | {"gpu": record.placement.get("name")},
        ]
        for part in parts:
            for name, value in part.items():
                if value is not None:
                    found.setdefault(name, {})[_text(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def changes(before: Baseline, after: Baseline, pairs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Change, ...]:
    """Return what differs.

    Parameters
    ----------
    before, after
        the campaigns as a whole.
    pairs
        of each matched trial its system and both sides' `stack_of`.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    whole = {
        "version of this program": (before.code_version, after.code_version),
        "digest of the code": (_short(before.code_digest), _short(after.code_digest)),
    }
    for name, (here, there) in whole.items():
        if here != there:
            found[name, here, there] = {}
    for system, mine, theirs in pairs:
        for name in dict.fromkeys((*mine, *theirs)):
            here, there = (", ".join(side.get(name, ())) or "none" for side in (mine, theirs))
            if here != there:
                found.setdefault((name, here, there), {})[system] = None
    return tuple(Change(*key, tuple(systems)) for key, systems in found.items())


def _chosen(facts: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: facts.get(name) for name in names}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
