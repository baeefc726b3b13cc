"""What else happened while a round was timed, read before and after it, and fixed work that shows the machine's speed."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator.machine.environment import read_text

SCHEDULED = Path("/proc/thread-self/schedstat")
PRESSURE = Path("/proc/pressure/cpu")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LONGEST_LINE = 160
"""Bytes of one core's line in /proc/stat, generously."""
FREQUENCIES = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
GPU_NOTHING = {
    "gpu_clock_mhz": None,
    "gpu_temperature_c": None,
    "gpu_power_w": None,
    "gpu_throttle_reasons": None,
    "gpu_foreign_processes": None,
}


@dataclass(frozen=True)
class Counters:
    """Counters of the kernel at one moment; all grow. None is one that this kernel does not keep.

    run_delay_ns
        how long the thread that asks, which is the one of the timed loop, was ready to run and waited for a core.
    cpu_pressure_ns
        how long any thread of the machine did so.
    interrupts
        of all cores.
    """

    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    cpu_time_ns: int
    steal_ns: int
    busy_ns: int
    run_delay_ns: int | None = None
    cpu_pressure_ns: int | None = None
    interrupts: int | None = None


def read_counters(cores: tuple[int, ...]) -> Counters:
    """Read this process's counters, the steal time of its cores and the busy time of the whole machine."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    busy, steal, interrupts = 0, 0, None
    ours = {b"cpu%d" % core for core in cores}
    *whole, cut = _first_bytes("/proc/stat", LONGEST_LINE * ((os.cpu_count() or 1) + 1)).split(b"\n")
    for line in [*whole, *([cut] if cut.startswith(b"intr ") else [])]:
        name, *figures = line.split(maxsplit=10)
        if name == b"cpu":
            user, nice, system, _idle, _iowait, irq, softirq = map(int, figures[:7])
            busy = user + nice + system + irq + softirq
        elif name in ours and len(figures) > 7:
            steal += int(figures[7])
        elif name == b"intr" and len(figures) > 1:
            interrupts = int(figures[0])
            break
    scheduled, pressure = _first_bytes(SCHEDULED).split(), _first_bytes(PRESSURE).split()
    return Counters(
        usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt,
        time.process_time_ns(), _ticks_to_ns(steal), _ticks_to_ns(busy),
        int(scheduled[1]) if len(scheduled) > 1 else None,
        1000 * int(pressure[4].removeprefix(b"total=")) if len(pressure) > 4 else None,
        interrupts,
    )  # fmt: skip


def _first_bytes(path: str | Path, count: int = LONGEST_LINE) -> bytes:
    """Return how a file of the kernel begins, nothing where there is none: what follows may be many lines long."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, count)
    except OSError:  # a kernel may have the file and keep no figures
        return b""
    finally:
        os.close(file)


def _ticks_to_ns(ticks: int) -> int:
    return ticks * 1_000_000_000 // TICKS_PER_S


def difference(before: Counters, after: Counters) -> dict[str, int | None]:
    """Return the evidence columns of one round. Foreign time is the machine's busy time less this process's, at least 0."""
    grown = {field.name: _grown(getattr(before, field.name), getattr(after, field.name)) for field in fields(Counters)}
    busy, own = after.busy_ns - before.busy_ns, after.cpu_time_ns - before.cpu_time_ns
    del grown["busy_ns"]
    return {**grown, "foreign_cpu_ns": max(0, busy - own)}


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def frequency_mhz(cores: tuple[int, ...]) -> float | None:
    """Return the mean current frequency of the cores, or None if the kernel does not say."""
    if not FREQUENCIES.exists():
        return None
    texts = [read_text(Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")) for core in cores]
    found = [int(text) / 1000 for text in texts if text]
    return sum(found) / len(found) if found else None


class GpuEvidence:
    """Reads one GPU through NVML; returns nothing without a GPU."""

    def __init__(self, uuid: str | None) -> None:
        self._handle: Any = None
        if uuid is not None:
            import pynvml

            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def read(self) -> dict[str, Any]:
        """Return clock (MHz), temperature (deg C), power (W), throttle reasons (NVML bit mask) and foreign processes."""
        if self._handle is None:
            return dict(GPU_NOTHING)
        import pynvml

        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        return {
            "gpu_clock_mhz": float(pynvml.nvmlDeviceGetClockInfo(self._handle, pynvml.NVML_CLOCK_SM)),
            "gpu_temperature_c": float(pynvml.nvmlDeviceGetTemperature(self._handle, pynvml.NVML_TEMPERATURE_GPU)),
            "gpu_power_w": pynvml.nvmlDeviceGetPowerUsage(self._handle) / 1000,
            "gpu_throttle_reasons": int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)),
            "gpu_foreign_processes": sum(process.pid != os.getpid() for process in processes),
        }


BLOCK = bytes(2**20)
REPETITIONS = 30


def time_kernel(repetitions: int = REPETITIONS, clock: Callable[[], int] = time.perf_counter_ns) -> list[int]:
    """Return how long each repetition took, in ns. The work is SHA-256 over 1 MiB: no memory traffic to speak of, no branches."""
    times = []
    for _ in range(repetitions):
        started = clock()
        hashlib.sha256(BLOCK).digest()
        times.append(clock() - started)
    return times


def kernel_ns() -> int:
    """Return the shortest time of the kernel, in ns: what the machine can do when nothing interrupts it."""
    return min(time_kernel())
