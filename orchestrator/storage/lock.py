"""One driver per campaign: a lock that the operating system lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path

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
        path = directory / LOCK
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise InputError(f"{directory} is in use by {_holder(path)}: wait until it ends or stop it first") from error
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


def _holder(path: Path) -> str:
    try:
        about = json.loads(path.read_bytes())
        return f"process {about['pid']} on {about['host']}, started at {about['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has the lock but has not written its name yet
