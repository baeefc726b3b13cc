"""What a machine must offer before anything is measured: room, shared memory, short names, locks."""

import mmap
import os
import resource
import shutil
import tempfile
from pathlib import Path

from orchestrator.contracts import InputError
from orchestrator.machine.other_users import MEMORY

MIB = 2**20
LEAST_FREE = {False: 1 * MIB, True: 32 * MIB}
"""Bytes that must be free in the folder for temporary files, without and with an embedded Ray: its logs, and the code it imports."""
LIMITS = (
    ("f", resource.RLIMIT_FSIZE, {False: 16 * MIB, True: 512 * MIB}, MIB, "files may become {} MiB long", "unlimited"),
    ("n", resource.RLIMIT_NOFILE, {False: 64, True: 256}, 1, "a process may have {} files open", "8192"),
    ("v", resource.RLIMIT_AS, {False: 2560 * MIB, True: 4096 * MIB}, MIB, "a process may have {} MiB of addresses", "unlimited"),
)
"""What a process must be allowed, without and with Ray: tables of results, or Ray's memory for objects, which is one file; files, of which
Ray's own processes have 55 with two trials, and die of too few without a word; and addresses, without a large model."""
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
    for option, number, least, unit, may, enough in LIMITS:
        limit = resource.getrlimit(number)[with_ray and option == "n"]  # Ray raises that one as far as it may
        if limit != resource.RLIM_INFINITY and limit < least[with_ray]:
            raise InputError(
                f"ulimit -{option}: {may.format(f'{limit / unit:,.5g}')}, and {'Ray' if with_ray else 'the program'} needs "
                f"{least[with_ray] / unit:,.0f}; raise it with `ulimit -{option} {enough}`"
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
