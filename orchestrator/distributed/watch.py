"""Notice at once that a process the embedded Ray needs has died. Ray itself would wait for it for a minute, or for ever.

The kernel knows: GCS and raylet are children of this process, and a sleeping thread waits for each. Every call to Ray is made in a thread
of its own while the caller waits for the answer or the death, whichever comes first; a call that never returns blocks nothing.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from orchestrator.distributed.light_ray import replaced
from orchestrator.endings import ClusterLost

T = TypeVar("T")

VITAL = ("gcs_server", "raylet")
LOOK_EVERY_S = 0.2
"""How often to look for Ray's processes, only while it starts."""
SETTLE_S = 1.0
"""How long after an error of Ray's the death behind it may still become known."""


class Watch:
    """The two processes of one embedded Ray, whose files lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._lost: str | None = None
        self._known = threading.Event()
        self._ended = threading.Event()
        self._before = {child.pid for child in psutil.Process().children()}
        threading.Thread(target=self._find, name="ray's processes", daemon=True).start()

    def call(self, call: Callable[[], T], within_s: float | None = None, stay: threading.Event | None = None) -> T:
        """Make a call to Ray and return its answer. Its thread stays until ``stay`` is set.

        Raises ClusterLost as soon as Ray is lost, TimeoutError where there is no answer in time, and what the call itself raises.
        """
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        answer: Future[T] = Future()
        with self._lock:
            if self._lost is not None:
                raise ClusterLost(self._lost)
            self._waiting.add(answer)

        def run() -> None:
            try:
                _settle(answer, result=call())
            except BaseException as error:
                _settle(answer, error=error)
            if stay is not None:
                stay.wait()

        threading.Thread(target=run, name="call to ray", daemon=True).start()
        try:
            return answer.result(within_s)
        except (RayTaskError, GetTimeoutError):
            raise
        except RayError:
            if self._known.wait(SETTLE_S):
                raise ClusterLost(self._lost) from None
            raise
        finally:
            with self._lock:
                self._waiting.discard(answer)

    def end(self) -> None:
        """Stop watching: Ray ends now."""
        self._ended.set()

    def _find(self) -> None:
        """Look for the two processes until both are found, and wait for each."""
        found: set[str] = set()
        while len(found) < len(VITAL) and not self._ended.wait(LOOK_EVERY_S):
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    name = child.name()
                    if child.pid not in self._before and name in VITAL and name not in found and self._is_ours(child):
                        found.add(name)
                        threading.Thread(target=self._await_death, args=(child.pid, name), name=name, daemon=True).start()

    def _is_ours(self, child: psutil.Process) -> bool:
        return child.status() == psutil.STATUS_ZOMBIE or any(self._folder in word for word in child.cmdline())

    def _await_death(self, pid: int, name: str) -> None:
        how = ""
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # Ray has reaped it first
                end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                how = "" if end is None else f" ({_how(end.si_code, end.si_status)})"
        else:
            with suppress(psutil.Error):
                while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    time.sleep(LOOK_EVERY_S)
        if not self._ended.is_set():
            self._lose(f"the embedded Ray has lost its process {name}{how}")

    def _lose(self, message: str) -> None:
        with self._lock:
            if self._lost is None:
                self._lost = message
            waiting = list(self._waiting)
        self._known.set()
        for answer in waiting:
            _settle(answer, error=ClusterLost(self._lost))


def _how(code: int, status: int) -> str:
    return f"exit code {status}" if code == os.CLD_EXITED else f"signal {status}"


def _settle(answer: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    """Give the answer to the waiting call; the first counts."""
    with suppress(InvalidStateError):
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


PORT = "wait_for_persisted_port"
"""How Ray calls the wait for the port that its GCS writes into a file, in the module of its node."""
STEP_MS, BETWEEN_S = 0, 0.02


def waiting_in_steps() -> AbstractContextManager[None]:
    """Have a Ray that is started meanwhile look for its GCS's port again and again.

    Its own wait holds Python's lock for half a minute, in which nobody could notice that the GCS has died.
    """
    from ray._private import node

    return replaced(node, {PORT: in_steps})


def in_steps(wait: Callable[..., int]) -> Callable[..., int]:
    """Return a function that waits as long as ``wait`` does, in short calls of it; it raises what the last one raises."""

    def waiting(*arguments: Any, timeout_ms: float, **options: Any) -> int:
        until = time.monotonic() + timeout_ms / 1000
        while True:
            try:
                return wait(*arguments, timeout_ms=STEP_MS, **options)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
            time.sleep(BETWEEN_S)

    return waiting


class _Current:
    watch: Watch | None = None


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have every ``ask`` answered under a watch: there is one Ray in a process."""
    _Current.watch = watch
    try:
        yield
    finally:
        watch.end()
        _Current.watch = None


def ask(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Make a call to Ray. Raises ClusterLost as soon as the embedded Ray is lost; a cluster that was joined has no watch."""
    watch = _Current.watch
    return call(*arguments, **options) if watch is None else watch.call(lambda: call(*arguments, **options))
