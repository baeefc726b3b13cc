"""A second user of the machine, or a machine that is otherwise: what is done there runs in a process of its own."""

import ctypes
import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

NOBODY, NOGROUP = 65534, 65534
CLONE_NEWNS = 0x00020000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user of the machine: run as root")


class Stranger(NamedTuple):
    """The process, and what became of what it did: the text it returned, else ``done``, or the exception with its name."""

    pid: int
    told: str


@contextmanager
def stranger(act: Callable[[], object], uid: int = NOBODY) -> Iterator[Stranger]:
    """Do something as another user; the process, with all that it holds, stays until the block ends."""
    told_out, told_in = os.pipe()
    stay_out, stay_in = os.pipe()
    with warnings.catch_warnings():
        # What runs in the child takes no lock of another thread's, which is what Python warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _live(act, uid, told_in, stay_out, stay_in)
    os.close(told_in)
    os.close(stay_out)
    try:
        with os.fdopen(told_out) as told:
            yield Stranger(pid, told.read())
    finally:
        os.close(stay_in)
        os.waitpid(pid, 0)


def as_stranger(act: Callable[[], object], uid: int = NOBODY) -> str:
    """Do something as another user and return what became of it."""
    with stranger(act, uid) as other:
        return other.told


def elsewhere(act: Callable[[], object], *mounts: str) -> str:
    """Do something as root in a process that has mounts of its own, made by these words to ``mount``; return what became of it."""

    def there() -> object:
        if mounts:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
                raise OSError(ctypes.get_errno(), "no namespace of its own for mounts")
            for words in ("--make-rprivate /", *mounts):
                subprocess.run(["mount", *words.split()], check=True)
        tempfile.tempdir = None  # Python looks for it once
        return act()

    return as_stranger(there, uid=os.geteuid())


def _live(act: Callable[[], object], uid: int, told_in: int, stay_out: int, stay_in: int) -> None:
    try:
        os.close(stay_in)
        if uid != os.geteuid():
            os.setgroups([])
            os.setresgid(NOGROUP, NOGROUP, NOGROUP)
            os.setresuid(uid, uid, uid)
        os.umask(0)
        try:
            result = act()
            told = result if isinstance(result, str) else "done"
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        os.write(told_in, told.encode())
        os.close(told_in)
        os.read(stay_out, 1)
    finally:
        os._exit(0)
