"""The evidence that rounds carry of what slows them down."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.units import Floats

# NVML's throttle reasons that slow a GPU down: power cap, slow-down by heat, power brake.
SLOWED = 0x04 | 0x08 | 0x20 | 0x40 | 0x80
SHARE = "share of the round"


@dataclass(frozen=True)
class Evidence:
    """One column of the rounds.

    The unit is that of what is tested: ``cores``, ``share of the round`` and ``per second`` are the
    column over the duration of the round, or under load of the stream. The source is its
    perspective among the six of Liu, Wang and Shi, "Understanding Time Variations of DNN Inference
    in Autonomous Driving" (arXiv 2209.05487); their *data* and *model* are told by lateness by
    sample and by neither. An origin tells of a cause; other evidence is a sign: the process waited,
    not for whom. Its harm is 1 if more of it should slow a round down, -1 if less should.
    """

    column: str
    name: str
    unit: str
    source: Literal["I/O", "runtime", "hardware", "system"]
    remedy: str
    origin: bool = True
    harm: int = 1

    def figures(self, values: Floats, spans: Floats) -> Floats:
        """Return what is tested of its stored column, [R], over so many nanoseconds each.

        NaN where there is none, and in a round or stream that took no time: all was dropped.
        """
        if self.column == "gpu_throttle_reasons":
            slowed = np.nan_to_num(values).astype(np.int64) & SLOWED != 0
            return np.where(np.isnan(values), np.nan, slowed)
        lasted_ns = np.where(spans > 0, spans, np.nan)
        if self.unit in (SHARE, "cores"):
            return np.asarray(values / lasted_ns)
        return np.asarray(values / (lasted_ns / SECOND_NS) if self.unit == "per second" else values)


ALONE = "run nothing else on this machine, or give the trial cores of its own (system.cores)"
COOL = "cool the device, or cap its power so that it holds one clock"
FOREIGN = Evidence("foreign_cpu_ns", "CPU time of other programs", "cores", "system", ALONE)
# Of rounds that do not tell the two apart: campaigns of before.
FOREIGN_OF_BEFORE = replace(
    FOREIGN, name="CPU time of other processes, this program's own included"
)
# In the order of preference between evidence that stands out alike.
EVIDENCE = (
    Evidence(
        "throttled_ns",
        "throttling by a CPU quota",
        "cores",
        "system",
        "raise the quota (cpu.max or cpu.cfs_quota_us; in Kubernetes limits.cpu), or compute in "
        "fewer threads",
    ),
    FOREIGN,
    Evidence(
        "program_cpu_ns",
        "CPU time of this program's other processes",
        "cores",
        "system",
        "leave a core to the driver and to Ray (system.cores), or load fewer trials at once",
    ),
    Evidence(
        "steal_ns",
        "stolen CPU time",
        SHARE,
        "hardware",
        "run it on a machine whose cores are not shared with other guests",
    ),
    Evidence(
        "frequency_mhz",
        "falling processor frequency",
        "MHz",
        "hardware",
        "hold the frequency: see `doctor`",
        harm=-1,
    ),
    Evidence("gpu_throttle_reasons", "GPU throttling", "yes or no", "hardware", COOL),
    Evidence("gpu_clock_mhz", "falling GPU clock", "MHz", "hardware", COOL, harm=-1),
    Evidence("gpu_temperature_c", "GPU temperature", "°C", "hardware", COOL),
    Evidence(
        "gpu_foreign_processes",
        "other processes on the GPU",
        "processes",
        "system",
        "let nothing else run on this GPU",
    ),
    Evidence(
        "major_faults", "major page faults", "per second", "I/O", "give the machine more memory"
    ),
    Evidence(
        "minor_faults",
        "minor page faults",
        "per second",
        "runtime",
        "let the runtime keep its memory between inferences",
    ),
    Evidence(
        "run_delay_ns",
        "waiting for a core",
        SHARE,
        "system",
        "compute in no more threads than there are cores",
        origin=False,
    ),
    Evidence(
        "cpu_pressure_ns", "any thread waiting for a core", SHARE, "system", ALONE, origin=False
    ),
    Evidence(
        "involuntary_switches",
        "involuntary context switches",
        "per second",
        "system",
        ALONE,
        origin=False,
    ),
    Evidence(
        "voluntary_switches",
        "voluntary context switches",
        "per second",
        "I/O",
        "see what it waits for",
        origin=False,
    ),
    Evidence(
        "interrupts",
        "interrupts",
        "per second",
        "system",
        "keep interrupts off the trial's cores",
        origin=False,
    ),
)
BY_NAME = {evidence.name: evidence for evidence in (*EVIDENCE, FOREIGN_OF_BEFORE)}
