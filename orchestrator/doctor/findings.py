"""What is read of a host for the doctor, and what a check says: good, doubtful or bad, the value seen, and the rule that decided."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.doctor.clocks import Clocks, Offset, read_clocks
from orchestrator.doctor.noise import Activity, Gpu, Noise, Processor, read_activity, read_gpus, read_noise, read_processor
from orchestrator.machine.cores import Quota, read_quota
from orchestrator.machine.host import Machine, read_machine
from orchestrator.machine.turn import TurnState, read_turn

Grade = Literal["good", "doubtful", "bad"]
GRADES: tuple[Grade, ...] = ("good", "doubtful", "bad")


@dataclass(frozen=True)
class Finding:
    """One line of the answer. ``why`` is the rule with its number, and the remedy where one is needed."""

    host: str
    what: str
    grade: Grade
    seen: str
    why: str


def graded(value: float, good: float, doubtful: float) -> Grade:
    """Return ``good`` up to one bound, ``doubtful`` up to the next, and ``bad`` beyond."""
    if value <= good:
        return "good"
    return "doubtful" if value <= doubtful else "bad"


def worst(*grades: Grade) -> Grade:
    """Return the worst of several grades."""
    return max(grades, key=GRADES.index)


@dataclass(frozen=True)
class HostReading:
    """One machine as one process sees it."""

    machine: Machine
    clocks: Clocks
    processor: Processor
    noise: Noise
    activity: Activity
    quota: Quota | None
    niceness: int
    turn: TurnState
    gpus: tuple[Gpu, ...]


def read_host() -> HostReading:
    """Read this machine in this process; it takes about three seconds."""
    return HostReading(
        machine=read_machine(),
        clocks=read_clocks(),
        processor=read_processor(),
        gpus=read_gpus(),
        quota=read_quota(),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        turn=read_turn(),
        activity=read_activity(),
        noise=read_noise(),
    )


@dataclass(frozen=True)
class Examined:
    """What is known of one node.

    name
        its name for people: address and labels.
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
    reading: HostReading | None = None
    offset: Offset | None = None
    failure: str = ""


def host_names(nodes: Sequence[Examined]) -> list[str]:
    """Return the name of each for the table: its host's, with the node's address or the interpreter if two would be equal."""
    names = [node.reading.machine.host if node.reading else node.name for node in nodes]
    names = _told_apart(names, [node.address for node in nodes])
    return _told_apart(names, [node.python or "" for node in nodes])


def _told_apart(names: Sequence[str], additions: Sequence[str]) -> list[str]:
    return [f"{name} {addition}".strip() if names.count(name) > 1 else name for name, addition in zip(names, additions, strict=True)]
