"""What a reader must know of every figure of a trial (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.config import Trial
from orchestrator.storage.records import OTHER_USERS

DIFFERS = "answers beyond tolerance of eager PyTorch's"
OTHER_CATEGORIES = "boxes fit but their categories are not the references': class numbers in place of category ids?"
NEVER_RIGHT = "no answer is right even without a threshold"
SHARED = "machine shared with other trials"
PLACEMENT = ("boot_id", "cores", "threads", "niceness", "scheduling_policy", "measuring_cores", "framework_threads")
"""What processes of one trial are to have in common."""
LARGEST_CHANGE = 0.1
"""A fixed piece of work may take so much longer or shorter after the rounds before it is told, as a share."""


def flags_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader must know of a model as it was loaded."""
    difference, tolerance = facts.get("largest_difference"), facts.get("tolerance")
    differs = difference is not None and tolerance is not None and difference > tolerance
    return (DIFFERS,) if differs else ()


def quality_flags(ideal: float, other_categories: bool = False) -> tuple[str, ...]:
    """Return what a reader must know of a model that is never right, or whose classes are not the task's."""
    return (*([NEVER_RIGHT] if ideal == 0 else []), *([OTHER_CATEGORIES] if other_categories else []))


def placement_flags(trial: Trial, placement: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader must know of where a trial ran."""
    shared = () if trial.system.exclusive else (SHARED,)
    return shared if placement["turn"]["every_user"] else (*shared, OTHER_USERS)


def process_flags(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a flag where a later process of a trial is placed otherwise than the one before it."""
    changed = [name for name in PLACEMENT if name in before and before[name] != now.get(name)]
    return (f"a later process has another placement ({', '.join(changed)})",) if changed else ()


def kernel_flags(before_ns: int, after_ns: int) -> tuple[str, ...]:
    """Return a flag where a fixed piece of work took another time after the rounds than before them."""
    change = after_ns / before_ns - 1
    return (f"machine {'slower' if change > 0 else 'faster'} at the end",) if abs(change) > LARGEST_CHANGE else ()
