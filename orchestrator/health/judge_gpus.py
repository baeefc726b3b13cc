"""Are the GPUs free and at full speed? (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.health.finding import Finding, Grade, told, worst
from orchestrator.health.gpus import Gpu

IDLE = 0x1
"""NVML's bit of a GPU that has nothing to do."""
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
    """Yield the lines of each GPU, or the one that there is none."""
    if not gpus:
        yield Finding(host, "GPUs", "good", "none", "0 is enough for systems of device cpu")
    for gpu in gpus:
        yield judge_gpu(host, gpu)
        yield judge_throttling(host, gpu)


def judge_gpu(host: str, gpu: Gpu) -> Finding:
    """A GPU that is shared, or that the driver unloads between uses, answers late."""
    memory = "memory not told" if gpu.memory_bytes is None else f"{gpu.memory_bytes / 2**30:.1f} GiB"
    processes = "processes not told" if gpu.processes is None else f"{gpu.processes} foreign processes"
    persistence = {True: "on", False: "off", None: "not told"}[gpu.persistence]
    return told(
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
    """A GPU that is throttled while it has nothing to do will be so while it is timed."""
    mask = gpu.throttle_reasons
    known = {bit: reason for bit, reason in REASONS.items() if mask is not None and mask & bit}
    names, grades = [name for name, _ in known.values()], [grade for _, grade in known.values()]
    unknown = 0 if mask is None else mask & ~(IDLE | sum(REASONS))
    if unknown:
        names.append(f"reasons {unknown:#x}")
    if unknown or mask is None:
        grades.append("doubtful")
    return told(
        host,
        f"GPU {gpu.index} throttling",
        worst("good", *grades),
        "not told" if mask is None else ", ".join(names) or "none",
        "0 reasons beyond idleness or clocks that were set (bad: heat, hardware slowdown, power brake)",
        "see nvidia-smi -q -d PERFORMANCE; cool it, or raise or fix its limits",
    )
