"""Which node of the cluster a system means, and the code that Ray's workers import there.

The code is our two packages and the user's folders, copied into one small working directory: workers would otherwise find a stray
``tasks.py`` of the driver's working directory before the package ``tasks``.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orchestrator
from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.contracts import InputError
from orchestrator.subject.targets import check_packages

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
        labels = ", ".join(f"{key}={value}" for key, value in self.labels.items() if not key.startswith(RAY_LABELS))
        return f"{self.address} ({labels})" if labels else self.address


def choose_node(system: SystemConfig, nodes: Sequence[Node]) -> Node:
    """Return the one node that a system's labels name; a system without labels is the driver's own node.

    Raises
    ------
    InputError
        if none has the labels, or several have.
    """
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(system.labels.items()))
    matching = [
        node for node in nodes
        if (all(node.labels.get(key) == value for key, value in system.labels.items()) if system.labels else node.is_own)
    ]  # fmt: skip
    if len(matching) == 1:
        return matching[0]
    if not matching:
        known = sorted({f"{key}={value}" for node in nodes for key, value in node.labels.items() if not key.startswith(RAY_LABELS)})
        raise InputError(
            f"system.labels of {system.name}: no node has {wanted}; labels there: {', '.join(known) or 'none'}",
            "not_found",
            "system.labels",
            wanted,
        )
    there = ", ".join(sorted(node.name for node in matching))
    remedy = "add a label that one of them has alone, or wait a minute where one was restarted just now"
    raise InputError(
        f"system.labels of {system.name}: {len(matching)} nodes have {wanted} ({there}); {remedy}", "conflict", "system.labels", wanted
    )


def gpus_to_reserve(trial: Trial) -> int:
    """Return how many GPUs of its node a trial asks Ray for, so that no other job of the cluster is given them meanwhile.

    Only trials that run one after another can: those that share their machine in visits, or by ``exclusive: false``, are loaded at the same
    time, and what one of them reserved would be missing for the next.
    """
    alone = trial.measurement.rounds_per_visit is None and trial.system.exclusive
    return len(trial.system.gpus) if alone else 0


CODE = "user_code"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "conf")
LARGEST_BYTES = 100 * 2**20


def stage_code(folder: Path, code: Sequence[str]) -> None:
    """Copy the packages ``orchestrator`` and ``tasks`` and the folders of ``code`` into ``folder``.

    Raises InputError for a folder that is too large to be code.
    """
    ours = Path(orchestrator.__file__).parent
    shutil.copytree(ours, folder / "orchestrator", ignore=IGNORED)
    shutil.copytree(ours.parent / "tasks", folder / "tasks", ignore=IGNORED)
    for number, name in enumerate(code):
        source = Path(name).expanduser()
        size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        if size > LARGEST_BYTES:
            raise InputError(
                f"code={name}: {size / 2**20:.0f} MiB, at most {LARGEST_BYTES / 2**20:.0f} are shipped; move data out of it",
                "too_large",
                "code",
                name,
            )
        shutil.copytree(source, folder / CODE / str(number), ignore=IGNORED)


def import_shipped(folder: Path) -> None:
    """Make the user's folders importable in a worker, after our own packages, and check that ours are the shipped ones.

    Raises InputError if another ``orchestrator`` or ``tasks`` comes first.
    """
    check_packages(folder.resolve())
    shipped = folder / CODE
    if shipped.is_dir():
        sys.path.extend(str(path) for path in sorted(shipped.iterdir(), key=lambda path: int(path.name)))
