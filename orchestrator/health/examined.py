"""One node of the cluster, or this machine, with what was read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.health.clocks import Offset
from orchestrator.health.reading import Reading


@dataclass(frozen=True)
class Examined:
    """What is known of one node.

    name
        what a person knows it by: address and labels.
    node_id, labels, address
        of the Ray node; empty for this machine without Ray.
    is_own
        whether the driver runs there.
    python
        the interpreter that did the reading, where a system has one of its own.
    reading
        None where the node could not be read; ``failure`` says why.
    offset
        of its wall clock, None on this machine without Ray.
    """

    name: str
    node_id: str = ""
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False
    python: str | None = None
    reading: Reading | None = None
    offset: Offset | None = None
    failure: str = ""


def host_names(nodes: Sequence[Examined]) -> list[str]:
    """Return the name of each for the table: its host's, with the node's address or the interpreter where two would be equal."""
    names = [node.reading.machine.host if node.reading else node.name for node in nodes]
    names = _told_apart(names, [node.address for node in nodes])
    return _told_apart(names, [node.python or "" for node in nodes])


def _told_apart(names: Sequence[str], additions: Sequence[str]) -> list[str]:
    return [f"{name} {addition}".strip() if names.count(name) > 1 else name for name, addition in zip(names, additions, strict=True)]
