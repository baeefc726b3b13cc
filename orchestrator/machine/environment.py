"""The machine and the software a trial ran on: recorded, shown, never part of an id."""

import importlib.metadata
import platform
import re
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

FRAMEWORKS = ("torch", "torchvision", "onnxruntime", "tensorflow", "transformers", "timm", "numpy", "PIL")
DISTRIBUTIONS = {"PIL": "pillow"}
DECISIVE = (
    "ray",
    "torch",
    "torchvision",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorflow",
    "tensorflow-cpu",
    "transformers",
    "timm",
    "numpy",
)
"""Distributions whose versions make stacks differ."""


def boot_id() -> str:
    """Return what tells one physical machine (and its boot) from another, however many Ray nodes it shows."""
    return read_text(Path("/proc/sys/kernel/random/boot_id")) or f"{socket.gethostname()}-{int(psutil.boot_time())}"


def environment() -> dict[str, Any]:
    """Return the host, its processor, memory and power settings as plain JSON values."""
    cpufreq = Path("/sys/devices/system/cpu/cpu0/cpufreq")
    return {
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "processor": processor_name(),
        "logical_cores": psutil.cpu_count(logical=True),
        "physical_cores": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": read_text(cpufreq / "scaling_governor"),
        "turbo": _turbo(),
        "swap_used_bytes": psutil.swap_memory().used,
        "clock": "perf_counter_ns",
    }


def stack(device: str) -> dict[str, Any]:
    """Return versions and build tags of kernel, Python and the frameworks that this process has imported, and of a GPU's driver."""
    versions: dict[str, Any] = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for module in FRAMEWORKS:
        if module in sys.modules:
            loaded = getattr(sys.modules[module], "__version__", None)
            versions[module] = loaded or _distribution_version(DISTRIBUTIONS.get(module, module))
    torch = sys.modules.get("torch")
    if torch is not None:
        versions["torch_cuda"] = torch.version.cuda
        versions["torch_git"] = torch.version.git_version
    return versions if device == "cpu" else versions | gpu_driver()


def gpu_driver() -> dict[str, str]:
    """Return the GPU driver's version, where there is a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        return {"driver": str(pynvml.nvmlSystemGetDriverVersion())}
    finally:
        pynvml.nvmlShutdown()


def installed_versions() -> dict[str, str]:
    """Return the versions of Python, Ray and the frameworks that are installed. Imports none of them."""
    found = {name: _distribution_version(name) for name in DECISIVE}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def processor_name() -> str:
    """Return the processor's model name."""
    for line in (read_text(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _turbo() -> bool | None:
    no_turbo = read_text(Path("/sys/devices/system/cpu/intel_pstate/no_turbo"))
    if no_turbo is not None:
        return no_turbo == "0"
    boost = read_text(Path("/sys/devices/system/cpu/cpufreq/boost"))
    return None if boost is None else boost == "1"


@cache
def _distribution_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_text(path: Path) -> str | None:
    """Return a kernel file's text, or None if there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def memory_peak_bytes() -> int:
    """Return the largest resident size this process has had."""
    with suppress(OSError), open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123 - asked twice a round
        if found := re.search(rb"VmHWM:\s+(\d+)", status.read(4096)):
            return int(found[1]) * 1024
    return psutil.Process().memory_info().rss
