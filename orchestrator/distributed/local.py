"""An embedded Ray for one command: private, on loopback, with a token of its own, gone when the command ends."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.execution.signals import handled_by

PREFIX = "tq-"
OWNER, OWNED = "owner", "r"
OLD_S = 600.0
LOOPBACK = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""Ray rewrites 127.0.0.1 to the host's own address, and leaves the rest of the loopback range as it is."""


def prepare_environment() -> None:
    """Set what Ray reads from the environment when it is imported. Telemetry is off: nothing leaves the user's machines."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    # A call after the end must not start a Ray of its own.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    # Python's minor version must be equal on all hosts, its patch level need not.
    os.environ["RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL"] = "minor"
    # Ray keeps an idle process ready for every core, and none of ours can use one: a trial's environment is its own.
    os.environ["RAY_enable_worker_prestart"] = "0"  # noqa: SIM112 - the names are Ray's
    os.environ["RAY_prestart_worker_first_driver"] = "0"  # noqa: SIM112
    # Ray gives its workers niceness 15: any other process on the machine would then stall the timed one.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - the name is Ray's


def first_line(message: str, otherwise: str) -> str:
    """Return the first line of Ray's message that says anything, or ``otherwise``."""
    return next((line.strip() for line in message.splitlines() if line.strip()), otherwise)[:300]


@contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a new private folder, short enough for the names of Ray's sockets; delete it, and those whose owners are dead.

    Ray opens its own folder to every user of the machine, and processes import code from there: it has to lie within one that
    nobody else can enter. An owner holds a lock beside it. Its process id would say nothing to a program in another container that
    shares the folder.
    """
    remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    with (folder / OWNER).open("xb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            (folder / OWNED).mkdir()
            yield folder / OWNED
        finally:
            _remove(folder)


def remove_leftovers() -> None:
    """Delete folders whose owner is dead, and what a process of Ray's that outlived its owner has made anew."""
    for folder in filter(_is_own, Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*")):
        with suppress(OSError):  # one whose owner lives stays
            try:
                with (folder / OWNER).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(folder)
            except FileNotFoundError:
                made_anew = [path.name for path in folder.iterdir()] == [OWNED]
                if made_anew and time.time() - folder.stat().st_mtime > OLD_S:
                    _remove(folder)


def _is_own(folder: Path) -> bool:
    """Return whether a folder is one that this program makes: no link, this user's, and closed to all others.

    Another user's might keep us waiting with a pipe in the place of the lock, or lead to files of ours.
    """
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _remove(folder: Path) -> None:
    """Delete a folder, its lock last: where a process of Ray's that is dying still writes, a later program can tell and try again."""
    shutil.rmtree(folder / OWNED, ignore_errors=True)
    if not (folder / OWNED).exists():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def embedded_ray(working_dir: Path) -> Iterator[None]:
    """Have ``ray.init(address="local")``; ``working_dir`` holds the code that its workers import."""
    prepare_environment()
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    with own_folder() as folder:
        import ray

        try:
            with signals_deferred():
                ray.init(
                    address="local",
                    _node_ip_address=LOOPBACK,
                    _temp_dir=str(folder),
                    include_dashboard=False,
                    configure_logging=False,
                    log_to_driver=False,
                    object_store_memory=256 * 2**20,
                    runtime_env={"working_dir": str(working_dir)},
                )
            yield
        finally:
            end_ray()
            os.environ.pop("RAY_AUTH_TOKEN", None)


def end_ray() -> None:
    """Disconnect from Ray, which takes moments that no signal cuts short, and have signals reach our handlers again."""
    import ray

    with handled_by(lambda number, frame: None):
        ray.shutdown()


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Have a signal that asks to stop wait until Ray has started: in the midst of that it aborts the whole process.

    Ray's handler of SIGTERM, which ends the program by itself, gives way to the one that was there.
    """
    seen: list[int] = []
    try:
        with handled_by(lambda number, frame: seen.append(number)):
            yield
    except SystemExit as error:  # Ray's own handler, once it is in place
        raise KeyboardInterrupt from error
    if seen:
        raise KeyboardInterrupt
