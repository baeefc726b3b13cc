"""A server that a campaign starts: begun before the timed process loads its client, asked whether it is ready, and ended after it.

Between the timed process and the server stands a keeper (`keeper.py`), which ends the server however the timed process ends.
"""

import importlib.metadata
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import psutil

from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.server import ServerSettings, filled
from orchestrator.contracts import CUT, InputError, shortened
from orchestrator.machine.cores import THREAD_VARIABLES, allowed_cores, check_server_threads
from orchestrator.machine.environment import distribution_version
from orchestrator.machine.host import numa_cores, server_cores_offered
from orchestrator.measurement.failures import SERVER_ENDED, TrialFailed, tracebacks_kept
from orchestrator.measurement.scratch import companion_path, open_own
from orchestrator.measurement.worker import Worker
from orchestrator.running.keeper import KEEPER_S, Keeper
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.storage.records import SERVER_STARTED
from orchestrator.subject.server import headers_of, reason, token_of

READY_EVERY_S = 0.05
# How long one look may take whether the server is ready.
ASKED_S = 5.0
VERSION_S = 60.0
# How long after an error of a request the death behind it may still become known.
NOTICED_S = 0.2
# Characters of the log's last line in a message.
SHOWN = 300
# Bytes of a log that are kept of its beginning and of its end.
HEAD, TAIL = 64 * 2**10, 960 * 2**10
# What stands in a timed process's environment for itself alone; and all of Ray's, or a server might
# join our private Ray.
NOT_INHERITED = (*THREAD_VARIABLES, "CUDA_VISIBLE_DEVICES")
RAY = "RAY_"


@dataclass(frozen=True)
class Order:
    """A server's commands with every name filled in, its cores and its environment."""

    command: tuple[str, ...]
    version_command: tuple[str, ...]
    cores: tuple[int, ...]
    environment: Mapping[str, str]


def order_of(settings: ServerSettings, cores: Sequence[int], inherited: Mapping[str, str], cache: Path) -> Order:
    """Return the order for a server whose URL has its port (pure).

    ``cores`` are those that it is pinned to, ``inherited`` is the environment of the timed process, ``cache`` a folder for derived files.
    """
    parts, count = settings.parts, len(cores) or os.cpu_count() or 1
    known = {"cache": cache, "cores": count, "host": parts.hostname, "port": parts.port, "python": sys.executable, "url": settings.url}
    values = {**settings.settings, **known}
    own = {name: filled(value, values) for name, value in settings.environment.items()}
    command, version = (tuple(filled(word, values) for word in words or ()) for words in (settings.command, settings.version_command))
    return Order(command, version, tuple(cores), {**passed_on(cores, inherited), "RAY_USAGE_STATS_ENABLED": "0", **own})


def passed_on(cores: Sequence[int], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process on these cores: a timed process's without what is meant for that alone."""
    kept = {name: value for name, value in inherited.items() if name not in NOT_INHERITED and not name.startswith(RAY)}
    return kept | (dict.fromkeys(THREAD_VARIABLES, str(len(cores))) if cores else {})


class Started:
    """A command of a trial's ``block`` under a keeper, which writes into ``log``; that is quoted without its ``secret``.

    Raises InputError if it cannot be started. ``end`` must be called.
    """

    block = "server"

    def __init__(self, order: Order, secret: Secret, log: Path, stop_s: float) -> None:
        self._log, self._secret = log, secret
        try:
            with open_own(log, "ab") as file:
                self.keeper = Keeper(order.command, order.environment, order.cores, file, stop_s)
        except OSError as error:
            raise InputError(
                f"{self.block}.command={order.command[0]}: cannot be started ({error}); correct the command, or install the program",
                "not_installed",
                f"{self.block}.command",
                order.command[0],
            ) from error
        self.how_it_ended, self.end = self.keeper.how_it_ended, self.keeper.end

    def last_words(self) -> str:
        lines = [line.strip() for line in self._secret.hide(read_log(self._log)).splitlines() if line.strip()]
        return f"; its last line: {shortened(lines[-1], SHOWN)}" if lines else "; it has written nothing"

    def processes(self) -> list[int]:
        """Return the command's processes, itself first, and those that it has left to the keeper."""
        with suppress(psutil.Error):
            return [child.pid for child in psutil.Process(self.keeper.own_pid).children(recursive=True)]
        return []


class Server(Started):
    """A server that a trial starts."""

    def await_ready(self, settings: ServerSettings) -> float:
        """Wait until it says that it is ready, and return how long that took, in s. Raises TrialFailed if it does not in time, or ends."""
        began = time.monotonic()
        seen = "nothing answers"
        named = {"host": settings.parts.hostname, "port": settings.parts.port, "url": settings.url}
        url = urljoin(str(settings.url), filled(settings.ready_url or "", named))
        request = urllib.request.Request(url, headers=headers_of(settings, self._secret))  # noqa: S310 - http(s), checked
        trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=settings.ca))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted)  # no proxy: the server is on this host
        while (passed_s := time.monotonic() - began) < settings.ready_s:
            if (how := self.how_it_ended()) is not None:
                raise TrialFailed(f"{SERVER_ENDED} ({how}) before it was ready{self.last_words()}", "server died")
            seen = answer_of(opener, request, min(ASKED_S, max(0.1, settings.ready_s - passed_s)))
            if seen == "200":
                return time.monotonic() - began
            time.sleep(READY_EVERY_S)
        raise TrialFailed(
            f"the server is not ready after server.ready_s={settings.ready_s:g} s: {url}: {seen}{self.last_words()}; "
            "raise server.ready_s, or correct server.ready_url",
            "load failed",
        )


def answer_of(opener: urllib.request.OpenerDirector, request: urllib.request.Request, within_s: float) -> str:
    """Return the status that a request is answered with, or why there is no answer."""
    try:
        with opener.open(request, timeout=within_s) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return shortened(reason(getattr(error, "reason", error)), SHOWN)


def with_port(settings: ServerSettings) -> ServerSettings:
    """Return the settings with a free port in the place of 0. Raises InputError where something answers at a port that is given."""
    host, port = settings.parts.hostname or "", settings.parts.port or 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"server.url={settings.url}: the port is not free ({error.strerror}), and another program's answers would be measured; end "
                "what has it, or write port 0 for a free one",
                "in_use",
                "server.url",
                settings.url,
            ) from error
        return settings.at(int(probe.getsockname()[1]))


def started(trial: Trial, log: Path, cache: Path) -> tuple[Server, ServerSettings, dict[str, Any]]:
    """Start a trial's server, wait until it is ready, and return it with its URL in the settings and what is recorded of it, as plain JSON.

    Raises
    ------
    InputError
        if it cannot be started, or runs on other cores than its own.
    TrialFailed
        if it ends, or is not ready in time.
    """
    cores = server_cores_offered(trial.server, trial.system, allowed_cores(), numa_cores(), socket.gethostname())
    settings = with_port(trial.server)
    order = order_of(settings, cores, {**os.environ, "PYTHONPATH": importable()}, cache)
    secret = token_of(settings)
    versions = versions_of(settings, order, secret)
    server = Server(order, secret, log, settings.stop_s)
    try:
        ready_s = server.await_ready(settings)
        check_server_threads(cores, server.processes())
    except BaseException:
        server.end()
        raise
    facts = {
        "name": settings.name,
        "command": list(order.command),
        "settings": dict(settings.settings),
        "url": settings.url,
        "host": socket.gethostname(),
        "cores": list(cores),
        "pid": server.keeper.pid,
        "ready_s": round(ready_s, 3),
        "processes": len(server.processes()),
        **versions,
    }
    return server, settings, facts


def importable() -> str:
    """Return the folders outside Python's own that this process imports from: a server in Python is to find the same modules."""
    places = [Path(place).resolve() for place in sys.path if place]
    own = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    return os.pathsep.join(str(place) for place in places if not any(map(place.is_relative_to, own)))


def versions_of(settings: ServerSettings, order: Order, secret: Secret) -> dict[str, Any]:
    """Return the versions of the server's packages, and the first line that its own program for that prints."""
    found: dict[str, Any] = {}
    if settings.packages:
        owners = importlib.metadata.packages_distributions()
        names = {module: owners.get(module.partition(".")[0], [module])[0] for module in settings.packages}
        found["packages"] = {name: distribution_version(name) for name in names.values()}
    if order.version_command:
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command
                order.version_command,
                env=order.environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=VERSION_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            written = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else ""
            told = secret.hide((written or str(error)).splitlines()[-1])
            raise InputError(
                f"server.version_command={order.version_command[0]}: does not work ({shortened(told, SHOWN)}); install what is missing, "
                "correct it, or leave it out",
                "not_installed",
                "server.version_command",
                order.version_command[0],
            ) from error
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        found["version"] = shortened(secret.hide(lines[0]), SHOWN) if lines else "unknown"
    return found


class WorkerWithServer(Worker):
    """A worker whose server, where its trial starts one, lives from before its client is loaded to after the last call.

    One that ends meanwhile ends the trial's process: rounds in which it did are stored with the errors of its client, and the next call
    raises the fault ``server died``.
    """

    _server: Server | None = None

    @tracebacks_kept()
    def prepare(self) -> Prepared:
        if not self._trial.server.is_started:
            return super().prepare()
        self._server, settings, facts = started(self._trial, log_path(self._scratch_path), self._cache_dir)
        self._trial = self._trial.model_copy(update={"server": settings})
        try:
            prepared = super().prepare()
        except (InputError, TrialFailed) as error:
            if (how := self._server.how_it_ended(NOTICED_S)) is not None:
                raise TrialFailed(f"{SERVER_ENDED} ({how}): {error}{self._server.last_words()}", "server died") from error
            raise
        return replace(prepared, facts={**prepared.facts, SERVER_STARTED: facts})

    def run_rounds(self, first: int, count: int, visit: int) -> Rounds:
        return self._watched(partial(super().run_rounds, first, count, visit))

    def run_stream(self, first: int, visit: int) -> Rounds:
        return self._watched(partial(super().run_stream, first, visit))

    def close(self) -> None:
        try:
            self.end_started()
        finally:
            super().close()

    def end_started(self) -> None:
        if self._server is not None:
            self._server.end()

    def _watched(self, call: Callable[[], Rounds]) -> Rounds:
        if self._server is None:
            return call()
        if (how := self._server.how_it_ended()) is not None:
            raise TrialFailed(f"{SERVER_ENDED} ({how}){self._server.last_words()}", "server died")
        rounds = call()
        if not rounds.errors or (how := self._server.how_it_ended(NOTICED_S)) is None:
            return rounds
        caused = {
            number: {sample: f"{SERVER_ENDED} ({how}): {message}" for sample, message in errors.items()}
            for number, errors in rounds.errors.items()
        }
        return replace(rounds, errors=caused)


def ending_s(trial: Trial) -> float:
    """Return how long what a trial's process starts may take to be gone after that process; 0 where it starts nothing."""
    stop_s = KEEPER_S + trial.server.stop_s if trial.server.is_started else KEEPER_S
    return stop_s if trial.server.is_started or trial.neighbour.is_started else 0.0


def log_path(scratch: Path) -> Path:
    """Return where the server of a timed process writes."""
    return companion_path(scratch, "server.log")


def read_log(path: Path) -> str:
    """Return what a server has written: all of it, or its beginning and end. Empty where there is none."""
    with suppress(OSError), open_own(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= HEAD + TAIL:
            return file.read().decode(errors="replace")
        head = file.read(HEAD).decode(errors="replace")
        file.seek(size - TAIL)
        return f"{head}{CUT}\n... {size - HEAD - TAIL} bytes left out ...\n{CUT}{file.read().decode(errors='replace')}"
    return ""


def take_server_log(settings: Mapping[str, Any], scratch: Path) -> str:
    """Return what the server of a timed process has written, without its token, and delete that.

    ``settings`` are the server's, as plain values. Where the token is not to be had any more the log stays unread: it might hold it.
    """
    path = log_path(scratch)
    try:
        return token_of(ServerSettings.model_validate(settings)).hide(read_log(path))
    except InputError as error:
        return f"not kept, since it may hold the token: {error}"
    finally:
        with suppress(OSError):
            path.unlink()
