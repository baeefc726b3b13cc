"""What else happened while a round was timed, read before and after it, and fixed work that shows the machine's speed."""

import gc
import hashlib
import os
import resource
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from orchestrator.machine.cores import read_throttle_files
from orchestrator.machine.environment import first_bytes, read_text
from orchestrator.machine.own_processes import Kin, OwnProcesses, read_cpu_ns
from orchestrator.measurement.device import MemoryPeaks

SCHEDULED = Path("/proc/thread-self/schedstat")
PRESSURE = Path("/proc/pressure/cpu")
NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# Bytes of one core's line in /proc/stat, generously.
LONGEST_LINE = 160
CORES_BYTES = LONGEST_LINE * ((os.cpu_count() or 1) + 1)
POWERCAP = Path("/sys/class/powercap")
FREQUENCIES = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
STAT_BYTES = 1024
NS_OF_THROTTLED = {b"throttled_usec": 1000, b"throttled_time": 1}
ALONE = OwnProcesses()
# Counters that go into columns of other names.
NO_COLUMN = ("busy_ns", "program_ns", "children_ns", "neighbour_ns")
GPU_NOTHING = {
    "gpu_clock_mhz": None,
    "gpu_temperature_c": None,
    "gpu_power_w": None,
    "gpu_throttle_reasons": None,
    "gpu_foreign_processes": None,
    "gpu_memory_bytes": None,
    "gpus": None,
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
    package_energy_uj
        what the processor packages have used, by RAPL; falls where a counter begins anew.
    throttled_periods, throttled_ns
        in how many periods a CPU quota has stopped this process, and how long, on all its cores together.
    program_ns, children_ns, neighbour_ns
        processor time by process: of this program's other processes, of what the timed process has started, and of the neighbour's.
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
    throttled_periods: int | None = None
    throttled_ns: int | None = None
    package_energy_uj: int | None = None
    program_ns: Mapping[int, int] = field(default_factory=dict)
    children_ns: Mapping[int, int] = field(default_factory=dict)
    neighbour_ns: Mapping[int, int] = field(default_factory=dict)


def read_counters(
    cores: tuple[int, ...], throttle_files: Sequence[Path] = (), ours: OwnProcesses = ALONE, energy_files: Sequence[Path] = ()
) -> Counters:
    """Read this process's counters, the steal time of its cores and the busy time of the whole machine.

    Parameters
    ----------
    throttle_files
        as `cores.read_throttle_files` finds them.
    ours
        further processes of this program.
    energy_files
        as `find_energy_files` finds them.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    busy, steal, interrupts = 0, 0, None
    named = {b"cpu%d" % core for core in cores}
    *whole, cut = first_bytes("/proc/stat", CORES_BYTES).split(b"\n")
    for line in [*whole, *([cut] if cut.startswith(b"intr ") else [])]:
        name, *figures = line.split(maxsplit=10)
        if name == b"cpu":
            user, nice, system, _idle, _iowait, irq, softirq = map(int, figures[:7])
            busy = user + nice + system + irq + softirq
        elif name in named and len(figures) > 7:
            steal += int(figures[7])
        elif name == b"intr" and len(figures) > 1:
            interrupts = int(figures[0])
            break
    scheduled, pressure = first_bytes(SCHEDULED, LONGEST_LINE).split(), first_bytes(PRESSURE, LONGEST_LINE).split()
    return Counters(
        usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt,
        time.process_time_ns(), steal * NS_PER_TICK, busy * NS_PER_TICK,
        int(scheduled[1]) if len(scheduled) > 1 else None,
        1000 * int(pressure[4].removeprefix(b"total=")) if len(pressure) > 4 else None,
        interrupts,
        *read_throttled(throttle_files),
        sum(int(first_bytes(file, STAT_BYTES)) for file in energy_files) if energy_files else None,
        read_cpu_ns(ours.program),
        read_cpu_ns(ours.children),
        read_cpu_ns(ours.neighbour),
    )  # fmt: skip


def find_energy_files(folder: Path = POWERCAP) -> list[Path]:
    """Return RAPL's counters of the processor packages, in microjoules; none where this process may not read them all."""
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if (read_text(zone / "name") or "").startswith("package")]
    files = [zone / "energy_uj" for zone in zones]
    return files if all(map(read_text, files)) else []


def read_throttled(files: Sequence[Path]) -> tuple[int | None, int | None]:
    """Return in how many periods quotas have stopped a process, and for how many ns, None each if no file tells.

    Version 2 of control groups counts ``throttled_usec``, version 1 ``throttled_time`` in ns.
    """
    if not files:
        return None, None
    periods = lasted_ns = 0
    for file in files:
        for line in first_bytes(file, STAT_BYTES).splitlines():
            name, _, figure = line.partition(b" ")
            if name == b"nr_throttled":
                periods += int(figure)
            elif name in NS_OF_THROTTLED:
                lasted_ns += int(figure) * NS_OF_THROTTLED[name]
    return periods, lasted_ns


def difference(before: Counters, after: Counters) -> dict[str, int | None]:
    """Return the evidence columns of one round.

    Foreign time is the machine's busy time less that of this process, of what it started, of the program's other processes and of the
    neighbour, at least 0.
    """
    counted = [field.name for field in fields(Counters) if field.name not in NO_COLUMN]
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in counted}
    # A counter of energy that fell has begun anew.
    grown = {name: None if None in pair or pair[1] < pair[0] else pair[1] - pair[0] for name, pair in pairs.items()}
    used = [(getattr(before, name), getattr(after, name)) for name in NO_COLUMN[1:]]
    program, children, neighbour = (sum(now[pid] - then[pid] for pid in then.keys() & now.keys()) for then, now in used)
    busy, own = after.busy_ns - before.busy_ns, after.cpu_time_ns - before.cpu_time_ns
    return {
        **grown,
        "foreign_cpu_ns": max(0, busy - own - program - children - neighbour),
        "program_cpu_ns": program,
        "neighbour_cpu_ns": neighbour if after.neighbour_ns else None,
    }


@dataclass(frozen=True)
class GpuReading:
    """One GPU at one moment: clock, temperature, power, throttle reasons (NVML bit mask), and the other processes that compute on it.

    ``own_bytes`` is what this process holds of its memory, None where the driver does not say.
    """

    clock_mhz: float
    temperature_c: float
    power_w: float
    throttle_reasons: int
    foreign_processes: frozenset[int]
    own_bytes: int | None = None


class GpuEvidence:
    """Reads the GPUs of a trial through NVML; returns nothing without one."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self._handles: list[Any] = []
        if uuids:
            import pynvml

            pynvml.nvmlInit()
            self._handles = [pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]

    def read(self) -> dict[str, Any]:
        """Return the evidence columns of one round."""
        return combined([_reading(handle) for handle in self._handles])


def _reading(handle: Any) -> GpuReading:
    import pynvml

    used = {process.pid: process.usedGpuMemory for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    return GpuReading(
        clock_mhz=float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
        temperature_c=float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        power_w=pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        throttle_reasons=int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        foreign_processes=frozenset(used) - {os.getpid()},
        own_bytes=used.get(os.getpid()),
    )


def combined(readings: Sequence[GpuReading]) -> dict[str, Any]:
    """Return the evidence columns of one round from its GPUs: together, and each for itself where there are several (pure).

    GPUs that work as one answer when the last of them does: the lowest clock, the highest temperature and every throttle reason count.
    Power is their sum, so is the memory that this process holds, and a foreign process counts once.
    """
    if not readings:
        return dict(GPU_NOTHING)
    fields_of = [asdict(gpu) | {"foreign_processes": len(gpu.foreign_processes)} for gpu in readings]
    each = [{name: value for name, value in one.items() if name != "own_bytes"} for one in fields_of]
    held = [gpu.own_bytes for gpu in readings if gpu.own_bytes is not None]
    return {
        "gpu_clock_mhz": min(gpu.clock_mhz for gpu in readings),
        "gpu_temperature_c": max(gpu.temperature_c for gpu in readings),
        "gpu_power_w": sum(gpu.power_w for gpu in readings),
        "gpu_throttle_reasons": reduce(or_, (gpu.throttle_reasons for gpu in readings)),
        "gpu_foreign_processes": len(frozenset[int]().union(*(gpu.foreign_processes for gpu in readings))),
        "gpu_memory_bytes": sum(held) if len(held) == len(readings) else None,
        "gpus": each if len(readings) > 1 else None,
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


COLLECT_EVERY_S = 0.25


class AroundRounds:
    """Reads what else happens while something is timed: `begin`, then `counters` right before it and `end` right after it.

    Parameters
    ----------
    on_cores
        those of the trial.
    roots
        ids of the processes from which this program's others descend.
    uuids
        of the GPUs that are read.
    gpus
        how many the process sees.
    garbage
        whether its collection is left to Python, as a user may want.
    beside
        ids of the processes from which the neighbour's descend.
    """

    def __init__(
        self,
        on_cores: tuple[int, ...],
        roots: Collection[int],
        uuids: Sequence[str],
        gpus: int,
        garbage: bool,
        beside: Collection[int] = (),
    ) -> None:
        self._cores = on_cores
        self._garbage, self._collected_s = garbage, 0.0
        self._kin, self._ours, self._throttle_files = Kin(roots, beside), OwnProcesses(), read_throttle_files()
        self._energy_files = find_energy_files()
        self._gpus = GpuEvidence(uuids)
        self._tells_frequency = Path(FREQUENCIES.format(0)).exists()
        self.memory = MemoryPeaks(gpus)

    def find_own_processes(self) -> None:
        self._ours = self._kin.find()

    def begin(self) -> None:
        """Keep garbage out, and let the peaks of memory count anew."""
        if not self._garbage:
            # What the last round has left; older garbage too, unless that was done a moment ago and rounds are short.
            recent = time.monotonic() - self._collected_s < COLLECT_EVERY_S
            gc.collect(0 if recent else 2)
            self._collected_s = self._collected_s if recent else time.monotonic()
            gc.disable()
        self.memory.begin()

    def counters(self) -> Counters:
        return read_counters(self._cores, self._throttle_files, self._ours, self._energy_files)

    def end(self, before: Counters) -> dict[str, Any]:
        """Let garbage in again, and return the evidence of what was timed since ``before``, as columns of rounds."""
        after, held = self.counters(), self.memory.read()
        gc.enable()
        files = [FREQUENCIES.format(core) for core in self._cores] if self._tells_frequency else []
        mhz = [int(text) / 1000 for text in (read_text(Path(file)) for file in files) if text]
        return {
            **difference(before, after),
            **self._gpus.read(),
            "frequency_mhz": sum(mhz) / len(mhz) if mhz else None,
            "load_1m": os.getloadavg()[0],
            **held,
        }
