"""Where the locks of the turns lie, who holds one, and how one user at a time has a machine.

The latter are locks on the administrator's folder itself, in which no file is made that another user could make first. A user takes part by
a shared lock on the byte of the folder that has the user's number, and has the turn if no other byte is locked. Such locks belong to an
open file description (OFD): they are gone with the process, however it ends, and on a folder none can keep others from locking theirs.
"""

import errno
import fcntl
import os
import random
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.machine.other_users import MEMORY, ROOT, is_safe, user_named, why_unsafe

VARIABLE = "ORCHESTRATOR_LOCK_DIR"
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
HOW_TO_MAKE = "have the administrator make it with `install -d -m 1777 FOLDER`"


def own_folder_path() -> Path:
    """Return where this user's locks lie: the same for every process of theirs, whatever its TMPDIR.

    Not in XDG_RUNTIME_DIR, which some processes of a user have and others have not; nor first in shared memory, which some systems empty
    of a user's files when they log out, while their campaign runs on.
    """
    temporary = Path("/tmp").resolve()  # noqa: S108 - a folder there is looked at before it is used
    fit = [root for root in (temporary, MEMORY) if os.access(root, os.W_OK) and is_safe(root)]
    return (fit or [temporary])[0] / f"orchestrator-locks-{os.geteuid()}"


def common_folder_path() -> Path | None:
    """Return the folder that ORCHESTRATOR_LOCK_DIR names, or None."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def open_own_folder() -> int:
    """Make and open this user's folder. Raises InputError if it is not this user's alone."""
    path, user = own_folder_path(), user_named(os.geteuid())
    try:
        with suppress(FileExistsError):
            path.mkdir(0o700)
    except OSError as error:
        raise InputError(
            f"{path} cannot be made ({error.strerror}), and holds the locks of {user}: make its parent writable", "unreadable", value=path
        ) from error
    remedy = f"it is to hold the locks of {user} alone: have it removed, by its owner or root"
    try:
        descriptor = os.open(path, FOLDER)
    except OSError as error:
        raise InputError(f"{path} cannot be opened as a folder ({error.strerror}); {remedy}", "unreadable", value=path) from error
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
        with suppress(OSError):  # programs that clear old files out of /tmp pass over a locked folder
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return descriptor
    os.close(descriptor)
    raise InputError(
        f"{path} belongs to {user_named(status.st_uid)} and has mode {stat.S_IMODE(status.st_mode):o}; {remedy}", "unsafe", value=path
    )


@contextmanager
def common_folder(path: Path) -> Iterator[tuple[int, bool]]:
    """Hold the administrator's folder open, and say whether every user of the machine can open it.

    Raises InputError for one that is missing, or that users besides root and this one could exchange.
    """
    if not path.is_absolute():
        raise InputError(
            f"{VARIABLE}={path} must be an absolute path, such as /var/lock/orchestrator; correct it", key=VARIABLE, value=path
        )
    try:
        descriptor = os.open(path, FOLDER)
    except OSError as error:
        raise InputError(
            f"{VARIABLE}={path} cannot be opened as a folder ({error.strerror}); {HOW_TO_MAKE}, or unset it", "unreadable", VARIABLE, path
        ) from error
    try:
        status = os.fstat(descriptor)
        _refuse_unsafe(path, path, status)
        parents = {parent: parent.lstat() for parent in {*path.parents, *path.resolve().parents}}
        for parent, found in sorted(parents.items()):
            if not stat.S_ISLNK(found.st_mode) or found.st_uid not in (ROOT, os.geteuid()):
                _refuse_unsafe(path, parent, found)
        every_user = bool(status.st_mode & 0o004) and all(parent.st_mode & 0o001 for parent in parents.values())
        yield descriptor, every_user
    finally:
        os.close(descriptor)


def _refuse_unsafe(named: Path, place: Path, status: os.stat_result) -> None:
    why = why_unsafe(status)
    if why is not None:
        where = "" if place == named else f" lies in {place}, which"
        remedy = "a folder of locks is root's or yours, and others may write into it and those above only where it is sticky (mode 1777)"
        raise InputError(f"{VARIABLE}={named}{where} {why}: {remedy}; {HOW_TO_MAKE}, or unset it", "unsafe", VARIABLE, named)


# ``struct flock``: type, whence, start, length, process.
LOCK = "@hhqqi"
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
        """Take part, or return who measures. Raises InputError if the folder cannot be locked."""
        if self._held is not None:
            return None
        with common_folder(self.path) as (folder, self.every_user):
            other = _try(folder, self.path)
            if other is not None:
                return holder_named(other, self.path)
            self._held = os.dup(folder)  # the locks stay as long as one descriptor of the same opening does
            return None

    def end(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _try(folder: int, path: Path) -> int | None:
    """Lock this user's byte and return None, or leave it and return who takes part.

    Two users that try at once see each other and both step back: each tries again after a random time.
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


def holder_named(uid: int, path: Path) -> str:
    """Return who measures, described for those who wait. Any user who can open the folder can lock another's byte."""
    return f"somebody under the number of {user_named(uid)} (`fuser -v {path}`, as root, names the process)"


def _lock(folder: int, kind: int, path: Path) -> None:
    _call(folder, SET, struct.pack(LOCK, kind, os.SEEK_SET, os.geteuid(), 1, 0), path)


def _call(folder: int, command: int, asked: bytes, path: Path) -> bytes:
    try:
        return fcntl.fcntl(folder, command, asked)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        raise InputError(
            f"{VARIABLE}={path} cannot be locked ({name} {error.strerror}): it must lie on a local file system of Linux, such as /run; "
            "choose another, or unset it",
            "unsupported",
            VARIABLE,
            path,
        ) from error
