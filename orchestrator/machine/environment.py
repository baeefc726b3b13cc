"""The machine and the software a trial ran on: recorded, shown, never part of an id."""

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")
FRAMEWORKS = ("torch", "torchvision", "onnxruntime", "tensorflow", "transformers", "timm", "numpy", "PIL")
DISTRIBUTIONS = {"PIL": "pillow"}
# Distributions whose versions make stacks differ.
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


def boot_id() -> str:
    """Return what tells one physical machine (and its boot) from another, however many Ray nodes it shows."""
    return read_text(Path("/proc/sys/kernel/random/boot_id")) or f"{socket.gethostname()}-{int(psutil.boot_time())}"


def environment() -> dict[str, Any]:
    """Return the host, its processor, memory and power settings as plain JSON values."""
    cpus = Path("/sys/devices/system/cpu")
    model = re.search(r"^model name\s*:(.*)", read_text(Path("/proc/cpuinfo")) or "", re.MULTILINE)
    no_turbo, boost = read_text(cpus / "intel_pstate/no_turbo"), read_text(cpus / "cpufreq/boost")
    turbo = no_turbo == "0" if no_turbo is not None else None if boost is None else boost == "1"
    return {
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "processor": model[1].strip() if model else platform.processor() or platform.machine(),
        "logical_cores": psutil.cpu_count(logical=True),
        "physical_cores": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": read_text(cpus / "cpu0/cpufreq/scaling_governor"),
        "turbo": turbo,
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
            versions[module] = loaded or distribution_version(DISTRIBUTIONS.get(module, module))
    torch = sys.modules.get("torch")
    if torch is not None:
        versions["torch_cuda"] = torch.version.cuda
        versions["torch_git"] = torch.version.git_version
    return versions if device == "cpu" else versions | gpu_driver()


def gpu_driver() -> dict[str, str]:
    """Return the GPU driver's version, where there is a driver."""
    with nvml() as library:
        return {} if library is None else {"driver": str(library.nvmlSystemGetDriverVersion())}


@contextmanager
def nvml() -> Iterator[Any]:
    """Yield NVIDIA's library for a look at the GPUs; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def told_by_driver(ask: Callable[[], T]) -> T | None:
    """Return what a GPU's driver says, None where it does not say it."""
    import pynvml

    try:
        return ask()
    except pynvml.NVMLError:
        return None


@cache
def distribution_version(name: str) -> str | None:
    """Return the version of a distribution that is installed; imports nothing."""
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


def first_bytes(path: str | Path, count: int) -> bytes:
    """Return how a kernel's file begins, nothing where it tells nothing: what follows may be many lines long."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, count)
    except OSError:  # its process has ended meanwhile, or the kernel keeps no figures
        return b""
    finally:
        os.close(file)


def memory_peak_bytes() -> int:
    """Return the largest resident size this process has had."""
    found = re.search(rb"VmHWM:\s+(\d+)", first_bytes("/proc/self/status", 4096))
    return int(found[1]) * 1024 if found else psutil.Process().memory_info().rss


def same_interpreter(one: str, other: str) -> bool:
    """Return whether two paths or names would run the same Python in the same environment; False where one runs nothing.

    A virtual environment's python is a link to the one that it was made from, and is told from it by the folder in which the link stands.
    """
    paths = [Path(found).absolute() for found in map(shutil.which, (one, other)) if found is not None]
    return len(paths) == 2 and len({(path.parent.resolve(), path.resolve()) for path in paths}) == 1
