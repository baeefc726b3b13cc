"""The most memory that the timed process holds while something is timed: asked before and after it, never during."""

from pathlib import Path

from orchestrator.machine.environment import memory_peak_bytes
from orchestrator.measurement import device

FORGET = Path("/proc/self/clear_refs")
FORGET_PEAK = b"5"
"""Lets the kernel count the largest resident size anew, without a look at any page; proc_pid_clear_refs(5), since Linux 4.0."""


class MemoryPeaks:
    """Peaks of resident memory and of what PyTorch holds on the trial's GPUs.

    Resident memory is that of this process alone, files that it has mapped and shares with others included.

    Parameters
    ----------
    gpus
        how many GPUs the process sees.
    forget
        the kernel's file that lets the peak count anew; where it cannot be written, what is timed has no peak of its own.

    Attributes
    ----------
    resident_bytes, gpu_bytes
        the largest of the process's whole life so far; the second is None where PyTorch never held anything on a GPU.
    """

    def __init__(self, gpus: int = 0, forget: Path = FORGET) -> None:
        self._gpus, self._forget = gpus, forget
        self._anew = False
        self.resident_bytes = 0
        self.gpu_bytes: int | None = None
        self._keep()

    def begin(self) -> None:
        """Let the peaks count anew."""
        self._keep()
        self._anew = _written(self._forget)
        device.forget_allocated_peak(self._gpus)

    def read(self) -> dict[str, int | None]:
        """Return the peaks since the last `begin`, as columns of rounds."""
        resident, gpu = self._keep()
        return {"resident_peak_bytes": resident if self._anew else None, "gpu_allocated_peak_bytes": gpu}

    def _keep(self) -> tuple[int, int | None]:
        """Return the peaks as they are, and remember the largest."""
        resident, gpu = memory_peak_bytes(), device.allocated_peak_bytes(self._gpus)
        self.resident_bytes = max(self.resident_bytes, resident)
        self.gpu_bytes = max((found for found in (self.gpu_bytes, gpu) if found is not None), default=None)
        return resident, gpu


def _written(path: Path) -> bool:
    """Return whether the kernel took the request."""
    try:
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - asked in every round
            file.write(FORGET_PEAK)
    except OSError:
        return False
    return True
