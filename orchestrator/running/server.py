"""A server that a campaign starts: begun before the timed process loads its client, asked whether it is ready, and ended after it.

Between the timed process and the server stands a keeper (`server_keeper.py`), which ends the server however the timed process ends.
"""

import importlib.metadata
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import Secret
from orchestrator.configuration.server import ServerSettings, filled
from orchestrator.contracts import InputError
from orchestrator.machine.cores import CAN_PIN, allowed_cores, check_server_threads
from orchestrator.machine.host import SAME_START_S, numa_cores, server_cores_offered
from orchestrator.measurement.failures import SERVER_ENDED, TrialFailed
from orchestrator.running import server_keeper
from orchestrator.running.server_log import read_log
from orchestrator.running.server_order import Order, order_of, ready_url, words_of
from orchestrator.subject.server import headers_of, token_of, without_token

READY_EVERY_S = 0.05
ASKED_S = 5.0
"""How long one look may take whether the server is ready."""
VERSION_S = 60.0
KEEPER_S = server_keeper.KILL_S + 5.0
"""How long the keeper may take to be gone beyond what the server is given."""
SHOWN = 300
"""Characters of the log's last line in a message."""
NO_HEADERS: Mapping[str, str] = {}


class Server:
    """A server under a keeper. What it has written is quoted without its ``secret``.

    Raises InputError if it cannot be started. ``end`` must be called.
    """

    def __init__(self, order: Order, secret: Secret | None = None) -> None:
        self._order = order
        self._secret = secret
        self.code: int | None = None
        self.killed = False
        self._waiting = b""
        self._over = False
        descriptor = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        started = psutil.Process().create_time()
        self._keeper = subprocess.Popen(  # noqa: S603 - our own file in our own Python
            [sys.executable, "-ISP", server_keeper.__file__, str(os.getpid()), repr(started)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError):
            self._keeper.stdin.write(order.as_json())
            self._keeper.stdin.flush()
        self._keeper.wait()  # its first process; the second one, which is nobody's child, stays
        said: dict[str, Any] = next(self._said(KEEPER_S), {"refused": "its keeper could not be started"})
        if "refused" in said:
            self._close()
            raise InputError(
                f"server.command={order.command[0]}: cannot be started ({said['refused']}); correct the command, or install the program"
            )
        self.pid: int = said["pid"]
        self._keeper_pid: int = said["keeper"]
        self._began_s = time.time()

    def await_ready(self, url: str, ready_s: float, ca: str | None = None, headers: Mapping[str, str] = NO_HEADERS) -> float:
        """Wait until a URL answers 200, and return how long that took, in s. Raises TrialFailed where it does not, or the server ends."""
        began = time.monotonic()
        seen = "nothing answers"
        while (passed_s := time.monotonic() - began) < ready_s:
            if (how := self.how_it_ended()) is not None:
                raise TrialFailed(f"{SERVER_ENDED} ({how}) before it was ready{self.last_words()}", "server died")
            seen = answer_of(url, min(ASKED_S, max(0.1, ready_s - passed_s)), ca, headers)
            if seen == "200":
                return time.monotonic() - began
            time.sleep(READY_EVERY_S)
        raise TrialFailed(
            f"the server is not ready after server.ready_s={ready_s:g} s: {url}: {seen}{self.last_words()}; raise server.ready_s, or "
            "correct server.ready_url",
            "load failed",
        )

    def how_it_ended(self) -> str | None:
        """Return how the server has ended of its own, None while it runs."""
        for said in self._said(0):
            if "ended" in said:
                self.code = said["ended"]
        if self.code is not None:
            return described(self.code)
        return "its keeper was killed" if self._over else None

    def end(self) -> None:
        """End it and all its processes, and wait until they are gone. Idempotent."""
        if self._keeper.stdin is None or self._keeper.stdin.closed:
            return
        self._keeper.stdin.close()
        whole = False
        for said in self._said(self._order.stop_s + KEEPER_S):
            if "gone" in said:
                self.killed, whole = said["killed"], True
        if not whole:
            self._sweep()
        self._close()

    def _sweep(self) -> None:
        """Kill what is left where the keeper does not answer or was killed: itself, and all processes of the server's group."""
        with suppress(psutil.Error):
            keeper = psutil.Process(self._keeper_pid)
            if _keeps_for(keeper, os.getpid(), None):
                _kill_whole(keeper)
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError, PermissionError):
                if os.getpgid(process.pid) == self.pid and process.create_time() >= self._began_s - KEEPER_S:
                    process.kill()

    def last_words(self) -> str:
        """Return the last line of its log, for a message."""
        lines = [line.strip() for line in without_token(read_log(self._order.log), self._secret).splitlines() if line.strip()]
        return f"; its last line: {lines[-1][:SHOWN]}" if lines else "; it has written nothing"

    def processes(self) -> list[int]:
        """Return the ids of its processes."""
        with suppress(psutil.Error):
            leader = psutil.Process(self.pid)
            return [self.pid, *(child.pid for child in leader.children(recursive=True))]
        return []

    def _said(self, within_s: float) -> Iterator[dict[str, Any]]:
        """Yield what the keeper reports: everything up to its end or, once something has come, what has come."""
        output = self._keeper.stdout
        until = time.monotonic() + within_s
        while output is not None and not output.closed and not self._over:
            yield from self._reports()
            if not select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                return
            read = os.read(output.fileno(), 65536)
            self._over = not read
            self._waiting += read
        yield from self._reports()

    def _reports(self) -> Iterator[dict[str, Any]]:
        """Yield the whole lines that have been read."""
        while b"\n" in self._waiting:
            line, _, self._waiting = self._waiting.partition(b"\n")
            yield json.loads(line)

    def _close(self) -> None:
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            if pipe is not None:
                pipe.close()


def described(code: int) -> str:
    """Return an exit code as people say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def answer_of(url: str, within_s: float, ca: str | None = None, headers: Mapping[str, str] = NO_HEADERS) -> str:
    """Return the status that a URL answers with, or why there is no answer. No proxy is asked: the server is on this host."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - http(s), checked
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=within_s) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or reason)[:SHOWN]


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
                "what has it, or write port 0 for a free one"
            ) from error
        return settings.at(int(probe.getsockname()[1]))


def started(trial: Trial, log: Path, cache: Path) -> tuple[Server, str, dict[str, Any]]:
    """Start a trial's server, wait until it is ready, and return it with its URL and what is recorded of it, as plain JSON.

    Raises
    ------
    InputError
        if it cannot be started, or runs on other cores than its own.
    TrialFailed
        if it ends, or is not ready in time.
    """
    allowed = allowed_cores()
    cores = server_cores_offered(trial.server, trial.system, allowed, numa_cores(), socket.gethostname()) if CAN_PIN else ()
    settings = with_port(trial.server)
    order = order_of(settings, cores, {**os.environ, "PYTHONPATH": importable()}, log, cache)
    secret = token_of(settings)
    versions = versions_of(settings, order, cache, secret)
    server = Server(order, secret)
    try:
        ready_s = server.await_ready(ready_url(settings), settings.ready_s, settings.ca, headers_of(settings, secret))
        if cores:
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
        "pid": server.pid,
        "ready_s": round(ready_s, 3),
        "processes": len(server.processes()),
        **versions,
    }
    return server, str(settings.url), facts


def importable() -> str:
    """Return the folders outside Python's own that this process imports from: a server in Python is to find the same modules."""
    own = [Path(prefix).resolve() for prefix in {sys.prefix, sys.base_prefix}]
    places = [Path(place).resolve() for place in sys.path if place]
    kept = [place for place in places if place.is_dir() and not any(place.is_relative_to(prefix) for prefix in own)]
    return os.pathsep.join(map(str, dict.fromkeys(kept)))


def versions_of(settings: ServerSettings, order: Order, cache: Path, secret: Secret | None) -> dict[str, Any]:
    """Return the versions of the server's packages, and the first line that its own program for that prints."""
    found: dict[str, Any] = {}
    if settings.packages:
        owners = importlib.metadata.packages_distributions()
        names = {module: owners.get(module.partition(".")[0], [module])[0] for module in settings.packages}
        found["packages"] = {name: _version(name) for name in names.values()}
    if settings.version_command:
        values = words_of(settings, len(order.cores) or os.cpu_count() or 1, cache)
        command = [filled(word, values) for word in settings.version_command]
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command
                command, env=dict(order.environment), capture_output=True, text=True, errors="replace", timeout=VERSION_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"server.version_command={command[0]}: cannot be run ({error}); correct it or leave it out") from error
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        if done.returncode:
            said = without_token(lines[-1], secret)[:SHOWN] if lines else "it prints nothing"
            raise InputError(
                f"server.version_command={command[0]}: ends with {described(done.returncode)} ({said}); install what is missing, or "
                "correct it"
            )
        found["version"] = without_token(lines[0], secret)[:SHOWN] if lines else "unknown"
    return found


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def await_keepers(owner: int, owner_started: float | None, patience_s: float) -> None:
    """Wait until every keeper of a timed process that is gone has ended its server; where one takes too long, kill both."""
    keepers = [process for process in psutil.process_iter() if _keeps_for(process, owner, owner_started)]
    _, left = psutil.wait_procs(keepers, timeout=patience_s)
    for keeper in left:
        with suppress(psutil.Error):
            _kill_whole(keeper)


def _kill_whole(keeper: psutil.Process) -> None:
    """Kill a keeper and all that it has started."""
    for process in [*keeper.children(recursive=True), keeper]:
        with suppress(psutil.NoSuchProcess):  # the others stay to be killed
            process.kill()


def _keeps_for(process: psutil.Process, owner: int, owner_started: float | None) -> bool:
    try:
        words = process.cmdline()
        if len(words) != 5 or Path(words[2]).name != Path(server_keeper.__file__).name or words[3] != str(owner):
            return False
        return owner_started is None or abs(float(words[4]) - owner_started) <= SAME_START_S
    except (psutil.Error, ValueError):
        return False
