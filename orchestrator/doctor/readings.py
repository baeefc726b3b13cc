"""What is read of a machine: clocks, times of a fixed piece of work on a core, what else goes on, its processor and its GPUs."""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from orchestrator.machine.cores import Quota, allowed_cores, parse_cores, read_quota
from orchestrator.machine.environment import environment, nvml, read_text, told_by_driver
from orchestrator.machine.host import Machine, read_machine
from orchestrator.machine.turn import TurnState, read_turn
from orchestrator.measurement.evidence import NS_PER_TICK, read_counters, time_kernel

READS = 20_000
SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@dataclass(frozen=True)
class Clocks:
    """Both clocks of a host.

    overhead_ns
        median of the differences between one reading of the timer and the next, the loop around them included.
    resolution_ns, wall_resolution_ns
        step of the timer and of the wall clock; 0 where a clock stood still.
    backwards
        how often the timer went back.
    source
        what the kernel takes the time from, such as ``tsc``; None if it does not say.
    """

    overhead_ns: float
    resolution_ns: int
    wall_resolution_ns: int
    backwards: int
    source: str | None


@dataclass(frozen=True)
class Offset:
    """A host's wall clock less the driver's; the truth is within ``half_trip_ns`` of it."""

    offset_ns: int
    half_trip_ns: int


def read_clocks() -> Clocks:
    """Read the timer and the wall clock back to back."""
    steps = steps_of(time.perf_counter_ns)
    return Clocks(
        overhead_ns=statistics.median(steps),
        resolution_ns=math.gcd(*steps),
        wall_resolution_ns=math.gcd(*steps_of(time.time_ns)),
        backwards=sum(step < 0 for step in steps),
        source=read_text(SOURCE),
    )


def steps_of(clock: Callable[[], int], reads: int = READS) -> list[int]:
    """Return the differences between consecutive readings of a clock."""
    stamps = [clock() for _ in range(reads)]
    return [later - earlier for earlier, later in pairwise(stamps)]


def offset_from(trips: Iterable[tuple[int, int, int]]) -> Offset:
    """Return the offset by the shortest trip: the host read its clock at some moment within it.

    Of each trip: when it was sent by the driver's clock, what the host's clock said, and when the answer came; ns.
    """
    sent_ns, host_ns, received_ns = min(trips, key=lambda trip: trip[2] - trip[0])
    half_trip_ns = (received_ns - sent_ns + 1) // 2
    return Offset(host_ns - sent_ns - half_trip_ns, half_trip_ns)


WARMUP = 50
AT_ONCE = 50
AT_LEAST = 300
AT_MOST = 20_000
# So long that one tick of the kernel's count of stolen time, 10 ms, is half a percent.
DURATION_S = 2.0
# Field of /proc/thread-self/stat, counted from the state after the name.
PROCESSOR_FIELD = 36


@dataclass(frozen=True)
class Noise:
    """The fixed work on one core.

    core
        the one pinned to.
    read_back
        the mask that the kernel then shows for this thread; empty where the operating system cannot pin.
    ran_on
        the core that the kernel last saw the thread on, or None if it does not say.
    refused
        why the kernel did not pin, or nothing.
    """

    core: int
    read_back: tuple[int, ...]
    ran_on: int | None
    refused: str
    count: int
    median_ns: int
    p99_ns: int
    max_ns: int
    duration_ns: int
    steal_ns: int


def read_noise(duration_s: float = DURATION_S) -> Noise:
    """Time the work on the highest core allowed: the lowest serve most interrupts. The thread's mask is put back afterwards."""
    before = allowed_cores()
    core, refused = before[-1], ""
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        refused = error.strerror or type(error).__name__
    try:
        read_back = allowed_cores()
        time_kernel(WARMUP)
        started_ns, counters = time.perf_counter_ns(), read_counters((core,))
        times: list[int] = []
        while len(times) < AT_LEAST or (time.perf_counter_ns() - started_ns < duration_s * 1e9 and len(times) < AT_MOST):
            times += time_kernel(AT_ONCE)
        duration_ns = time.perf_counter_ns() - started_ns
        steal_ns = read_counters((core,)).steal_ns - counters.steal_ns
        fields = (read_text(Path("/proc/thread-self/stat")) or "").rpartition(")")[2].split()
        ran_on = int(fields[PROCESSOR_FIELD]) if len(fields) > PROCESSOR_FIELD else None
    finally:
        os.sched_setaffinity(0, before)
    times.sort()
    return Noise(
        core=core,
        read_back=read_back,
        ran_on=ran_on,
        refused=refused,
        count=len(times),
        median_ns=int(statistics.median(times)),
        p99_ns=times[math.ceil(0.99 * len(times)) - 1],
        max_ns=times[-1],
        duration_ns=duration_ns,
        steal_ns=steal_ns,
    )


LOOK_S = 1.0
# Most foreign processes named, the busiest first.
NAMED = 3
LEAST_SHARE = 0.005
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Activity:
    """One second of a machine that has nothing of ours to do.

    foreign_share
        of the time of the allowed cores that something else took.
    busiest
        names of other processes with the share of one core that each took.
    swapped_in
        pages that came back from swap meanwhile.
    """

    cores: tuple[int, ...]
    foreign_share: float
    busiest: tuple[tuple[str, float], ...]
    load: float
    swap_used_bytes: int
    swapped_in: int


def read_activity(look_s: float = LOOK_S) -> Activity:
    """Sleep, and see what the others did."""
    cores = allowed_cores()
    processes, swap = process_times(), psutil.swap_memory()
    started_s, own_s, busy_s = time.perf_counter(), time.process_time(), busy_time_s(cores)
    time.sleep(look_s)
    busy_s, own_s = busy_time_s(cores) - busy_s, time.process_time() - own_s
    elapsed_s, swap_now = time.perf_counter() - started_s, psutil.swap_memory()
    return Activity(
        cores=cores,
        foreign_share=min(1.0, max(0.0, (busy_s - own_s) / (elapsed_s * len(cores)))),
        busiest=busiest(processes, process_times(), elapsed_s),
        load=os.getloadavg()[0],
        swap_used_bytes=int(swap_now.used),
        swapped_in=(swap_now.sin - swap.sin) // PAGE_BYTES,
    )


def busy_time_s(cores: Iterable[int]) -> float:
    """Return how long the cores have been busy since the start of the machine."""
    ours = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in (read_text(Path("/proc/stat")) or "").splitlines():
        name, *fields = line.split()
        if name in ours:
            user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
            ticks += user + nice + system + irq + softirq
    return ticks * NS_PER_TICK / 1e9


def process_times() -> dict[int, tuple[str, float]]:
    """Return name and processor time of every process but this one; those that end meanwhile, or are not shown to us, are left out."""
    every = {process.pid: (process.info["name"], process.info["cpu_times"]) for process in psutil.process_iter(["name", "cpu_times"])}
    return {pid: (name, times.user + times.system) for pid, (name, times) in every.items() if name and times and pid != os.getpid()}


def busiest(
    before: Mapping[int, tuple[str, float]], after: Mapping[int, tuple[str, float]], elapsed_s: float
) -> tuple[tuple[str, float], ...]:
    """Return the processes that took most time between two looks, those of one name together."""
    shares: dict[str, float] = {}
    for pid, (name, taken_s) in after.items():
        shares[name] = shares.get(name, 0.0) + (taken_s - before.get(pid, (name, taken_s))[1]) / elapsed_s
    ordered = sorted(((name, share) for name, share in shares.items() if share >= LEAST_SHARE), key=lambda each: -each[1])
    return tuple(ordered[:NAMED])


CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Processor:
    """The processor as the kernel shows it to this process.

    siblings
        for every allowed core that shares its physical core with others: all of these, itself included.
    governors
        of the allowed cores, each once; empty where the kernel sets no frequency.
    turbo
        None if the kernel does not say.
    """

    name: str
    cores: tuple[int, ...]
    logical_cores: int
    siblings: tuple[tuple[int, ...], ...]
    governors: tuple[str, ...]
    turbo: bool | None
    is_virtual: bool


def read_processor() -> Processor:
    """Read the processor."""
    cores, known = allowed_cores(), environment()
    folders = [CPUS / f"cpu{core}" for core in cores]
    siblings = {parse_cores(read_text(folder / "topology" / "thread_siblings_list") or "") for folder in folders}
    governors = {read_text(folder / "cpufreq" / "scaling_governor") for folder in folders}
    return Processor(
        name=str(known["processor"]),
        cores=cores,
        logical_cores=os.cpu_count() or 1,
        siblings=tuple(sorted(threads for threads in siblings if len(threads) > 1)),
        governors=tuple(sorted(filter(None, governors))),
        turbo=known["turbo"],
        is_virtual=" hypervisor" in (read_text(Path("/proc/cpuinfo")) or ""),
    )


@dataclass(frozen=True)
class Gpu:
    """One GPU; None if the driver does not say.

    processes
        that compute on it. There are none of ours while it is read.
    throttle_reasons
        NVML's bit mask.
    """

    index: int
    name: str
    uuid: str
    memory_bytes: int | None
    persistence: bool | None
    processes: int | None
    throttle_reasons: int | None


def _read_gpu(library: Any, index: int) -> Gpu:
    handle = library.nvmlDeviceGetHandleByIndex(index)
    persistence, memory, processes, reasons = (
        told_by_driver(partial(ask, handle))
        for ask in (
            library.nvmlDeviceGetPersistenceMode,
            library.nvmlDeviceGetMemoryInfo,
            library.nvmlDeviceGetComputeRunningProcesses,
            library.nvmlDeviceGetCurrentClocksThrottleReasons,
        )
    )
    return Gpu(
        index=index,
        name=str(library.nvmlDeviceGetName(handle)),
        uuid=str(library.nvmlDeviceGetUUID(handle)),
        memory_bytes=None if memory is None else int(memory.total),
        persistence=None if persistence is None else persistence == library.NVML_FEATURE_ENABLED,
        processes=None if processes is None else len(processes),
        throttle_reasons=None if reasons is None else int(reasons),
    )


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
    with nvml() as library:
        gpus = () if library is None else tuple(_read_gpu(library, index) for index in range(library.nvmlDeviceGetCount()))
    return HostReading(
        machine=read_machine(),
        clocks=read_clocks(),
        processor=read_processor(),
        gpus=gpus,
        quota=read_quota(),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        turn=read_turn(),
        activity=read_activity(),
        noise=read_noise(),
    )
