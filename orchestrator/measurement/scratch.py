"""Stamps in a file that is mapped into memory, so that what a killed process leaves can still be read."""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.measurement.salvage import Stamps
from orchestrator.measurement.timing import STAMPS

STAMPS_PREFIX = "tail-quality-"
KEEP_S = 86_400
HEADER = 4
"""int64 before the stamps: round, number of batches, monotonic start (ns), wall-clock start (ns)."""


def scratch_root() -> Path:
    """Return a folder in memory where there is one, so that no disk is written while a round is timed."""
    shared_memory = Path("/dev/shm")  # noqa: S108
    return shared_memory if os.access(shared_memory, os.W_OK) else Path(tempfile.gettempdir())


def remove_stale(folder: Path) -> None:
    """Delete files of stamps whose process is dead, a day after it last wrote: until then they may still be fetched."""
    import psutil

    for path in folder.glob(f"{STAMPS_PREFIX}*-*"):
        owner = path.name.removeprefix(STAMPS_PREFIX).split("-")[0]
        try:
            old = time.time() - path.stat().st_mtime > KEEP_S
            if owner.isdigit() and old and not psutil.pid_exists(int(owner)):
                path.unlink()
        except OSError:
            continue  # another process was faster, or it is not ours


class Scratch:
    """The mapped file of one timed process.

    ``stamps`` is a writable int64 view of 4 places per batch, ``header`` the four places before it.
    """

    def __init__(self, path: Path, batches: int) -> None:
        self.path = path
        self.batches = batches
        size = 8 * (HEADER + STAMPS * batches)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        whole = memoryview(self._map).cast("q")
        self.header, self.stamps = whole[:HEADER], whole[HEADER:]
        self._zeros = bytes(8 * STAMPS * batches)

    def begin(self, number: int, monotonic_ns: int, wall_ns: int) -> None:
        """Clear the stamps and note which round starts."""
        self.stamps.cast("B")[:] = self._zeros
        for place, value in enumerate((number, self.batches, monotonic_ns, wall_ns)):
            self.header[place] = value

    def array(self) -> npt.NDArray[np.int64]:
        """Return a copy of the stamps, shape [B, 4], in ns."""
        return np.array(self.stamps, dtype=np.int64).reshape(self.batches, STAMPS)

    def remove(self) -> None:
        """Delete the file. The mapping lives until the process ends."""
        self.path.unlink(missing_ok=True)


def take_stamps(path: Path) -> Stamps | None:
    """Return what a timed process that is gone has left, and delete the file; None where it never began a round."""
    try:
        (number, batches, monotonic_ns, wall_ns), stamps = read_scratch(path)
    except (OSError, ValueError, IndexError):
        return None
    path.unlink(missing_ok=True)
    return Stamps(number, monotonic_ns, wall_ns, stamps) if batches and wall_ns else None


def read_scratch(path: Path) -> tuple[tuple[int, int, int, int], npt.NDArray[np.int64]]:
    """Read what a timed process left: the header and the stamps, shape [B, 4]."""
    words = np.fromfile(path, dtype=np.int64)
    header = (int(words[0]), int(words[1]), int(words[2]), int(words[3]))
    return header, words[HEADER:].reshape(header[1], STAMPS)
