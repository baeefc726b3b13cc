"""Where the software of two systems differs (pure)."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.measurement.machine import Machine


def why_stacks_differ(machines: Iterable[Machine]) -> str | None:
    """Return the first version that two machines do not share, with both hosts, or None where all are equal."""
    first, *others = machines
    names = sorted({name for machine in (first, *others) for name in machine.versions})
    for name in names:
        here = first.versions.get(name, "none")
        for other in others:
            there = other.versions.get(name, "none")
            if here != there:
                return f"{first.host} has {name} {here} and {other.host} {there}"
    return None
