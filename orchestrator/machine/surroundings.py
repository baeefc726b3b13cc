"""What a machine must offer before anything is measured: room, shared memory, short names, locks."""

import mmap
import os
import pwd
import resource
import shutil
import stat
import tempfile
from pathlib import Path

from orchestrator.contracts import InputError

MEMORY = Path("/dev/shm")  # noqa: S108 - files there are made new, under secret names, or are looked at first
ROOT = 0


def is_safe(folder: Path) -> bool:
    """Return whether only root and this user can take away or replace what this user keeps in a folder."""
    try:
        return why_unsafe(folder.lstat()) is None
    except OSError:
        return False


def is_own(path: Path) -> bool:
    """Return whether a path exists and belongs to this user."""
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def why_unsafe(status: os.stat_result) -> str | None:
    """Return in words why another user could take away or replace what lies in a folder, or None."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid not in (ROOT, os.geteuid()):
        return f"belongs to {user_named(status.st_uid)}"
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        return f"has mode {stat.S_IMODE(status.st_mode):o}, with which others may take away what lies there"
    return None


def user_named(uid: int) -> str:
    """Return a user's name and number."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


MIB = 2**20
LEAST_FREE = {False: 1 * MIB, True: 32 * MIB}
"""Bytes that must be free in the folder for temporary files, without and with an embedded Ray: its logs, and the code it imports."""
LEAST_FILE = {False: 16 * MIB, True: 512 * MIB}
"""How large a file must be allowed to become: tables of results, and Ray's memory for objects, which is one file."""
LEAST_OPEN = {False: 64, True: 256}
"""How many files a process must be allowed to have open. With two trials Ray's own have 55, and die of too few without a word of it."""
LEAST_ADDRESSES = {False: 2560 * MIB, True: 4096 * MIB}
"""Bytes of addresses that a process must be allowed, without a large model: with fewer, libraries abort and Ray hangs."""
LONGEST_SOCKET = 107
"""Bytes in the name of a Unix socket."""
SOCKET = "/tq-{pid}-12345678/r/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest name of Ray's in the folder for temporary files."""


def check_surroundings(with_ray: bool) -> None:
    """Raise InputError if a campaign on this machine would end before its first round, or Ray would not start.

    Parameters
    ----------
    with_ray
        whether a Ray is started for it.
    """
    folder = _temporary_folder()
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE[with_ray]:
        raise InputError(
            f"{folder}: {free / MIB:.1f} MiB are free, and temporary files need {LEAST_FREE[with_ray] / MIB:.0f}; free some, or name "
            "another folder with TMPDIR"
        )
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and limit < LEAST_FILE[with_ray]:
        what = "Ray's memory for objects" if with_ray else "a table of results"
        raise InputError(
            f"ulimit -f: files may become {limit / MIB:.3g} MiB long, and {what} needs {LEAST_FILE[with_ray] / MIB:.0f}; raise it with "
            "`ulimit -f unlimited`"
        )
    who = "Ray's processes need" if with_ray else "libraries need"
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[with_ray]  # Ray raises it as far as it may
    if limit != resource.RLIM_INFINITY and limit < LEAST_OPEN[with_ray]:
        raise InputError(
            f"ulimit -n: a process may have {limit} files open, and {who} {LEAST_OPEN[with_ray]:,}; raise it with `ulimit -n 8192`"
        )
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESSES[with_ray]:
        raise InputError(
            f"ulimit -v: a process may have {limit / MIB:,.0f} MiB of addresses, and {who} {LEAST_ADDRESSES[with_ray] / MIB:,.0f}; lift it "
            "with `ulimit -v unlimited`"
        )
    if with_ray:
        _check_for_ray(folder)


def _check_for_ray(folder: Path) -> None:
    most = LONGEST_SOCKET - len(SOCKET.format(pid=os.getpid()))
    length = len(os.fsencode(folder))
    if length > most:
        raise InputError(
            f"{folder}: the name of the folder of temporary files has {length} bytes and may have at most {most}: Ray's sockets lie there, "
            f"and a socket's whole name has at most {LONGEST_SOCKET}; name a shorter one with TMPDIR"
        )
    if MEMORY.is_dir() and not os.access(MEMORY, os.W_OK):
        raise InputError(f"{MEMORY} cannot be written, and Ray keeps its objects there: mount it writable, mode 1777")


def _temporary_folder() -> Path:
    """Return where temporary files go. Python itself falls back to other folders if it cannot write, in the end to the working one."""
    named = os.environ.get("TMPDIR")
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise InputError(
            f"TMPDIR={named or ''}: neither there nor in /tmp can a temporary file be written; free space there, or name a folder that "
            "can be written with TMPDIR"
        ) from error
    if named:
        try:
            with tempfile.TemporaryFile(dir=named) as file:
                file.write(bytes(mmap.PAGESIZE))
        except OSError as error:
            message = f"TMPDIR={named}: no file can be written there ({error.strerror}); free space, make it writable, or unset it"
            raise InputError(message) from error
    return folder
