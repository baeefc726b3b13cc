"""An embedded Ray for one command: private, on loopback, with a token of its own, gone when the command ends."""

import fcntl
import logging
import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from orchestrator.contracts import first_line
from orchestrator.distributed.light_process import left_for_later
from orchestrator.distributed.light_ray import started_lightly, without, without_its_words
from orchestrator.distributed.watch import Watch, waiting_in_steps, watched
from orchestrator.endings import ClusterLost
from orchestrator.running.guard import MARK, Guard
from orchestrator.running.signals import heed_signals

PREFIX = "tq-"
OWNER, OWNED = "owner", "r"
OLD_S = 600.0
SHUTDOWN_S = 6.0
"""How long Ray may take to end by itself; it takes a second or two."""
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


@contextmanager
def own_folder(guard: Guard) -> Iterator[Path]:
    """Yield a new private folder, short enough for the names of Ray's sockets; delete it, and those whose owners are dead.

    Ray opens its own folder to every user of the machine, and processes import code from there: it has to lie within one that no other can
    enter. An owner holds a lock beside it. Its process id would be useless to a program in another container that shares the folder.
    """
    remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    guard.remove_at_end(folder)
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
    """Delete a folder, its lock last: if a dying process of Ray's still writes there, a later program can see that and try again."""
    shutil.rmtree(folder / OWNED, ignore_errors=True)
    if not (folder / OWNED).exists():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def embedded_ray(working_dir: Path, guard: Guard) -> Iterator[None]:
    """Have ``ray.init(address="local")``; ``working_dir`` holds the code that its workers import.

    At the end the guard kills what is left of Ray: its agents would live on for half a minute. Raises ClusterLost if Ray dies while
    starting.
    """
    prepare_environment()
    with own_folder(guard) as folder, private_variables(guard.mark):
        with left_for_later():
            import ray

        heed_signals()
        # The kernel ends Ray's processes with the thread that has started them.
        over = threading.Event()
        watch = Watch(folder)
        try:
            with watched(watch):
                try:
                    watch.call(partial(_start, folder, working_dir), stay=over)
                except (ConnectionError, RuntimeError) as error:  # Ray's own words for a process of its that does not answer
                    raise ClusterLost(f"the embedded Ray did not start ({first_line(error)})") from error
                yield
        finally:
            with suppress(ClusterLost, TimeoutError):
                watch.call(ray.shutdown, within_s=SHUTDOWN_S)
            guard.end()
            over.set()


@contextmanager
def private_variables(mark: str) -> Iterator[None]:
    """Give processes started meanwhile a token of their own and the guard's mark; the user's own token is back afterwards."""
    own = {"RAY_AUTH_TOKEN": secrets.token_hex(32), MARK: mark}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    forget_token()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def forget_token() -> None:
    """Have Ray read the token again before another Ray starts: its core keeps the first token that a process used.

    Not when a Ray ends: core threads that still run would end the process if they found no token.
    """
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    AuthenticationTokenLoader.instance().reset_cache()


OF_NO_USE = ("SIGTERM handler", "File descriptor limit")


def _start(folder: Path, working_dir: Path) -> None:
    import ray

    # Only we handle signals, so Ray's warning about its own handler is of no use; nor is one about files: there are enough for one machine.
    logging.getLogger("ray._private.worker").addFilter(lambda record: not any(word in record.getMessage() for word in OF_NO_USE))
    with in_groups_of_their_own(), without(HELPERS), started_lightly(), without_its_words(), waiting_in_steps():
        ray.init(
            address="local",
            _node_ip_address=LOOPBACK,
            _temp_dir=str(folder),
            num_cpus=1,  # timed actors ask for none, and of two Ray starts two processes where one is asked for
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            object_store_memory=256 * 2**20,
            runtime_env={"working_dir": str(working_dir)},
        )


HELPERS = ("start_api_server", "start_monitor", "start_log_monitor")
"""How Ray's node calls the start of its dashboard, of what adds and removes nodes, and of what sends the lines of log files to drivers."""


class _Groups:
    own = False
    hooked = False


@contextmanager
def in_groups_of_their_own() -> Iterator[None]:
    """Have processes that are started meanwhile leave our group: a signal to the group, as from a terminal, is for us alone.

    It would end Ray during the round that is to be finished.
    """
    if not _Groups.hooked:
        os.register_at_fork(after_in_child=lambda: os.setpgid(0, 0) if _Groups.own else None)
        _Groups.hooked = True
    _Groups.own = True
    try:
        yield
    finally:
        _Groups.own = False
