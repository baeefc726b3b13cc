"""Processes as the operating system knows them."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import psutil

from orchestrator.machine.environment import boot_id


@dataclass(frozen=True)
class Identity:
    """A process as its operating system knows it; ``created_s`` is when it began, s since 1970."""

    pid: int
    host: str
    boot_id: str
    created_s: float


SAME_START_S = 1.0
"""A process is the same one if it began at the same time, to within the resolution of the kernel's clock."""


def own_identity() -> Identity:
    """Return which process this is."""
    return Identity(os.getpid(), socket.gethostname(), boot_id(), psutil.Process().create_time())


def end_process(pid: int, created_s: float | None, boot: str | None, patience_s: float) -> bool:
    """Wait until a process of this machine is gone, kill it where it stays, and return whether it is gone.

    Another process that has got the same id meanwhile, or after a reboot, is left alone.
    """
    if boot is not None and boot != boot_id():
        return True
    try:
        process = psutil.Process(pid)
        if created_s is None or abs(process.create_time() - created_s) > SAME_START_S:
            return True
        try:
            process.wait(patience_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(patience_s)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True
    except (psutil.TimeoutExpired, psutil.AccessDenied):
        return False
    return True
