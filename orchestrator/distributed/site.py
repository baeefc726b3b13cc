"""The machines of a Ray cluster that is connected, and untimed calls there: what each has to offer, and what trials would find."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.configuration.config import ClusterConfig, SystemConfig, Trial
from orchestrator.configuration.environment_values import path_options, resolved
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.distributed.calls import ask, on_node, wait_for
from orchestrator.distributed.executor import RayExecutor
from orchestrator.distributed.placement import Node, choose_node, import_shipped
from orchestrator.doctor.judge import Diagnosis, Examined, host_names, judge_all, judge_place
from orchestrator.doctor.readings import HostReading, Offset, offset_from, read_host
from orchestrator.endings import take_no_interrupts
from orchestrator.machine.environment import boot_id
from orchestrator.machine.host import Machine, read_machine
from orchestrator.machine.turn import check_turn
from orchestrator.running.executor import Executor
from orchestrator.running.keeper import Keeper
from orchestrator.subject.inspection import Inspector, Look

# What the timed process imports besides the model's framework.
WANTED = ("numpy", "psutil", "pyarrow", "pydantic", "ray", "scipy")
# The shortest counts: the first ones start a process.
TRIPS = 30
# A node, and the interpreter that a system has there.
Place = tuple[Node, str | None]


class RaySite:
    """Nodes are probed when a system first names them, each once per Python.

    ``own`` is the driver's machine, if known already, as with an embedded Ray, whose processes inherit everything from the driver.
    """

    def __init__(self, cluster: ClusterConfig, cache_dir: str, own: Machine | None = None, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        self._cluster = cluster
        self._cache_dir = cache_dir
        self._nodes = living_nodes()
        self._machines: dict[tuple[str, str | None], Machine] = {}
        if own is not None:
            node = choose_node(SystemConfig(name="own"), self._nodes)
            self._keep(node, None, own)

    def machine(self, system: SystemConfig) -> Machine:
        node = choose_node(system, self._nodes)
        key = (node.node_id, system.python)
        if key not in self._machines:
            check_python(node, system.python)
            self._keep(node, system.python, wait_for(on_node(node.node_id, read_here, python=system.python), node.name))
        return self._machines[key]

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        (python,) = {trial.system.python for trial in trials}
        documents = [_with_own_paths(resolved(trial)).model_dump(mode="json") for trial in trials]
        reference = on_node(machine.node_id, look_here, documents, python=python)
        looks: list[Look] = wait_for(reference, machine.host)
        return looks

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        own = choose_node(SystemConfig(name="own"), self._nodes)
        own_id = own.node_id if self._cluster.machines == "node" else boot_id()
        yield RayExecutor(self.machine, self._machine_id, own_id, self._cache_dir, self._keeper)

    def _machine_id(self, machine: Machine) -> str:
        return machine.node_id if self._cluster.machines == "node" else machine.boot_id

    def _keep(self, node: Node, python: str | None, found: Machine) -> None:
        self._machines[node.node_id, python] = replace(found, node_id=node.node_id, labels=dict(node.labels))


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


def read_here() -> Machine:
    """Return what this node's machine has to offer. Raises InputError if no trial could take its turn there."""
    import_shipped(Path.cwd())
    check_turn()
    return read_machine()


def look_here(documents: Sequence[Mapping[str, Any]]) -> list[Look]:
    """Look at models and data of trials on this node."""
    take_no_interrupts()
    import_shipped(Path.cwd())
    inspector = Inspector()
    return [inspector.look(Trial.model_validate(document)) for document in documents]


def python_mismatch(python: str) -> str | None:
    """Return why a Python cannot run trials on this node, or None: it must have this Ray, this minor version and what we import."""
    script = f"import sys, {', '.join(WANTED)}; print('Python %d.%d' % sys.version_info[:2], 'with Ray', ray.__version__)"
    ours = f"Python {sys.version_info[0]}.{sys.version_info[1]} with Ray {ray.__version__}"
    try:
        # The interpreter is the one that the user named to run the trials.
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"system.python={python} cannot be run ({getattr(error, 'strerror', None) or type(error).__name__}); correct the path"
    if done.returncode:
        said = (done.stderr.splitlines() or ["it says nothing"])[-1]
        return f"system.python={python} lacks what trials import ({said}); install tail-quality there"
    found = done.stdout.strip()
    return None if found == ours else f"system.python={python} is {found} and the cluster runs {ours}; both must be equal"


def judge_cluster(
    cluster: ClusterConfig, systems: Sequence[SystemConfig], server: ServerSettings, say: Callable[[str], None]
) -> list[Diagnosis]:
    """Read the nodes of the cluster that is joined, or only those that the systems name, and judge them."""
    nodes = living_nodes()
    chosen: list[tuple[SystemConfig, Node]] = []
    missing: list[Diagnosis] = []
    for system in systems:
        try:
            chosen.append((system, choose_node(system, nodes)))
        except InputError as error:
            missing.append(Diagnosis("-", f"system {system.name}", "bad", str(error), "exactly 1 node has its labels"))
    places = {(node.node_id, system.python): (node, system.python) for system, node in chosen}
    if not systems:
        places = {(node.node_id, None): (node, None) for node in nodes}
    examined = dict(zip(places, examine_nodes(list(places.values()), say), strict=True))
    found = list(examined.values())
    hosts = dict(zip(places, host_names(found), strict=True))
    findings = list(judge_all(found, cluster.machines, read_machine().versions))
    for system, node in chosen:
        place = node.node_id, system.python
        if (reading := examined[place].reading) is not None:
            findings += judge_place(hosts[place], system, server, replace(reading.machine, labels=node.labels))
    return findings + missing


def examine_nodes(places: Sequence[Place], say: Callable[[str], None]) -> list[Examined]:
    """Read all places, one after the other: those on one physical machine would disturb each other."""
    found = []
    for node, python in places:
        say(f"reading {node.name}")
        examined = Examined(node.name, node.node_id, node.address, node.labels, node.is_own, python)
        try:
            check_python(node, python)
            reading: HostReading = wait_for(on_node(node.node_id, read_host_here, python=python), node.name)
            found.append(replace(examined, reading=reading, offset=_offset(node)))
        except (InputError, RayTaskError) as error:
            # Of Ray's traceback the last line is the error itself.
            found.append(replace(examined, failure=(str(error).strip() or type(error).__name__).splitlines()[-1].strip()))
    return found


def check_python(node: Node, python: str | None) -> None:
    """Raise InputError if a system's own Python cannot run trials on a node."""
    mismatch = None if python is None else wait_for(on_node(node.node_id, python_mismatch, python), node.name)
    if mismatch is not None:
        raise InputError(f"{node.name}: {mismatch}", "unsupported", "system.python", python)


def read_host_here() -> HostReading:
    """Read this node's machine."""
    import_shipped(Path.cwd())
    return read_host()


def _offset(node: Node) -> Offset:
    """Ask the node's wall clock over and over. One function for all trips: Ray ships each new one to the node first."""
    strategy = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    clock = ray.remote(lambda: time.time_ns())  # Ray takes no function that is built in
    wall_ns: Any = clock.options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
    trips = []
    for _ in range(TRIPS):
        sent_ns = time.time_ns()
        host_ns = wait_for(wall_ns.remote(), node.name)
        trips.append((sent_ns, host_ns, time.time_ns()))
    return offset_from(trips)
