"""How the driver wakes a process that sleeps between its visits: by a named pipe on the machine that both share.

Ray looks for signals a hundred times a second on the thread that waits for calls, also in a process that has nothing to do. A call that
sleeps keeps that thread quiet; it ends with one byte from the driver, or with the driver itself, since then the pipe's other end is closed.
"""

import os
import select
from contextlib import suppress
from pathlib import Path


class Bell:
    """The driver's end. ``path`` must be new; OSError is raised where no pipe can be made there."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        self._pipe: int | None = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake the process, or have its next sleep end at once."""
        if self._pipe is not None:
            with suppress(BlockingIOError):  # full: it cannot sleep anyway
                os.write(self._pipe, b"\0")

    def remove(self) -> None:
        """Close and delete it. Idempotent."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
            self.path.unlink(missing_ok=True)


def sleep_until_rung(path: str) -> None:
    """Sleep until the bell at ``path`` rings or its owner is gone.

    A process that cannot see the bell stays awake: it is in a container with folders of its own.
    """
    try:
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        select.select([pipe], [], [])
        os.read(pipe, 1)
    finally:
        os.close(pipe)
