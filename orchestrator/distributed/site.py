"""The machines of a Ray cluster that is connected."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import ray

from orchestrator.configuration.config import ClusterConfig, SystemConfig, Trial
from orchestrator.configuration.environment_values import path_options, resolved
from orchestrator.contracts import InputError
from orchestrator.distributed.executor import RayExecutor
from orchestrator.distributed.placement import Node, choose_node
from orchestrator.distributed.probe import look_here, on_node, python_mismatch, read_here, wait_for
from orchestrator.distributed.watch import ask
from orchestrator.machine.environment import boot_id
from orchestrator.machine.host import Machine
from orchestrator.running.executor import Executor
from orchestrator.running.guard import Guard
from orchestrator.subject.inspection import Look

LARGE = 128 * 2**10
"""The limit, in bytes, that glibc begins with."""
LARGEST = 32 * 2**20
"""The limit, in bytes, up to which glibc raises it by itself."""
_M_MMAP_THRESHOLD = -3  # malloc.h


@contextmanager
def steady_heap() -> Iterator[None]:
    """Have glibc give every block above 128 KiB a mapping of its own, and give it back when it is freed. Elsewhere nothing changes.

    glibc takes larger and larger blocks from the heap, the more of them a program frees. They end up among the small ones of the rounds
    that follow, and the heap grows although no more of it is in use (mallopt(3), M_MMAP_THRESHOLD).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, LARGE)
    try:
        yield
    finally:
        # Analysis, which follows, frees and takes the same large blocks over and over.
        mallopt(_M_MMAP_THRESHOLD, LARGEST)


class RaySite:
    """Nodes are probed when a system first names them, each once per Python.

    ``own`` is the driver's machine, if known already, as with an embedded Ray, whose processes inherit everything from the driver.
    """

    def __init__(self, cluster: ClusterConfig, cache_dir: str, own: Machine | None = None, guard: Guard | None = None) -> None:
        self._guard = guard
        self._cluster = cluster
        self._cache_dir = cache_dir
        self._nodes = living_nodes()
        self._machines: dict[tuple[str, str | None], Machine] = {}
        if own is not None:
            node = choose_node(SystemConfig(name="own"), self._nodes)
            self._keep(node, None, own)

    def machine(self, system: SystemConfig) -> Machine:
        """Return the machine of the node that a system's labels name, as read in the Python that the system runs in."""
        node = choose_node(system, self._nodes)
        key = (node.node_id, system.python)
        if key not in self._machines:
            self._keep(node, system.python, self._probe(node, system.python))
        return self._machines[key]

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        """Look at models and data on the machine itself, in the Python that the trials' systems run in, one for all of them."""
        (python,) = {trial.system.python for trial in trials}
        documents = [_with_own_paths(resolved(trial)).model_dump(mode="json") for trial in trials]
        reference = on_node(machine.node_id, look_here, documents, python=python)
        looks: list[Look] = wait_for(reference, machine.host)
        return looks

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Yield the executor over the machines found."""
        own = choose_node(SystemConfig(name="own"), self._nodes)
        own_id = own.node_id if self._cluster.machines == "node" else boot_id()
        with steady_heap():
            yield RayExecutor(self.machine, self._machine_id, own_id, self._cache_dir, self._guard)

    def _machine_id(self, machine: Machine) -> str:
        return machine.node_id if self._cluster.machines == "node" else machine.boot_id

    def _keep(self, node: Node, python: str | None, found: Machine) -> None:
        self._machines[node.node_id, python] = replace(found, node_id=node.node_id, labels=dict(node.labels))

    def _probe(self, node: Node, python: str | None) -> Machine:
        if python is not None:
            mismatch = wait_for(on_node(node.node_id, python_mismatch, python), node.name)
            if mismatch is not None:
                raise InputError(f"{node.name}: {mismatch}")
        machine: Machine = wait_for(on_node(node.node_id, read_here, python=python), node.name)
        return machine


def living_nodes() -> tuple[Node, ...]:
    """Return the nodes that Ray believes alive."""
    own = ray.get_runtime_context().get_node_id()
    return tuple(
        Node(entry["NodeID"], entry["NodeManagerAddress"], dict(entry.get("Labels") or {}), entry["NodeID"] == own)
        for entry in ask(ray.nodes)
        if entry["Alive"]
    )


def _with_own_paths(trial: Trial) -> Trial:
    """Make paths that are relative to the driver's folder absolute: a node's process starts elsewhere."""
    model = trial.model.model_copy(update={"options": {**trial.model.options, **path_options(trial.model.options, [])}})
    task = trial.task.model_copy(update={"options": {**trial.task.options, **path_options(trial.task.options, [])}})
    return trial.model_copy(update={"model": model, "task": task})
