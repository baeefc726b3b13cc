"""How a process of this machine ended that is not our own child: Ray starts the timed ones, and says nothing of it."""

import fcntl
import os
import struct
import time
from contextlib import suppress

FORM = struct.Struct("=QQ12i")
"""The kernel's ``struct pidfd_info`` since Linux 6.15: first what is asked for, last how the process ended."""
GET_INFO, EXIT = 0xC040FF0B, 8
LOOK_AGAIN_S = 0.01


class ExitWatch:
    """A handle of a process, which tells how it ended also after it is gone. An older system's kernel tells nothing."""

    def __init__(self, pid: int) -> None:
        self._handle: int | None = None
        with suppress(OSError, AttributeError):  # gone already, or no Linux
            self._handle = os.pidfd_open(pid)

    def code(self, within_s: float = 0.0) -> int | None:
        """Return the exit code, negative for a signal; None where the process lives, is not yet reaped or the kernel tells nothing."""
        until = time.monotonic() + within_s
        while self._handle is not None:
            told = bytearray(FORM.pack(EXIT, *[0] * 13))
            try:
                fcntl.ioctl(self._handle, GET_INFO, told)
            except OSError:
                return None
            known, *_, status = FORM.unpack(told)
            if known & EXIT:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(LOOK_AGAIN_S)
        return None

    def close(self) -> None:
        """Let go of the handle. Idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
