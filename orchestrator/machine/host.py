"""What one machine has to offer, read without a framework, what it must, and its processes as the operating system knows them."""

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.machine.cores import allowed_cores, choose_cores, format_cores, parse_cores, read_memory_limit
from orchestrator.machine.environment import DECISIVE, boot_id, distribution_version, gpu_driver, nvml, told_by_driver

NODES = Path("/sys/devices/system/node")


@dataclass(frozen=True)
class Machine:
    """The facts that a plan must fit.

    cores
        those this process may use.
    memory_bytes
        physical memory, or what a control group allows of it.
    device_memory
        accelerators besides ``cpu``, ``cuda:0`` and so on and their UUIDs, with the memory each has in bytes, None if the driver does
        not say.
    numa
        cores of each NUMA node.
    labels
        labels of the Ray node, none for an embedded Ray.
    node_id, boot_id
        the Ray node, empty where there is none, and the physical machine it is on.
    versions
        of Python, Ray, the frameworks and the GPU driver that are installed there.
    """

    host: str
    cores: tuple[int, ...]
    memory_bytes: int
    device_memory: Mapping[str, int | None] = field(default_factory=dict)
    numa: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""
    boot_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(self.device_memory)


def read_machine() -> Machine:
    """Return what this machine has to offer."""
    versions = {name: version for name in DECISIVE if (version := distribution_version(name))}
    return Machine(
        host=socket.gethostname(),
        cores=allowed_cores(),
        memory_bytes=min(int(psutil.virtual_memory().total), read_memory_limit() or sys.maxsize),
        device_memory=dict(_devices()),
        numa=numa_cores(),
        boot_id=boot_id(),
        versions={"python": platform.python_version(), **versions, **gpu_driver()},
    )


def is_device(wanted: str, known: str) -> bool:
    """Return whether a system's name of one GPU means one that a machine knows. A UUID may be cut short, as CUDA allows it."""
    return wanted == known if wanted.startswith("cuda:") else known.startswith(wanted)


def numa_cores() -> dict[int, tuple[int, ...]]:
    """Return the cores of each NUMA node."""
    return {int(node.name[4:]): parse_cores((node / "cpulist").read_text()) for node in sorted(NODES.glob("node[0-9]*"))}


def cores_offered(system: SystemConfig, allowed: Iterable[int], numa: Mapping[int, tuple[int, ...]], host: str) -> tuple[int, ...]:
    """Return the cores that a system is given out of those allowed. Raises InputError for cores or a NUMA node that are not there."""
    if system.numa is None:
        return choose_cores(system.cores, allowed)
    if system.numa not in numa:
        raise InputError(
            f"system.numa={system.numa}: {host} has the NUMA nodes {', '.join(map(str, numa)) or 'none'}; choose one of these or null",
            "unsupported",
            "system.numa",
            system.numa,
        )
    there = set(allowed) & set(numa[system.numa])
    if not there:
        raise InputError(
            f"system.numa={system.numa}: this process may use none of its cores on {host}; choose another node",
            "unsupported",
            "system.numa",
            system.numa,
        )
    return choose_cores(system.cores, there)


def server_cores_offered(
    server: ServerSettings, system: SystemConfig, allowed: Iterable[int], numa: Mapping[int, tuple[int, ...]], host: str
) -> tuple[int, ...]:
    """Return the cores of a server that is started: out of those allowed, and none of its client's.

    A number takes the highest ones that the client leaves. Raises InputError where it leaves too few, or the list names one of its own.
    """
    have = tuple(sorted(allowed))
    client = cores_offered(system, have, numa, host)
    free = tuple(core for core in have if core not in client)
    where = f"{host} allows the cores {format_cores(have)}, of which system {system.name} has {format_cores(client)} for the client"
    if isinstance(server.cores, tuple):
        missing = [core for core in server.cores if core not in free]
        if missing or not server.cores:
            named = "the list is empty" if not server.cores else f"{format_cores(missing)} cannot be its own"
            raise InputError(
                f"server.cores={list(server.cores)}: {named}: {where}; list others, or change system.cores",
                "conflict",
                "server.cores",
                list(server.cores),
            )
        return tuple(sorted(server.cores))
    wanted = len(free) if server.cores is None else server.cores
    if not free or wanted > len(free):
        asked = "null" if server.cores is None else server.cores
        raise InputError(
            f"server.cores={asked}: the client leaves {len(free)}: {where}; set system.cores to fewer", "conflict", "server.cores", asked
        )
    return free[-wanted:]


def neighbour_cores_offered(trial: Trial, allowed: Iterable[int], numa: Mapping[int, tuple[int, ...]], host: str) -> tuple[int, ...]:
    """Return the cores of a trial's neighbour; none without one. Raises InputError where there are none, or not those listed."""
    if not trial.neighbour.is_started:
        return ()
    have, wanted = tuple(allowed), trial.neighbour.cores
    client = cores_offered(trial.system, have, numa, host)
    taken = {*client, *(server_cores_offered(trial.server, trial.system, have, numa, host) if trial.server.is_started else ())}
    found = client if wanted == "same" else wanted if isinstance(wanted, tuple) else tuple(core for core in have if core not in taken)
    if not found or not set(found) <= set(have):
        raise InputError(
            f"neighbour.cores={list(wanted) if isinstance(wanted, tuple) else wanted or 'beside'}: {host} allows the cores "
            f"{format_cores(have)}, of which the trial has {format_cores(taken)}; write same, list others, or set system.cores to fewer",
            "conflict",
            "neighbour.cores",
            wanted,
        )
    return found


def cores_of_trial(trial: Trial, allowed: Iterable[int], numa: Mapping[int, tuple[int, ...]], host: str) -> tuple[int, ...]:
    """Return all cores that a trial works on: its system's, and those of what it starts. Raises InputError for those not there."""
    have = tuple(allowed)
    client = cores_offered(trial.system, have, numa, host)
    server = server_cores_offered(trial.server, trial.system, have, numa, host) if trial.server.is_started else ()
    return tuple(sorted({*client, *server, *neighbour_cores_offered(trial, have, numa, host)}))


def _devices() -> Iterator[tuple[str, int | None]]:
    """Yield the GPUs that the driver shows and the MIG parts of each, with their memory; none where there is no driver."""
    with nvml() as library:
        for index in range(0 if library is None else library.nvmlDeviceGetCount()):
            gpu = library.nvmlDeviceGetHandleByIndex(index)
            parts = told_by_driver(partial(library.nvmlDeviceGetMaxMigDeviceCount, gpu)) or 0
            found = [told_by_driver(partial(library.nvmlDeviceGetMigDeviceHandleByIndex, gpu, part)) for part in range(parts)]
            for handle in (gpu, *filter(None, found)):
                memory = told_by_driver(partial(library.nvmlDeviceGetMemoryInfo, handle))
                total = None if memory is None else int(memory.total)
                if handle is gpu:
                    yield f"cuda:{index}", total
                yield str(library.nvmlDeviceGetUUID(handle)), total


@dataclass(frozen=True)
class Identity:
    """A process as its operating system knows it; ``created_s`` is when it began, s since 1970."""

    pid: int
    host: str
    boot_id: str
    created_s: float


# A process is the same one if it began at the same time, to within the resolution of the kernel's
# clock.
SAME_START_S = 1.0


def own_identity() -> Identity:
    """Return which process this is."""
    return Identity(os.getpid(), socket.gethostname(), boot_id(), psutil.Process().create_time())


def living(pid: int, created_s: float | None, boot: str | None) -> list[psutil.Process]:
    """Return a process of this machine, alone; none where it is gone, or another has got its id meanwhile or after a reboot."""
    with suppress(psutil.Error, FileNotFoundError):
        process = psutil.Process(pid)
        if boot in (None, boot_id()) and created_s is not None and abs(process.create_time() - created_s) <= SAME_START_S:
            return [process]
    return []


def end_process(pid: int, created_s: float | None, boot: str | None, patience_s: float) -> None:
    """Wait until a process of this machine is gone, and kill it where it stays."""
    _, left = psutil.wait_procs(living(pid, created_s, boot), timeout=patience_s)
    for process in left:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    psutil.wait_procs(left, timeout=patience_s)


MIB = 2**20
# Bytes that must be free in the folder for temporary files, without and with an embedded Ray: its
# logs, and the code it imports.
LEAST_FREE = {False: 1 * MIB, True: 32 * MIB}
# What a process must be allowed, without and with Ray: tables of results, or Ray's memory for
# objects, which is one file; files, of which Ray's own processes have 55 with two trials, and die
# of too few without a word; and addresses, without a large model.
LIMITS = (
    ("f", resource.RLIMIT_FSIZE, {False: 16 * MIB, True: 512 * MIB}, MIB, "files may become {} MiB long", "unlimited"),
    ("n", resource.RLIMIT_NOFILE, {False: 64, True: 256}, 1, "a process may have {} files open", "8192"),
    ("v", resource.RLIMIT_AS, {False: 2560 * MIB, True: 4096 * MIB}, MIB, "a process may have {} MiB of addresses", "unlimited"),
)


def check_surroundings(with_ray: bool) -> None:
    """Raise InputError if a campaign on this machine would end before its first round, or Ray would not start.

    Parameters
    ----------
    with_ray
        whether a Ray is started for it.
    """
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE[with_ray]:
        raise InputError(
            f"{folder}: {free / MIB:.1f} MiB are free, and temporary files need {LEAST_FREE[with_ray] / MIB:.0f}; free some, or name "
            "another folder with TMPDIR",
            "unsupported",
            "TMPDIR",
            folder,
        )
    for option, number, least, unit, may, enough in LIMITS:
        limit = resource.getrlimit(number)[with_ray and option == "n"]  # Ray raises that one as far as it may
        if limit != resource.RLIM_INFINITY and limit < least[with_ray]:
            raise InputError(
                f"ulimit -{option}: {may.format(f'{limit / unit:,.5g}')}, and {'Ray' if with_ray else 'the program'} needs "
                f"{least[with_ray] / unit:,.0f}; raise it with `ulimit -{option} {enough}`",
                "unsupported",
                f"ulimit -{option}",
                limit,
            )
