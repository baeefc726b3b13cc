"""A small process that outlives the program and clears away what it leaves, however the program ends.

The guard sleeps until its pipe is closed, which the operating system does also for a program that was killed. Then it ends every process
that belongs to the program's private Ray and deletes the files and folders that it was given. It belongs to no terminal and no group of
processes, so that no signal meant for the program reaches it, and it imports nothing besides the standard library.

A process belongs to the private Ray if it has inherited the mark in its environment. Some of Ray's own write their name over their
environment: those are known by a name that begins with ``ray::`` and a file of the private folder that they hold open.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "TAIL_QUALITY_PRIVATE_RAY"
"""The variable that all processes of one private Ray inherit."""
PATIENCE_S = 10.0
LOOK_AGAIN_S = 0.05


class Guard:
    """The program's end of the pipe."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process = process
        self.mark = mark

    def remove_at_end(self, path: Path) -> None:
        """Have a file or folder deleted when the program has ended. One write, so that no half of a name is ever read."""
        assert self._process.stdin is not None
        with suppress(OSError):  # the guard has been ended: what is left goes at the next start
            os.write(self._process.stdin.fileno(), os.fsencode(path.absolute()) + b"\0")

    def end(self) -> None:
        """Have it clear away now, and wait for it. Idempotent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2 * PATIENCE_S)


@contextmanager
def guarded() -> Iterator[Guard]:
    """Start a guard; at the end it clears away what is left and goes."""
    mark = f"{os.getpid()}-{time.time_ns()}"
    process = subprocess.Popen(  # noqa: S603 - our own file in our own Python
        [sys.executable, "-ISP", __file__, mark],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        bufsize=0, cwd="/", start_new_session=True,
    )  # fmt: skip
    guard = Guard(process, mark)
    try:
        yield guard
    finally:
        guard.end()


def watch(mark: str) -> None:
    """Sleep until the program is gone, then clear away."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    paths = [Path(os.fsdecode(name)) for name in names]
    until = time.monotonic() + PATIENCE_S
    while True:
        end_processes(f"{MARK}={mark}".encode(), names)
        for path in paths:
            _delete(path)
        time.sleep(LOOK_AGAIN_S)
        # A process that was about to run another program belongs to nobody for a moment, and may have made a folder anew.
        if time.monotonic() > until or not any(os.path.lexists(path) for path in paths):
            return


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def end_processes(mark: bytes, folders: Sequence[bytes]) -> None:
    """Kill every process that belongs to the private Ray, until none is left: one may start another while we look."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = [pid for pid in _pids() if _belongs(pid, mark, folders)]
        if not found:
            return
        for pid in found:
            _kill(pid, mark, folders)
        time.sleep(LOOK_AGAIN_S)


def _pids() -> list[int]:
    """Return all process ids, or none if the system does not list them as Linux does."""
    try:
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and path.name != str(os.getpid())]
    except OSError:
        return []


def _belongs(pid: int, mark: bytes, folders: Sequence[bytes]) -> bool:
    try:
        if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
        return Path(f"/proc/{pid}/comm").read_bytes().startswith(b"ray::") and any(
            os.fsencode(opened.readlink()).startswith(folder + b"/") for opened in Path(f"/proc/{pid}/fd").iterdir() for folder in folders
        )
    except OSError:  # gone meanwhile, or another user's
        return False


def _kill(pid: int, mark: bytes, folders: Sequence[bytes]) -> None:
    """Kill a process, never a later one of the same number: a handle stands for one process alone."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if _belongs(pid, mark, folders):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


if __name__ == "__main__":
    watch(sys.argv[1])
