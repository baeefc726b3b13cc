"""Open the cluster a campaign runs on: a Ray started for this command, or one that runs already.

The embedded one is private, on loopback, with a token of its own, and gone when the command ends, however it ends.
"""

import logging
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import InputError
from orchestrator.distributed.placement import stage_code
from orchestrator.endings import ClusterLost, Embedded
from orchestrator.machine.host import read_machine
from orchestrator.running.executor import Executor, LocalSite, Site
from orchestrator.running.keeper import Keeper
from orchestrator.running.signals import deferred, give_up_soon, heed_signals

CONNECT_TIMEOUT_S = 5.0
# How long the embedded Ray may take to start; on an idle machine it takes two or three.
START_S = 60.0
LOOK_AGAIN_S = 0.02
PREFIX = "tq-"
# Ray rewrites 127.0.0.1 to the host's own address, and leaves the rest of the loopback range as it is.
LOOPBACK = "127.0.0.2"
TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the variable
# One for all embedded Rays of a process: Ray's core keeps the first that a process has used.
OWN_TOKEN = secrets.token_hex(32)
UNAUTHENTICATED = "there is no token here; copy the head's ~/.ray/auth_token, or name it with RAY_AUTH_TOKEN_PATH"


# What Ray reads when it is imported.
RAYS_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the user's machines
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a call after the end must not start a Ray of its own
    "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor",  # Python's minor version must be equal on all hosts, its patch level need not
    # Ray keeps an idle process ready for every core, and none of ours can use one: a trial's environment is its own.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_maximum_startup_concurrency": str(os.cpu_count() or 1),  # the embedded Ray has one CPU, and would start one at a time
    "RAY_worker_niceness": "0",  # at Ray's 15 any other process on the machine would stall the timed one
}


def prepare_environment() -> None:
    """Set what Ray reads from the environment when it is imported."""
    os.environ.update(RAYS_ENVIRONMENT)
    os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def connected(address: str, working_dir: Path, **options: Any) -> Iterator[None]:
    """Be a driver of a Ray that runs; ``working_dir`` holds the code that its workers import."""
    import ray

    # What Ray tells all drivers is of no use: exceptions say what concerns ours.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    problems: list[BaseException] = []

    def connect() -> None:
        try:
            ray.init(
                address=address, configure_logging=False, log_to_driver=False, runtime_env={"working_dir": str(working_dir)}, **options
            )
        except BaseException as error:
            problems.append(error)

    # Not in the main thread, where Ray would set a handler of signals.
    with deferred():
        thread = threading.Thread(target=connect, name="connects to ray", daemon=True)
        thread.start()
        thread.join()
    try:
        if problems:
            raise problems[0]
        yield
    finally:
        if Embedded.lost is None:  # it would wait for what is gone
            ray.shutdown()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what Ray's core writes on stderr past Python; errors come back as exceptions."""
    sys.stderr.flush()
    kept_stream = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept_stream, 2)
        os.close(kept_stream)


def answers(address: str) -> bool:
    """Return whether HOST:PORT accepts connections."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError, ValueError):
        return False
    return True


class Head(NamedTuple):
    """A Ray of our own that starts or runs."""

    keeper: Keeper
    folder: Path
    log: Path


@contextmanager
def open_local(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Start an embedded Ray on this machine and yield its site; end it afterwards.

    Raises InputError for a folder of ``code`` that cannot be shipped, ClusterLost if Ray dies while it starts.
    """
    with started_ray() as head, _own_site(head, config, cache_dir) as site:
        yield site


@contextmanager
def open_while_looking(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Let an embedded Ray start while the driver looks at models; its executor joins it. End it afterwards."""
    with started_ray() as head:

        @contextmanager
        def executor() -> Iterator[Executor]:
            with _own_site(head, config, cache_dir) as site, site.executor() as found:
                yield found

        yield LocalSite(executor)


@contextmanager
def _own_site(head: Head, config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    with joined_ray(head, config.code):
        from orchestrator.distributed.site import RaySite

        yield RaySite(config.cluster, str(cache_dir), own=read_machine(), keeper=head.keeper)


@contextmanager
def open_joined(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Join the cluster at ``cluster.address`` and yield its site; leave it afterwards as it was.

    Raises InputError for a cluster that cannot be joined, and for a folder of ``code`` that cannot be shipped.
    """
    address = config.cluster.address
    assert address is not None
    prepare_environment()
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    has_token = os.environ.get(TOKEN) or (file.is_file() and file.read_bytes().strip())
    if os.environ["RAY_AUTH_MODE"] == "token" and not has_token:
        # Ray's core ends the whole process over an empty file.
        raise InputError(f"cluster.address={address}: {UNAUTHENTICATED}", "missing", "cluster.address", address)
    if not answers(address):
        # Ray itself would go on asking for minutes.
        raise InputError(
            f"cluster.address={address}: nothing answers at this HOST:PORT; start a head with cluster/start_head.sh or correct it",
            "not_found",
            "cluster.address",
            address,
        )
    from ray.exceptions import RayError

    with Keeper() as files, ExitStack() as stack:
        folder = private_folder()
        files.remove_at_end(folder.parent)
        stage_code(folder / "code", config.code)
        try:
            with quiet_stderr():
                stack.enter_context(connected(address, folder / "code"))
        except (RayError, RuntimeError, ValueError, OSError) as error:
            # No public call of Ray's says that a token was refused; of two versions its own words tell.
            raise InputError(
                f"cluster.address={address}: cannot be joined ({' '.join(str(error).split())}): if versions differ, install equal ones; if "
                "the token here is not the head's, copy its ~/.ray/auth_token, or name that with RAY_AUTH_TOKEN_PATH; else run this on a "
                "host of the cluster, and see there with `ray status` whether it is alive",
                "unreadable",
                "cluster.address",
                address,
            ) from error
        from orchestrator.distributed.site import RaySite

        home = Path.home()
        # Every host reads it in its own home.
        cache = f"~/{cache_dir.relative_to(home)}" if cache_dir.is_relative_to(home) else str(cache_dir)
        yield RaySite(config.cluster, cache, keeper=files)


def private_folder() -> Path:
    """Return a new folder, short enough for the names of Ray's sockets, which its keeper is to delete.

    Ray opens its own folder to every user of the machine, and processes import code from there: it has to lie within one that no other can
    enter.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"), "r")
    folder.mkdir()
    return folder


@contextmanager
def started_ray() -> Iterator[Head]:
    """Begin to start a Ray of our own, and kill all of it at the end.

    Once it is lost, every call to it ends by ClusterLost, and the program ends by itself where a call does not.
    """
    prepare_environment()
    heed_signals()
    token = os.environ.get(TOKEN)
    os.environ[TOKEN] = OWN_TOKEN
    folder = private_folder()
    log = folder / "head.log"

    def lost(how: str) -> None:
        if Embedded.runs:  # while it starts, nobody calls it yet
            Embedded.lose(_said(log, f"the embedded Ray has ended ({how})"))
            give_up_soon(1)

    command = [sys.executable, "-P", str(Path(__file__).with_name("head.py")), str(folder), LOOPBACK]
    try:
        with log.open("wb") as file, Keeper(command, log=file, on_end=lost) as keeper:
            keeper.remove_at_end(folder.parent)
            yield Head(keeper, folder, log)
    finally:
        Embedded.lost = None
        Embedded.known.clear()
        del os.environ[TOKEN]
        if token is not None:
            os.environ[TOKEN] = token


@contextmanager
def joined_ray(head: Head, code: Sequence[str]) -> Iterator[None]:
    """Be the driver of a Ray of our own; its workers import ``code``. Raises ClusterLost where it does not start."""
    stage_code(head.folder / "code", code)
    import ray  # noqa: F401 - while it starts

    until, address = time.monotonic() + START_S, head.folder / "address"
    while not address.exists():
        ended = head.keeper.how_it_ended(LOOK_AGAIN_S) is not None
        if ended or time.monotonic() > until:
            raise ClusterLost(f"the embedded Ray did not start ({_said(head.log, f'no answer within {START_S:g} s')})")
        heed_signals()
    with connected(address.read_text(), head.folder / "code", _node_ip_address=LOOPBACK):  # no public name: see head.py
        Embedded.runs = True
        try:
            yield
        finally:
            Embedded.runs = False


def _said(log: Path, otherwise: str) -> str:
    """Return the last line of a log; those of Ray's core, which begin with a bracket, are not meant for users."""
    written = log.read_text(errors="replace").splitlines() if log.exists() else []
    lines = [line.strip() for line in written if line.strip() and not line.startswith("[")]
    return lines[-1] if lines else otherwise
