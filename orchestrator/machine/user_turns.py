"""One user at a time on a machine: locks on the administrator's folder itself, in which nothing is made that somebody could make first.

A user takes part by a shared lock on the byte of the folder that has the number of the user, and has the turn where no other byte is
locked. Such locks are a description's own (OFD): they are gone with the process, however it ends, and none can be had on a folder that
would keep others from locking theirs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import struct
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.machine.locks import VARIABLE, holders_of, open_common_folder
from orchestrator.machine.surroundings import user_told

LOCK = "@hhqqi"
"""``struct flock``: type, whence, start, length, process."""
TRIES = 5
LONGEST_PAUSE_S = 0.02
END = 2**62
SET, ASK = getattr(fcntl, "F_OFD_SETLK", 37), getattr(fcntl, "F_OFD_GETLK", 36)


class UserTurn:
    """One user's share in the turn among all users, by way of the folder that the administrator made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.every_user = False
        self._held: int | None = None

    def take(self) -> str | None:
        """Take part, or return who measures. Raises InputError where the folder cannot be locked."""
        if self._held is not None:
            return None
        folder, self.every_user = open_common_folder(self.path)
        try:
            other = _try(folder, self.path)
            if other is not None:
                return told_of(folder, other, self.path)
            with suppress(OSError):  # it keeps nobody out: /proc/locks tells by it which process takes part
                fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._held, folder = folder, -1
            return None
        finally:
            if folder >= 0:
                os.close(folder)

    def end(self) -> None:
        """Let go of it. Idempotent."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _try(folder: int, path: Path) -> int | None:
    """Lock this user's byte and return None, or leave it and return who takes part.

    Two users that try at once see each other and both step back: each tries again after another while.
    """
    for _ in range(TRIES):
        _lock(folder, fcntl.F_RDLCK, path)
        other = other_user(folder, path)
        if other is None:
            return None
        _lock(folder, fcntl.F_UNLCK, path)
        time.sleep(random.uniform(0, LONGEST_PAUSE_S))  # noqa: S311 - no secret
    return other


def other_user(folder: int, path: Path) -> int | None:
    """Return the number of another user who takes part, or None."""
    own = os.geteuid()
    for start, length in ((0, own), (own + 1, END)):
        if length:
            asked = struct.pack(LOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
            kind, _, first, _, _ = struct.unpack(LOCK, _call(folder, ASK, asked, path))
            if kind != fcntl.F_UNLCK:
                return int(first)
    return None


def told_of(folder: int, uid: int, path: Path) -> str:
    """Return who measures, as those who wait are told: the user and the processes.

    Anybody who can open the folder can lock the byte of another user. Where the kernel shows no process of that user, this is said.
    """
    pids = [pid for pid, owner in holders_of(os.fstat(folder)) if owner == uid]
    if pids:
        return f"{user_told(uid)}, process {', '.join(map(str, pids))},"
    return f"somebody under the number of {user_told(uid)} (`fuser -v {path}`, as root, names the process)"


def _lock(folder: int, kind: int, path: Path) -> None:
    _call(folder, SET, struct.pack(LOCK, kind, os.SEEK_SET, os.geteuid(), 1, 0), path)


def _call(folder: int, command: int, asked: bytes, path: Path) -> bytes:
    try:
        return fcntl.fcntl(folder, command, asked)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        raise InputError(
            f"{VARIABLE}={path} cannot be locked ({name} {error.strerror}): it must lie on a local file system of Linux, such as /run; "
            "choose another, or unset it"
        ) from error
