"""Which node of the cluster a system means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.configuration.config import SystemConfig
from orchestrator.contracts import InputError

RAY_LABELS = "ray.io/"


@dataclass(frozen=True)
class Node:
    """One living Ray node: its address and labels, and whether the driver runs on it."""

    node_id: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False

    @property
    def name(self) -> str:
        """What a person knows the node by."""
        told = ", ".join(f"{key}={value}" for key, value in self.labels.items() if not key.startswith(RAY_LABELS))
        return f"{self.address} ({told})" if told else self.address


def choose_node(system: SystemConfig, nodes: Sequence[Node]) -> Node:
    """Return the one node that a system's labels name; a system without labels is the driver's own node.

    Raises
    ------
    InputError
        where none has the labels, or several have.
    """
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(system.labels.items()))
    matching = [node for node in nodes if _matches(system, node)]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        known = sorted({f"{key}={value}" for node in nodes for key, value in node.labels.items() if not key.startswith(RAY_LABELS)})
        raise InputError(f"system.labels of {system.name}: no node has {wanted}; labels there: {', '.join(known) or 'none'}")
    there = ", ".join(sorted(node.name for node in matching))
    remedy = "add a label that one of them has alone"
    if len({node.address for node in matching}) < len(matching):
        remedy += "; if one was started anew a moment ago, wait a minute: Ray may not have noticed yet that its old node is gone"
    raise InputError(f"system.labels of {system.name}: {len(matching)} nodes have {wanted} ({there}); {remedy}")


def _matches(system: SystemConfig, node: Node) -> bool:
    if not system.labels:
        return node.is_own
    return all(node.labels.get(key) == value for key, value in system.labels.items())
