"""Open the cluster a campaign runs on: a Ray started for this command, or one that runs already."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.configuration.config import CampaignConfig
from orchestrator.contracts import InputError, first_line
from orchestrator.distributed.light_process import left_for_later
from orchestrator.distributed.light_ray import without_its_words
from orchestrator.distributed.local import embedded_ray, forget_token, own_folder, prepare_environment
from orchestrator.distributed.placement import stage_code
from orchestrator.machine.host import read_machine
from orchestrator.running.executor import Executor, Site
from orchestrator.running.guard import Guard, guarded
from orchestrator.running.signals import deferred

ADDRESS = re.compile(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:.]+\]:\d{1,5}")
VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+).*on (?:node )?(\S+) was started with:\s+Ray: (\S+)\s+Python: (\S+)", re.DOTALL)

CONNECT_TIMEOUT_S = 5.0
REFUSED = "the cluster refuses this token; copy the head's ~/.ray/auth_token here, or name its copy with RAY_AUTH_TOKEN_PATH"
UNAUTHENTICATED = "there is no token here; copy the head's ~/.ray/auth_token, or name it with RAY_AUTH_TOKEN_PATH"


class JoinedRay:
    """A context manager around ``ray.init(address=...)``; ``working_dir`` holds the code that workers import."""

    def __init__(self, address: str, working_dir: Path) -> None:
        if not ADDRESS.fullmatch(address):
            raise InputError(f"cluster.address={address} must be HOST:PORT, such as 10.0.0.1:6379; correct it")
        self._address = address
        self._working_dir = working_dir

    def __enter__(self) -> JoinedRay:
        prepare_environment()
        if os.environ["RAY_AUTH_MODE"] == "token" and not has_token():
            # Ray's core ends the whole process over an empty file.
            raise InputError(f"cluster.address={self._address}: {UNAUTHENTICATED}")
        if not answers(self._address):
            # Ray itself would go on asking for minutes.
            raise InputError(f"cluster.address={self._address}: nothing answers; start a head with cluster/start_head.sh or correct it")
        with left_for_later():
            import ray
        from ray._raylet import GcsClient  # type: ignore[attr-defined]
        from ray.exceptions import AuthenticationError, RaySystemError

        forget_token()
        try:
            with quiet_stderr(), without_its_words(), deferred():
                # Says within moments whether the token is right; ``ray.init`` would try again and again.
                GcsClient(address=self._address).get_all_node_info(timeout=CONNECT_TIMEOUT_S)
                ray.init(
                    address=self._address,
                    configure_logging=False,
                    log_to_driver=False,
                    runtime_env={"working_dir": str(self._working_dir)},
                )
        except AuthenticationError as error:
            ray.shutdown()
            raise InputError(f"cluster.address={self._address}: {REFUSED}") from error
        except (ConnectionError, RuntimeError, RaySystemError, ValueError, TimeoutError, OSError) as error:
            ray.shutdown()
            raise InputError(f"cluster.address={self._address}: {why_not_joined(error)}") from error
        return self

    def __exit__(self, *exception: object) -> None:
        import ray

        ray.shutdown()


def has_token() -> bool:
    """Return whether Ray would find a token here."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    return file.is_file() and bool(file.read_bytes().strip())


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what Ray's core writes on stderr past Python; errors come back as exceptions."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def answers(address: str) -> bool:
    """Return whether HOST:PORT accepts connections."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError):
        return False
    return True


def why_not_joined(error: Exception) -> str:
    """Return Ray's complaint as one line with a remedy."""
    versions = VERSIONS.search(str(error))
    if versions is not None:
        ray, python, host, own_ray, own_python = versions.groups()
        return (
            f"the cluster runs Ray {ray} on Python {python}, and this process on {host} Ray {own_ray} on Python {own_python}; "
            "install equal versions"
        )
    return f"cannot be joined ({first_line(error)}); run this on a host of the cluster, and see there with `ray status` whether it is alive"


@contextmanager
def open_local(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Start an embedded Ray on this machine and yield its site; end it afterwards.

    Raises InputError for a folder of ``code`` that cannot be shipped.
    """
    with guarded() as guard, staged_code(config, guard) as staged, embedded_ray(staged, guard):
        from orchestrator.distributed.site import RaySite

        yield RaySite(config.cluster, str(cache_dir), own=read_machine(), guard=guard)


@contextmanager
def open_local_executor(config: CampaignConfig, cache_dir: Path) -> Iterator[Executor]:
    """Start an embedded Ray and yield the executor over this machine."""
    with open_local(config, cache_dir) as site, site.executor() as executor:
        yield executor


@contextmanager
def open_joined(config: CampaignConfig, cache_dir: Path) -> Iterator[Site]:
    """Join the cluster at ``cluster.address`` and yield its site; leave it afterwards as it was.

    Raises InputError for a cluster that cannot be joined, and for a folder of ``code`` that cannot be shipped.
    """
    assert config.cluster.address is not None
    with guarded() as guard, staged_code(config, guard) as staged, JoinedRay(config.cluster.address, staged):
        from orchestrator.distributed.site import RaySite

        yield RaySite(config.cluster, cache_of_each_host(cache_dir), guard=guard)


@contextmanager
def staged_code(config: CampaignConfig, guard: Guard) -> Iterator[Path]:
    """Yield a folder with the code that every worker imports; delete it afterwards."""
    with own_folder(guard) as folder:
        staged = folder / "code"
        stage_code(staged, config.code)
        yield staged


def cache_of_each_host(cache_dir: Path) -> str:
    """Return the cache folder so that every host reads it in its own home."""
    home = Path.home()
    return f"~/{cache_dir.relative_to(home)}" if cache_dir.is_relative_to(home) else str(cache_dir)
