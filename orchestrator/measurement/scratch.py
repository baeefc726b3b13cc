"""Stamps in a file that is mapped into memory, so that what a killed process leaves can still be read.

Other users of the machine share the folder with us: they cannot guess, open or replace such a file, and a reader first checks who owns it.
"""

import errno
import mmap
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from orchestrator.contracts import InputError
from orchestrator.machine.locks import own_folder_path
from orchestrator.machine.other_users import MEMORY, is_safe, user_named
from orchestrator.measurement.failures import FAULT, Stamps, TrialFailed
from orchestrator.measurement.timing import STAMPS

STAMPS_PREFIX = "tail-quality-"
KEEP_S = 86_400
# int64 before the stamps: round, number of batches or arrivals, monotonic start (ns), wall-clock
# start (ns), and when the schedule of a stream begins by the clock of the stamps (ns, 0 without
# one); and, at place ``STOP``, 1 where a stream is to end after its round.
HEADER, STOP = 6, 5
UNUSED = "what the process left is not used"


def scratch_root() -> Path:
    """Return a folder in memory where there is one, so that no disk is written while a round is timed."""
    return MEMORY if os.access(MEMORY, os.W_OK) and is_safe(MEMORY) else Path(tempfile.gettempdir())


def stamps_path(folder: Path) -> Path:
    """Return an unguessable name for the stamps of this process."""
    return folder / f"{STAMPS_PREFIX}{os.getpid()}-{secrets.token_hex(16)}"


def companion_path(scratch: Path, kind: str) -> Path:
    """Return where another file of a timed process lies, by the name of its stamps: in this user's own folder, on every host.

    One that is there before the stamps would tell other users their name elsewhere.
    """
    return own_folder_path() / f"{scratch.name}-{kind}"


def crash_path(scratch: Path) -> Path:
    """Return where a timed process writes in which line a fatal signal met it."""
    return companion_path(scratch, "crash")


def remove_stale(folder: Path) -> None:
    """Delete this user's files of stamps whose process is dead, a day after it last wrote, and pipes, logs of servers and folders so named.

    Until then they may still be fetched.
    """
    import psutil

    for path in folder.glob(f"{STAMPS_PREFIX}*-*"):
        owner = path.name.removeprefix(STAMPS_PREFIX).split("-")[0]
        with suppress(OSError):  # another process was faster
            status = path.lstat()
            ours_and_old = status.st_uid == os.geteuid() and time.time() - status.st_mtime > KEEP_S
            if ours_and_old and owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(path) if stat.S_ISDIR(status.st_mode) else path.unlink()


class Scratch:
    """The mapped file of one timed process.

    ``stamps`` is a writable int64 view of 4 places per batch, under load per arrival, ``header`` the places before it.

    Raises
    ------
    InputError
        if the file cannot be made: its folder is full, or files may not become so large.
    TrialFailed
        if the file exists already.
    """

    def __init__(self, path: Path, batches: int) -> None:
        self.path = path
        self.batches = batches
        size = 8 * (HEADER + STAMPS * batches)
        try:
            with open_own(path, "x+b") as file:
                file.write(bytes(size))  # not only made long: in a full folder the first stamp would kill the process
                file.flush()
                self._map = mmap.mmap(file.fileno(), size)
        except FileExistsError:
            raise TrialFailed(f"{path} is there already, and stamps are written into a new file alone", FAULT) from None
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            message = (
                f"{path}: {size} bytes of stamps do not fit ({error.strerror}): free space there, make it writable, or raise `ulimit -f`"
            )
            raise InputError(message, "unreadable", value=size) from error
        self._map.madvise(mmap.MADV_DONTFORK)  # a copy of the process that a model forks dies at its first stamp, and writes none of ours
        whole = memoryview(self._map).cast("q")
        self.header, self.stamps = whole[:HEADER], whole[HEADER:]
        self._zeros = bytes(8 * STAMPS * batches)

    def begin(self, number: int, monotonic_ns: int, wall_ns: int, origin_ns: int = 0) -> None:
        """Clear the stamps and note which round starts, under load which is the first of the stream."""
        self.stamps.cast("B")[:] = self._zeros
        for place, value in enumerate((number, self.batches, monotonic_ns, wall_ns, origin_ns, 0)):
            self.header[place] = value

    def array(self) -> npt.NDArray[np.int64]:
        """Return a copy of the stamps, shape [B, 4], in ns."""
        return np.array(self.stamps, dtype=np.int64).reshape(self.batches, STAMPS)


def end_stream(path: Path) -> None:
    """Have the stream that is stamped here end after its round; nothing where there is no file of this user's any more."""
    with suppress(OSError), open_own(path, "r+b") as file:
        os.pwrite(file.fileno(), (1).to_bytes(8, sys.byteorder), 8 * STOP)


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Open a file of this user's by its own name, through no link; a new one is theirs alone. Raises OSError for another user's."""
    file: IO[bytes] = open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))  # noqa: SIM115
    if os.fstat(file.fileno()).st_uid != os.geteuid():
        file.close()
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    return file


def take_stamps(path: Path) -> Stamps | None:
    """Return as `read_scratch` what a timed process that is gone has left, and delete its files."""
    with suppress(OSError):
        crash_path(path).unlink()
    found = read_scratch(path)
    path.unlink(missing_ok=True)
    return found


def read_scratch(path: Path) -> Stamps | None:
    """Return what a timed process left; None if it never began a round.

    Raises TrialFailed for anything but a file of this user's that no other could write, with as many stamps as its header says.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrialFailed(f"{path} is no file of stamps ({error.strerror}): {UNUSED}", FAULT) from error
    with os.fdopen(descriptor, "rb") as file:
        _refuse_foreign(path, descriptor)
        content = file.read()
    words = np.frombuffer(content[: len(content) // 8 * 8], dtype=np.int64)
    if len(words) < HEADER or not words[1]:
        return None
    number, batches, monotonic_ns, wall_ns, origin_ns, _ = words[:HEADER].tolist()
    if batches < 0 or len(content) != 8 * (HEADER + STAMPS * batches):
        raise TrialFailed(f"{path} has {len(content)} bytes, which is no size for {batches} batches: {UNUSED}", FAULT)
    return Stamps(number, monotonic_ns, wall_ns, words[HEADER:].reshape(batches, STAMPS), origin_ns) if wall_ns else None


def _refuse_foreign(path: Path, descriptor: int) -> None:
    """Raise TrialFailed unless an open file is regular, this user's, closed to all others, and has one name."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        why = "is no regular file"
    elif status.st_uid != os.geteuid():
        why = f"belongs to {user_named(status.st_uid)}, and this is {user_named(os.geteuid())}"
    elif stat.S_IMODE(status.st_mode) & 0o077:
        why = f"has mode {stat.S_IMODE(status.st_mode):o}, with which others could have written it"
    elif status.st_nlink != 1:
        why = f"has {status.st_nlink} names"
    else:
        return
    raise TrialFailed(f"{path} {why}: {UNUSED}", FAULT)
