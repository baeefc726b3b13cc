"""The machines of an SSH lab, as its inventory names them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
MOST_VALUES = 10_000
"""An inventory of so many values is a mistake, or aliases of aliases."""
SHARED = ("user", "folder", "python", "port", "ports")


class InventoryError(Exception):
    """A mistake in the inventory."""


@dataclass(frozen=True)
class Machine:
    """One machine of the inventory."""

    host: str
    system: str | None = None
    user: str | None = None
    folder: str = "~/tail-quality"
    python: str = ".venv/bin/python"
    ip: str | None = None
    port: int = 6379
    ports: str = "20000-20099"
    labels: Mapping[str, str] = field(default_factory=dict)

    def run(self, script: str, *options: str, secret: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script of ``cluster/`` there, with ``secret`` on its standard input."""
        return self.shell(f"{self._change_folder()} && {self._environment()} {shlex.join([f'cluster/{script}', *options])}", secret)

    def shell(self, command: str, secret: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command line there."""
        target = f"{self.user}@{self.host}" if self.user else self.host
        return subprocess.run([*SSH, "--", target, command], input=secret, capture_output=True, text=True, check=False)  # noqa: S603

    def _change_folder(self) -> str:
        # The tilde is that machine's home and must not be quoted.
        home, rest = ('"$HOME"/', self.folder[2:]) if self.folder.startswith("~/") else ("", self.folder)
        return f"cd -- {home}{shlex.quote(rest)}"

    def _environment(self) -> str:
        python = self.python if self.python.startswith("/") else f"./{self.python}"
        return f"TAIL_QUALITY_PYTHON={shlex.quote(python)}"

    def options(self) -> list[str]:
        """Return the options that start_head.sh and start_node.sh share."""
        words = ["--ports", self.ports]
        words += ["--system", self.system] if self.system else []
        words += ["--node-ip", self.ip] if self.ip else []
        for key, value in self.labels.items():
            words += ["--label", f"{key}={value}"]
        return words


def read_inventory(path: Path) -> tuple[Machine, list[Machine]]:
    """Return the head and the nodes. Raises InventoryError."""
    try:
        text = path.read_text()
        if _values(yaml.compose(text, Loader=yaml.SafeLoader), {}) > MOST_VALUES:
            raise InventoryError(f"{path}: comes to more than {MOST_VALUES} values with its aliases (*name) written out; shorten it")
        content = yaml.safe_load(text)
    except RecursionError as error:
        raise InventoryError(f"{path}: is nested too deeply; an inventory is a head and a list of nodes") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InventoryError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("head"), dict) or not isinstance(content.get("nodes", []), list):
        raise InventoryError(f"{path}: must have a mapping `head` and a list `nodes`; see cluster/inventory.yaml")
    unknown = sorted(set(content) - {"head", "nodes", *SHARED}, key=str)
    if unknown:
        raise InventoryError(f"{path}: {unknown[0]}: there is no such key; choose of head, nodes, {', '.join(SHARED)}")
    shared = {key: content[key] for key in SHARED if key in content}
    head = _machine(path, "head", content["head"], shared)
    nodes = [_machine(path, f"nodes[{number}]", node, shared) for number, node in enumerate(content.get("nodes", []))]
    for number, node in enumerate(nodes):
        if node.system is None:
            raise InventoryError(f"{path}: nodes[{number}]: {node.host} has no system; say which one it is")
    systems = [machine.system for machine in (head, *nodes) if machine.system]
    twice = sorted({system for system in systems if systems.count(system) > 1})
    if twice:
        raise InventoryError(f"{path}: system {twice[0]} is named twice; a system is one machine")
    return head, nodes


def _values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return how many values a node comes to when its aliases are written out."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 1  # where it stands inside itself
        children = node.value if isinstance(node, yaml.SequenceNode) else [child for pair in node.value for child in pair]
        known[id(node)] += sum(_values(child, known) for child in children)
    return known[id(node)]


def _machine(path: Path, where: str, own: object, shared: Mapping[str, object]) -> Machine:
    if not isinstance(own, dict):
        raise InventoryError(f"{path}: {where}={own}: must be a mapping such as {{host: NAME, system: NAME}}; see cluster/inventory.yaml")
    entry = {**shared, **own}
    for key, value in entry.items():
        if key not in Machine.__dataclass_fields__:
            raise InventoryError(f"{path}: {where}.{key}: there is no such key; choose of {', '.join(Machine.__dataclass_fields__)}")
        _check_kind(path, f"{where}.{key}", value, {"port": int, "labels": dict}.get(key, str))
    for key, value in entry.get("labels", {}).items():
        _check_kind(path, f"{where}.labels, the key {key}", key, str)
        _check_kind(path, f"{where}.labels.{key}", value, str)
    host = entry.get("host", "")
    if not host or host.startswith("-"):
        raise InventoryError(f"{path}: {where}: needs a host that ssh can reach")
    return Machine(**entry)


def _check_kind(path: Path, where: str, value: object, kind: type) -> None:
    # YAML makes numbers and truth values of unquoted words; a truth value counts as a number in Python.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InventoryError(f"{path}: {where}={value}: must be a {kind.__name__}; put text in quotes")
