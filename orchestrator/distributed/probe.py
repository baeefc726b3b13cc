"""Untimed calls on a node: what machine it is and what trials would find there."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.contracts import InputError, first_line
from orchestrator.distributed.placement import Node, import_shipped
from orchestrator.distributed.watch import ask
from orchestrator.doctor.clocks import Offset, Trip, offset_from
from orchestrator.doctor.findings import Examined, HostReading, read_host
from orchestrator.endings import take_no_interrupts
from orchestrator.machine.environment import boot_id
from orchestrator.machine.host import Machine, read_machine
from orchestrator.machine.turn import check_turn
from orchestrator.subject.inspection import Inspector, Look

T = TypeVar("T")

PROBE_TIMEOUT_S = 120.0
"""A worker process on a loaded machine takes seconds to start."""
WANTED = ("numpy", "psutil", "pyarrow", "pydantic", "ray", "scipy")
"""What the timed process imports besides the model's framework."""


def on_node(node_id: str, call: Callable[..., T], *arguments: Any, python: str | None = None) -> Any:
    """Start a call on a node, under another Python where one is named. Return Ray's reference to its result."""
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
    }
    if python is not None:
        options["runtime_env"] = {"py_executable": shlex.quote(python)}
    return ask(ray.remote(call).options(**options).remote, *arguments)


def wait_for(reference: Any, host: str) -> Any:
    """Return what a call on a node returned, or raise what it raised. Raises InputError if the node does not answer."""
    try:
        return ask(ray.get, reference, timeout=PROBE_TIMEOUT_S)
    except GetTimeoutError as error:
        raise InputError(
            f"{host} does not answer within {PROBE_TIMEOUT_S:g} s; see whether its Ray node is alive with `ray status`"
        ) from error
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
    except RayError as error:
        raise InputError(f"{host} cannot start a Python process of ours: {first_line(error)}; see its Ray logs") from error


def read_here() -> Machine:
    """Return what this node's machine has to offer. Raises InputError if no trial could take its turn there."""
    import_shipped(Path.cwd())
    check_turn()
    return read_machine()


def look_here(documents: Sequence[Mapping[str, Any]]) -> list[Look]:
    """Look at models and data of trials on this node."""
    from orchestrator.configuration.config import Trial

    take_no_interrupts()
    import_shipped(Path.cwd())
    inspector = Inspector()
    return [inspector.look(Trial.model_validate(document)) for document in documents]


def python_mismatch(python: str) -> str | None:
    """Return why a Python cannot run trials on this node, or None: it must have this Ray, this minor version and what we import.

    The answer names the Python, both versions and the remedy.
    """
    script = (
        "import sys, importlib.metadata as m\n"
        "print('%d.%d' % sys.version_info[:2])\n"
        f"for name in {WANTED!r}:\n"
        "    try: print(name, m.version(name))\n"
        "    except m.PackageNotFoundError: print(name, '-')\n"
    )
    try:
        # The interpreter is the one that the user named to run the trials.
        done = subprocess.run(  # noqa: S603
            [python, "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"system.python={python} cannot be run ({getattr(error, 'strerror', None) or type(error).__name__}); correct the path"
    minor, *lines = done.stdout.splitlines()
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if minor != ours:
        return f"system.python={python} is Python {minor} and the cluster runs {ours}; both minor versions must be equal"
    found = dict(line.split() for line in lines)
    if found["ray"] not in ("-", metadata.version("ray")):
        return f"system.python={python} has Ray {found['ray']} and the cluster runs {metadata.version('ray')}; both must be equal"
    lacking = [name for name, version in found.items() if version == "-"]
    return f"system.python={python} lacks {', '.join(lacking)}; install tail-quality there" if lacking else None


TRIPS = 30
"""The shortest counts: the first ones start a process."""
Place = tuple[Node, str | None]
"""A node, and the interpreter that a system has there."""


def examine_nodes(places: Sequence[Place], say: Callable[[str], None]) -> list[Examined]:
    """Read all places. Those on one physical machine are read one after the other, so that none disturbs the other."""
    asked = [on_node(node.node_id, boot_id) for node, _ in places]
    found: dict[int, Examined] = {}
    machines: dict[str, list[int]] = {}
    for number, ((node, _), reference) in enumerate(zip(places, asked, strict=True)):
        try:
            machines.setdefault(wait_for(reference, node.name), []).append(number)
        except (InputError, RayTaskError) as error:
            found[number] = _failed(places[number], error)
    turns = max(map(len, machines.values()), default=0)
    for turn in range(turns):
        waiting = {}
        for number in [numbers[turn] for numbers in machines.values() if turn < len(numbers)]:
            say(f"reading {places[number][0].name}")
            waiting[number] = _start(places[number])
        for number, reading in waiting.items():
            found[number] = _examined(places[number], reading)
    return [found[number] for number in range(len(places))]


def read_host_here() -> HostReading:
    """Read this node's machine."""
    import_shipped(Path.cwd())
    return read_host()


def _start(place: Place) -> Any:
    """Start the reading; if the interpreter is unfit, return why."""
    node, python = place
    try:
        mismatch = None if python is None else wait_for(on_node(node.node_id, python_mismatch, python), node.name)
    except (InputError, RayTaskError) as error:
        return error
    return on_node(node.node_id, read_host_here, python=python) if mismatch is None else InputError(mismatch)


def _examined(place: Place, started: Any) -> Examined:
    node, python = place
    try:
        if isinstance(started, Exception):
            raise started
        reading: HostReading = wait_for(started, node.name)
        offset = _offset(node)
    except (InputError, RayTaskError) as error:
        return _failed(place, error)
    return Examined(node.name, node.node_id, node.address, node.labels, node.is_own, python, reading, offset)


def _failed(place: Place, error: Exception) -> Examined:
    node, python = place
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    failure = lines[-1] if lines else type(error).__name__  # of Ray's traceback the last line is the error itself
    return Examined(node.name, node.node_id, node.address, node.labels, node.is_own, python, failure=failure)


def _offset(node: Node) -> Offset:
    """Ask the node's wall clock over and over. One function for all trips: Ray ships each new one to the node first."""
    ask: Any = ray.remote(_wall_ns).options(
        num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    )
    trips = []
    for _ in range(TRIPS):
        sent_ns = time.time_ns()
        host_ns = wait_for(ask.remote(), node.name)
        trips.append(Trip(sent_ns, host_ns, time.time_ns()))
    return offset_from(trips)


def _wall_ns() -> int:
    return time.time_ns()
