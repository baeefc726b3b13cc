"""A results directory that is one driver's alone, and still there."""

import fcntl
import hashlib
import json
import os
import shlex
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from orchestrator.contracts import InputError
from orchestrator.storage.layout import CAMPAIGN, LOCK
from orchestrator.storage.records import utc_now

SET_ASIDE = f"{CAMPAIGN}.found"
"""New name of a stranger's file in the place of ``campaign.json``."""


class Presence:
    """What a driver knows of its directory; held open until ``close``, so that it is found wherever it goes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = _identity(directory / LOCK)
        self._digest = ""
        self._seen: tuple[int, ...] | None = None
        self._folders: dict[Path, tuple[int, ...]] = {}

    def close(self) -> None:
        """Let go of the directory. Idempotent."""
        opened, self._open = self._open, -1
        if opened >= 0:
            os.close(opened)

    def remember(self, content: bytes) -> None:
        """Remember what ``campaign.json`` holds."""
        self._digest = hashlib.sha256(content).hexdigest()
        self._seen = _identity(self._directory / CAMPAIGN)

    def keep(self, *folders: Path) -> None:
        """Remember folders in the directory that no other may take the place of; each as it was when it was first seen."""
        for folder in folders:
            found = _identity(folder)
            if found is not None:
                self._folders.setdefault(folder, found[:2])

    def renew(self, folder: Path) -> None:
        """Remember a folder that this driver has made in the place of one that is gone."""
        self._folders.pop(folder, None)
        self.keep(folder)

    def exchanged(self) -> str | None:
        """Return in one line which folder in the directory is another one now, or None. One that is missing is not: others notice it."""
        for folder, kept in self._folders.items():
            found = _identity(folder)
            if found is not None and found[:2] != kept:
                owner = folder.lstat().st_uid
                return (
                    f"{folder} was replaced while measuring, and what stands there now belongs to user {owner}: nothing is reported from "
                    "it; put back what was there and go on with resume, or measure again into a folder that others cannot write"
                )
        return None

    def gone(self) -> str | None:
        """Return what has become of the directory, as the end of a sentence that begins with its path, or None if it is here."""
        if self._open < 0:
            return None
        own = os.fstat(self._open)
        with suppress(OSError):
            if os.path.samestat(own, self._directory.stat()):
                return None
        if own.st_nlink == 0:
            return "was removed while measuring, with all that was stored in it; measure the campaign again"
        place = self._place()
        whole = "while measuring, and what was stored before is whole there"
        if place is None:
            return f"was moved elsewhere {whole}: go on with: python -m orchestrator resume NEW_PLACE"
        return f"was moved to {place} {whole}: go on with: python -m orchestrator resume {shlex.quote(str(place))}"

    def lost_lock(self) -> bool:
        """Return whether the lock was removed or replaced, so that another driver may have written too. True once."""
        now = _identity(self._directory / LOCK)
        lost = self._lock is not None and (now is None or now[:2] != self._lock[:2])
        self._lock = now
        return lost

    def changed(self) -> str | None:
        """Return ``removed`` or ``replaced`` where ``campaign.json`` is not what was last written, else None."""
        path = self._directory / CAMPAIGN
        now = _identity(path)
        if now is None:
            return None if self._seen is None else "removed"
        if now == self._seen:
            return None
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and hashlib.sha256(path.read_bytes()).hexdigest() == self._digest:
                self._seen = now  # a copy of it, or touched
                return None
        return "replaced"

    def set_aside(self) -> Path:
        """Rename what stands in the place of ``campaign.json``, and return where it is now: it is not ours to delete."""
        numbers = (f"{SET_ASIDE}-{number}" for number in range(2, 1000))
        name = next(name for name in (SET_ASIDE, *numbers) if not os.path.lexists(self._directory / name))
        return (self._directory / CAMPAIGN).rename(self._directory / name)

    def _place(self) -> Path | None:
        """Return where the directory is now, if the system says."""
        try:
            place = Path(f"/proc/self/fd/{self._open}").readlink()
            return place if os.path.samestat(os.fstat(self._open), place.stat()) else None
        except OSError:
            return None


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from another one, or the same one changed; None if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


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
    """Open the file of the lock, and nothing that a stranger has put in its place: its content is overwritten."""
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
