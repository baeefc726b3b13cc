"""Processes of this program beside the timed one: its driver, Ray's daemons, the trials that rest, and what the timed process started."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

from orchestrator.machine.environment import first_bytes, read_text
from orchestrator.machine.host import Identity, living

NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted from the state after the name.
PARENT, USER, SYSTEM = 1, 11, 12
# Names of Ray's daemons; Ray has no public call that says which processes are its own.
RAYLET, HEAD = "raylet", "gcs_server"
LOAD = Path("/proc/loadavg")  # ends with how many threads there are, and the number of the newest
# In the command line of each of Ray's daemons: which Ray it belongs to, which nothing public says of a process.
SESSION = re.compile(r"session_[\w.-]+")


@dataclass(frozen=True)
class OwnProcesses:
    """Ids of processes.

    program
        the driver, Ray's daemons and what they started, the timed process and its children left out.
    children
        what the timed process has started: a part of what is timed.
    neighbour
        what the trial starts to work beside what is timed.
    """

    program: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    neighbour: tuple[int, ...] = ()


def divide(parents: Mapping[int, int], roots: Iterable[int], own: int, beside: Iterable[int] = ()) -> OwnProcesses:
    """Return whose processes are this program's.

    Parameters
    ----------
    parents
        parent of each process of the machine.
    roots
        from which the program's processes descend.
    own
        the timed process.
    beside
        from which the neighbour's descend.

    Examples
    --------
    >>> divide({2: 1, 3: 2, 4: 3, 5: 4, 6: 3, 7: 1, 8: 7}, roots=[2], own=4, beside=[7])
    OwnProcesses(program=(2, 3, 6), children=(5,), neighbour=(7, 8))
    """
    neighbour = _below(parents, beside)
    children = _below(parents, [own]) - neighbour
    program = _below(parents, roots) - children - neighbour
    return OwnProcesses(*(tuple(sorted(found - {own})) for found in (program, children, neighbour)))


def _below(parents: Mapping[int, int], roots: Iterable[int]) -> set[int]:
    below, left = set(roots) & set(parents), True
    while left:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        below, left = below | more, bool(more)
    return below


class Kin:
    """Finds the processes that are this program's now, again and again.

    It looks anew only where a process or thread has begun or ended since, and reads nothing a second time of those that it has met.
    """

    def __init__(self, roots: Collection[int], beside: Collection[int] = ()) -> None:
        self._roots, self._beside = roots, beside
        self._parents: dict[int, int] = {}
        self._alive, self._found = "", OwnProcesses()

    def find(self) -> OwnProcesses:
        alive = (read_text(LOAD) or "").rpartition("/")[2]
        if alive != self._alive or not alive:
            self._alive, self._parents = alive, read_parents(self._parents)
            self._found = divide(self._parents, self._roots, os.getpid(), self._beside)
        return self._found


def read_parents(known: Mapping[int, int] = MappingProxyType({})) -> dict[int, int]:
    """Return the parent of each process of this machine.

    A process has the parent that is ``known``, as long as that lives: when it ends, another takes its place.
    """
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - half the time of paths
    kept = {pid: known[pid] for pid in pids if known.get(pid) in pids}
    return kept | {pid: int(fields[PARENT]) for pid in pids - kept.keys() if (fields := read_stat(pid))}


def read_cpu_ns(pids: Iterable[int]) -> dict[int, int]:
    """Return the processor time of each process that there still is, to within a tick of the kernel."""
    return {pid: (int(fields[USER]) + int(fields[SYSTEM])) * NS_PER_TICK for pid in pids if (fields := read_stat(pid))}


def read_stat(pid: int | None) -> list[bytes]:
    """Return what the kernel says of a process from its state on; nothing of one that is gone."""
    return first_bytes(f"/proc/{pid}/stat", 1024).rpartition(b")")[2].split()


def roots_beside(driver: Identity) -> tuple[int, ...]:
    """Return from which processes those of this program descend, on the machine of a process that Ray has started.

    Its raylet, the head of the same Ray where that runs beside it, and the driver if it is on this machine.
    """
    roots = []
    with suppress(psutil.Error):
        raylet = psutil.Process().parent()
        if raylet is not None and raylet.name() == RAYLET:
            roots.append(raylet.pid)
            above = raylet.parent()
            beside = [] if above is None else [process for process in above.children() if process.name() == HEAD]
            roots += [process.pid for process in beside if _session(process) == _session(raylet)]
    return (*roots, *(process.pid for process in living(driver.pid, driver.created_s, driver.boot_id)))


def _session(process: psutil.Process) -> str | None:
    match = SESSION.search(" ".join(process.cmdline()))
    return match[0] if match else None
