"""One driver per campaign: a lock that the operating system lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from pathlib import Path
from typing import BinaryIO

from orchestrator.contracts import InputError
from orchestrator.storage.layout import LOCK
from orchestrator.storage.records import utc_now


class CampaignLock:
    """The right to write into a campaign's directory, held from construction until ``release``.

    Raises
    ------
    InputError
        naming host, process and start of the driver that holds it, or a file system that has no locks.
    """

    def __init__(self, directory: Path) -> None:
        self._file = _opened(directory / LOCK)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(self._file)
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise InputError(f"{directory} is in use by {holder}: wait until it ends or stop it first") from error
            raise InputError(
                f"{directory} cannot be locked ({error.strerror}): choose a folder on another file system with results_dir="
            ) from error
        about = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": utc_now().isoformat(timespec="seconds")}
        self._file.truncate(0)
        self._file.write(json.dumps(about).encode())
        self._file.flush()

    def release(self) -> None:
        """Let go. The file stays: removing it could take the lock away from the next holder."""
        self._file.close()


def _opened(path: Path) -> BinaryIO:
    """Open the file of the lock, and nothing that a stranger has put in its place: what it holds is written over."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if not path.is_symlink() and not path.is_dir():
            raise
        raise InputError(_no_lock(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(_no_lock(path))
    return os.fdopen(descriptor, "a+b")


def _no_lock(path: Path) -> str:
    return f"{path} is a link or no regular file, and is to be the lock of a campaign: remove it"


def _holder(file: BinaryIO) -> str:
    try:
        file.seek(0)
        about = json.loads(file.read())
        return f"process {about['pid']} on {about['host']}, started at {about['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has the lock but has not written its name yet
