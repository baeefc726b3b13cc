"""Read every node of a cluster that is connected, each by one untimed call, and ask its clock a few times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.contracts import InputError
from orchestrator.distributed.placement import Node
from orchestrator.distributed.probe import on_node, python_mismatch, wait_for
from orchestrator.distributed.shipping import import_shipped
from orchestrator.health.clocks import Offset, Trip, offset_from
from orchestrator.health.examined import Examined
from orchestrator.health.reading import Reading, read_host
from orchestrator.measurement.environment import boot_id

TRIPS = 30
"""The shortest counts: the first ones start a process."""
Place = tuple[Node, str | None]
"""A node, and the interpreter that a system has there."""


def examine_nodes(places: Sequence[Place], say: Callable[[str], None]) -> list[Examined]:
    """Read all places. Those on one physical machine are read one after the other, so that none is the other's noise."""
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


def read_host_here() -> Reading:
    """Read this node's machine."""
    import_shipped(Path.cwd())
    return read_host()


def _start(place: Place) -> Any:
    """Start the reading; where the interpreter is unfit, return why."""
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
        reading: Reading = wait_for(started, node.name)
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
