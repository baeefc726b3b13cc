"""Which cores, how much of their time and how much memory a process may use."""

import os
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.machine.environment import read_text

# Read by numerical libraries when they are imported; set before that, from the process's own
# environment.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)

# A thread that has used this share of the measuring thread's CPU time computes. Ray's own use a
# hundredth of it.
BUSY_SHARE = 0.05


@dataclass(frozen=True)
class ThreadMask:
    """One thread as ``/proc/PID/task`` shows it."""

    tid: int
    name: str
    cores: tuple[int, ...]
    cpu_ns: int


def allowed_cores() -> tuple[int, ...]:
    """Return the cores this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def choose_cores(wanted: int | Iterable[int] | None, allowed: Iterable[int]) -> tuple[int, ...]:
    """Return the cores a system asks for, out of those that are allowed.

    A number takes the highest ones: the lowest serve most interrupts. Raises InputError for cores that are not there.
    """
    have = tuple(sorted(allowed))
    if wanted is None:
        return have
    if isinstance(wanted, int):
        if wanted > len(have):
            raise InputError(
                f"system.cores={wanted}: this machine allows {len(have)} ({format_cores(have)}); ask for fewer",
                "unsupported",
                "system.cores",
                wanted,
            )
        return have[-wanted:]
    asked = tuple(sorted(set(wanted)))
    missing = sorted(set(asked) - set(have))
    if not asked or missing:
        lacking = f"core {format_cores(missing)}" if missing else "core list is empty"
        raise InputError(
            f"system.cores={list(asked)}: {lacking}; this machine allows {format_cores(have)}", "unsupported", "system.cores", list(asked)
        )
    return asked


def parse_cores(text: str) -> tuple[int, ...]:
    """Return the cores that a kernel file lists as ``0-3,8``."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        low, _, high = part.partition("-")
        cores.extend(range(int(low), int(high or low) + 1))
    return tuple(cores)


def format_cores(cores: Iterable[int]) -> str:
    """Return cores as ``parse_cores`` reads them."""
    spans: list[tuple[int, int]] = []
    for core in sorted(cores):
        if spans and core == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], core)
        else:
            spans.append((core, core))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def pin(cores: tuple[int, ...]) -> tuple[int, ...]:
    """Pin the calling thread to ``cores`` and move the threads that exist already to other cores, where there are any.

    Threads that are created from now on by the calling thread inherit its mask. Returns the ids of the threads moved.
    """
    others = tuple(sorted(set(allowed_cores()) - set(cores))) or cores
    moved = tuple(tid for tid in _task_ids() if tid != threading.get_native_id())
    for tid in moved:
        try:
            os.sched_setaffinity(tid, others)
        except ProcessLookupError:
            continue
    os.sched_setaffinity(0, cores)
    return moved


def read_threads(pid: int | str = "self") -> list[ThreadMask]:
    """Return every thread of a process with its mask and the CPU time it has used."""
    threads = []
    for tid in _task_ids(pid):
        folder = Path(f"/proc/{pid}/task/{tid}")
        try:
            cores = tuple(sorted(os.sched_getaffinity(tid)))
            name = (folder / "comm").read_text().strip()
            cpu_ns = int((folder / "schedstat").read_text().split()[0]) if (folder / "schedstat").exists() else 0
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        threads.append(ThreadMask(tid, name, cores, cpu_ns))
    return threads


def check_pinning(
    cores: tuple[int, ...], allowed: tuple[int, ...], threads: list[ThreadMask], moved: Collection[int] = (), measuring: int | None = None
) -> list[ThreadMask]:
    """Return the threads that compute, or raise InputError naming one that is not where it should be.

    A thread computes unless it sits on the other cores and has cause to: it existed before pinning and was moved there, or it was
    started by one of those and has hardly run. A library that binds its workers to the wrong cores is found by the time they use.

    Parameters
    ----------
    cores, allowed
        of the trial, and of the process before it was pinned.
    threads
        as `read_threads` returns them, after warm-up.
    moved, measuring
        ids of the threads that `pin` moved, and of the thread that times.
    """
    others = tuple(sorted(set(allowed) - set(cores)))
    busy_ns = BUSY_SHARE * max((thread.cpu_ns for thread in threads if thread.tid == measuring), default=0)
    computing = [
        thread
        for thread in threads
        if thread.tid == measuring or thread.cores != others or (thread.tid not in moved and 0 < busy_ns <= thread.cpu_ns)
    ]
    for thread in computing:
        if not set(thread.cores) <= set(cores):
            raise InputError(
                f"thread {thread.name} ({thread.tid}) runs on cores {format_cores(thread.cores)} and not on {format_cores(cores)}: the "
                "model's library sets masks of its own; turn that off or choose system.cores to fit",
                "unsupported",
                "system.cores",
                tuple(cores),
            )
    return computing


def check_server_threads(cores: tuple[int, ...], pids: Iterable[int]) -> None:
    """Raise InputError for the first thread of a server's processes that may run on other cores than the server's."""
    for thread in (thread for pid in pids for thread in read_threads(pid)):
        if not set(thread.cores) <= set(cores):
            raise InputError(
                f"thread {thread.name} ({thread.tid}) of the server may run on cores {format_cores(thread.cores)} and not on "
                f"{format_cores(cores)} alone: the server sets masks of its own; turn that off or choose server.cores to fit",
                "unsupported",
                "server.cores",
                tuple(cores),
            )


def _task_ids(pid: int | str = "self") -> list[int]:
    """Return the threads of a process; none of one that is gone."""
    try:
        return sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


@dataclass(frozen=True)
class Quota:
    """The tightest quota above this process. ``cores`` is processor time per time; ``version`` that of the control groups."""

    cores: float
    period_us: int
    version: int


def read_quota(cgroup: str | None = None, mountinfo: str | None = None) -> Quota | None:
    """Return the tightest quota among this process's groups and those they are in, from the files of these names in ``/proc/self``."""
    found = (_quota(folder, version) for version, folders in _groups(cgroup, mountinfo) for folder in folders)
    return min(filter(None, found), key=lambda quota: quota.cores, default=None)


def read_throttle_files(cgroup: str | None = None, mountinfo: str | None = None) -> tuple[Path, ...]:
    """Return where the kernel counts how often and how long quotas have stopped this process.

    That is the ``cpu.stat`` of its own group, and of each group that it is in and that has a quota; parameters as above.
    """
    folders = [
        folder
        for version, (own, *above) in _groups(cgroup, mountinfo)
        for folder in (own, *(one for one in above if _quota(one, version) is not None))
    ]
    return tuple(folder / "cpu.stat" for folder in folders if "nr_throttled" in (read_text(folder / "cpu.stat") or ""))


def read_memory_limit() -> int | None:
    """Return the tightest limit of memory above this process, in bytes, or None; of control groups of version 2."""
    folders = [folder for version, folders in _groups() if version == 2 for folder in folders]
    limits = [read_text(folder / "memory.max") or "" for folder in folders]
    return min((int(limit) for limit in limits if limit.isdigit()), default=None)


def _groups(cgroup: str | None = None, mountinfo: str | None = None) -> list[tuple[int, list[Path]]]:
    """Return the version of each of a process's control groups, with its folder and those of the groups that it is in."""
    own = dict(_own_groups(read_text(Path("/proc/self/cgroup")) or "" if cgroup is None else cgroup))
    mounts = _mounts(read_text(Path("/proc/self/mountinfo")) or "" if mountinfo is None else mountinfo)
    return [(version, list(_upward(own[version], root, mount))) for version, root, mount in mounts if version in own]


def _own_groups(cgroup: str) -> Iterator[tuple[int, str]]:
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(mountinfo: str) -> Iterator[tuple[int, str, Path]]:
    """Yield version, the group that is mounted, and where."""
    for line in mountinfo.splitlines():
        place, _, system = line.partition(" - ")
        root, mount = (text.replace("\\040", " ") for text in place.split()[3:5])
        kind, *_, options = system.split()
        if kind == "cgroup2":
            yield 2, root, Path(mount)
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield 1, root, Path(mount)


def _upward(own: str, root: str, mount: Path) -> Iterator[Path]:
    """Yield the folder of a group and of those it is in, as far as they are mounted.

    In a container the group may lie outside what is mounted: there the mount itself is the group.
    """
    below = Path(own).relative_to(root) if Path(own).is_relative_to(root) else Path()
    folder = mount / below
    if ".." in below.parts or not folder.is_dir():
        folder = mount
    yield folder
    yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _quota(folder: Path, version: int) -> Quota | None:
    if version == 2:
        quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
    else:
        quota, period = (read_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    if not (quota.isdigit() and period.isdigit()):  # "max" and -1 are none
        return None
    return Quota(int(quota) / int(period), int(period), version)
