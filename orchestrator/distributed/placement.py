"""Which node of the cluster a system means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.config import SystemConfig
from orchestrator.contracts import InputError


@dataclass(frozen=True)
class Node:
    """One Ray node as probed: its labels, the physical machine it is on, the cores and devices it may use."""

    node_id: str
    host: str
    boot_id: str
    cores: tuple[int, ...]
    devices: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def choose_node(system: SystemConfig, nodes: Sequence[Node]) -> Node:
    """Return the one node whose labels match, the first by host name where several do.

    Raises InputError where none does.
    """
    matching = [node for node in nodes if all(node.labels.get(key) == value for key, value in system.labels.items())]
    if not matching:
        known = sorted({f"{key}={value}" for node in nodes for key, value in node.labels.items() if not key.startswith("ray.io/")})
        wanted = ", ".join(f"{key}={value}" for key, value in sorted(system.labels.items()))
        raise InputError(f"system.labels of {system.name}: no node has {wanted}; labels there: {', '.join(known) or 'none'}")
    return min(matching, key=lambda node: (node.host, node.node_id))
