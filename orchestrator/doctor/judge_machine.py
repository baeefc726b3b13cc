"""Does a timed process get whole cores of one steady speed? (pure)."""

from collections.abc import Iterator, Sequence

from orchestrator.doctor.findings import Finding, Gpu, Grade, finding, graded, worst
from orchestrator.doctor.noise import Noise, Processor
from orchestrator.machine.cores import Quota, format_cores

NICENESS = (0, 9)


def judge_cores(host: str, processor: Processor) -> Finding:
    """A core beyond the model's takes what is not timed."""
    count = len(processor.cores)
    return finding(
        host,
        "cores",
        "good" if count >= 2 else "doubtful",
        f"{count} of {processor.logical_cores} allowed ({format_cores(processor.cores)}), {processor.name}",
        "at least 2, so that Ray, the driver and the system's services have one that is not timed",
        "give the node more cores; the affinity of the shell that starts it is what it gets",
    )


def judge_pinning(host: str, noise: Noise) -> Finding:
    """A process that cannot be pinned moves between cores while it is timed."""
    grade: Grade
    if not noise.read_back:
        grade, seen = "doubtful", "this operating system pins no process"
    elif noise.refused or noise.read_back != (noise.core,):
        grade = "bad"
        seen = f"to core {noise.core}: {noise.refused or 'no error'}, reads back {format_cores(noise.read_back)}"
    else:
        grade = "good" if noise.ran_on in (noise.core, None) else "doubtful"
        seen = f"to core {noise.core}, reads back {noise.core}, ran on {'unknown' if noise.ran_on is None else noise.ran_on}"
    return finding(
        host,
        "pinning",
        grade,
        seen,
        "the mask of 1 core reads back, and the kernel sees the thread on that core",
        "allow sched_setaffinity in the container or sandbox; trials that are not pinned certify no deadline",
    )


def judge_siblings(host: str, processor: Processor) -> Finding:
    """Two hyper-threads of one core take each other's time."""
    allowed = set(processor.cores)
    inside = [threads for threads in processor.siblings if len(allowed & set(threads)) > 1]
    outside = [threads for threads in processor.siblings if len(allowed & set(threads)) == 1]
    shown = [f"{format_cores(threads)} are one core" for threads in inside]
    shown += [f"{format_cores(set(threads) - allowed)} shares the core of {format_cores(allowed & set(threads))}" for threads in outside]
    return finding(
        host,
        "hyper-threads",
        "doubtful" if shown else "good",
        "; ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
        or f"none seen{', as its host may hide them (virtual machine)' if processor.is_virtual else ''}",
        "0 siblings: each allowed core has its physical core for itself",
        "list one thread of each core in system.cores and keep the other idle, or turn SMT off",
    )


def judge_governor(host: str, processor: Processor) -> Finding:
    """Any governor but ``performance`` changes the frequency while a round runs."""
    return finding(
        host,
        "governor",
        "good" if processor.governors == ("performance",) else "doubtful",
        ", ".join(processor.governors) or f"unknown{' (virtual machine)' if processor.is_virtual else ''}",
        "performance on every allowed core",
        "cpupower frequency-set -g performance"
        if processor.governors
        else "the host's operator sets the frequency; the noise floor shows the effect",
    )


def judge_turbo(host: str, processor: Processor) -> Finding:
    """Turbo frequencies depend on heat, and on how many other cores work."""
    seen = {True: "on", False: "off", None: f"unknown{' (virtual machine)' if processor.is_virtual else ''}"}
    return finding(
        host,
        "turbo",
        "good" if processor.turbo is False else "doubtful",
        seen[processor.turbo],
        "off, because its frequency depends on heat and on the other cores",
        "turn it off (no_turbo or boost below /sys/devices/system/cpu), or take it as part of the system",
    )


def judge_quota(host: str, quota: Quota | None) -> Finding:
    """A quota stops the process for the rest of a period when its share is used up."""
    return finding(
        host,
        "CPU quota",
        "good" if quota is None else "doubtful",
        "none" if quota is None else f"{quota.cores:g} cores in each {quota.period_us / 1000:g} ms (control groups v{quota.version})",
        "0 quotas: a process with a used-up quota stands still until the period ends",
        "limit by cores instead, unless the quota is what this system is about",
    )


def judge_niceness(host: str, niceness: int) -> Finding:
    """Any process with less niceness goes first."""
    return finding(
        host,
        "niceness",
        graded(niceness, *NICENESS),
        str(niceness),
        "at most 0 (doubtful to 9): processes of less niceness go first",
        "start the node with RAY_worker_niceness=0 in its environment, and not under nice",
    )


IDLE = 0x1
"""NVML's bit of an idle GPU."""
REASONS: dict[int, tuple[str, Grade]] = {
    0x2: ("clocks set by an application", "good"),
    0x4: ("power cap", "doubtful"),
    0x8: ("hardware slowdown", "bad"),
    0x10: ("sync boost", "doubtful"),
    0x20: ("too hot (software)", "bad"),
    0x40: ("too hot (hardware)", "bad"),
    0x80: ("power brake", "bad"),
    0x100: ("display clocks", "doubtful"),
}
"""NVML's other reasons for a lower clock."""


def judge_gpus(host: str, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield the lines of each GPU, or one that there is none."""
    if not gpus:
        yield Finding(host, "GPUs", "good", "none", "0 is enough for systems of device cpu")
    for gpu in gpus:
        yield judge_gpu(host, gpu)
        yield judge_throttling(host, gpu)


def judge_gpu(host: str, gpu: Gpu) -> Finding:
    """A GPU that is shared, or that the driver unloads between uses, answers late."""
    memory = "memory unknown" if gpu.memory_bytes is None else f"{gpu.memory_bytes / 2**30:.1f} GiB"
    processes = "processes unknown" if gpu.processes is None else f"{gpu.processes} foreign processes"
    persistence = {True: "on", False: "off", None: "unknown"}[gpu.persistence]
    return finding(
        host,
        f"GPU {gpu.index}",
        worst(
            "good" if gpu.persistence else "doubtful",
            "doubtful" if gpu.processes is None else "bad" if gpu.processes else "good",
        ),
        f"{gpu.name}, {memory}, persistence mode {persistence}, {processes}",
        "0 foreign processes compute on it, and persistence mode is on",
        "end what nvidia-smi lists; nvidia-smi -pm 1",
    )


def judge_throttling(host: str, gpu: Gpu) -> Finding:
    """A GPU that is throttled while idle will be throttled while it is timed."""
    mask = gpu.throttle_reasons
    known = {bit: reason for bit, reason in REASONS.items() if mask is not None and mask & bit}
    names, grades = [name for name, _ in known.values()], [grade for _, grade in known.values()]
    unknown = 0 if mask is None else mask & ~(IDLE | sum(REASONS))
    if unknown:
        names.append(f"reasons {unknown:#x}")
    if unknown or mask is None:
        grades.append("doubtful")
    return finding(
        host,
        f"GPU {gpu.index} throttling",
        worst("good", *grades),
        "unknown" if mask is None else ", ".join(names) or "none",
        "0 reasons beyond idleness or clocks that were set (bad: heat, hardware slowdown, power brake)",
        "see nvidia-smi -q -d PERFORMANCE; cool it, or raise or fix its limits",
    )
