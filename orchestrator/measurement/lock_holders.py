"""Which processes hold locks on a file, as the kernel shows them in /proc/locks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

LOCKS = Path("/proc/locks")


def holders_of(status: os.stat_result) -> list[tuple[int, int]]:
    """Return number and user of every process that holds a ``flock`` on a file; none where the kernel does not show them."""
    try:
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return []
    return [(pid, owner) for pid in pids_in(lines, status) if (owner := _owner(pid)) is not None]


def pids_in(lines: Iterable[str], status: os.stat_result) -> list[int]:
    """Return the processes that have a ``flock`` on a file, as lines of /proc/locks tell (pure)."""
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = []
    for line in lines:
        fields = line.split()
        # A lock that is waited for has an arrow in its second place.
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == place and int(fields[4]) > 0:
            found.append(int(fields[4]))
    return sorted(set(found))


def _owner(pid: int) -> int | None:
    """Return the effective user of a process. The owner of its folder in /proc would be root's for one that has changed its user."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[2]) for line in lines if line.startswith("Uid:")), None)
