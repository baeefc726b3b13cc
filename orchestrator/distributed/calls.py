"""Calls to Ray: made on a node, waited for, and given a cause where they are lost."""

import shlex
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import psutil
import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.contracts import InputError, first_line
from orchestrator.endings import ClusterLost, Embedded, Leaving
from orchestrator.machine.host import Identity, living, own_identity
from orchestrator.running.executor import SessionLost, as_fault

T = TypeVar("T")

# A worker process on a loaded machine takes seconds to start.
PROBE_TIMEOUT_S = 120.0
# A host that does nothing for this long is lost; after ``round_timeout_s``, that is noticed within
# 10 s.
ANSWER_TIMEOUT_S = 4.0
# How long the end of a process may take whose connection is gone.
ENDS_S = 2.0
# How long after an error of Ray's the death behind it may still become known.
SETTLE_S = 1.0


def ask(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Make a call to Ray. Raises ClusterLost once the embedded Ray is lost: its keeper has then killed what the call waits for."""
    if Embedded.lost is not None:
        raise ClusterLost(Embedded.lost)
    try:
        return call(*arguments, **options)
    except (RayTaskError, GetTimeoutError):
        raise
    except RayError:
        if Embedded.runs and Embedded.known.wait(SETTLE_S):
            raise ClusterLost(Embedded.lost) from None
        raise


def on_node(node_id: str, call: Callable[..., T], *arguments: Any, python: str | None = None) -> Any:
    """Start a call on a node, under another Python where one is named. Return Ray's reference to its result."""
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
    }
    if python is not None:
        options["runtime_env"] = {"py_executable": shlex.quote(python)}
    return ask(ray.remote(call).options(**options).remote, *arguments)


def wait_for(reference: Any, host: str) -> Any:
    """Return what a call on a node returned, or raise what it raised. Raises InputError if the node does not answer."""
    try:
        return ask(ray.get, reference, timeout=PROBE_TIMEOUT_S)
    except GetTimeoutError as error:
        raise InputError(
            f"{host} does not answer within {PROBE_TIMEOUT_S:g} s; see whether its Ray node is alive with `ray status`",
            "not_found",
            value=host,
        ) from error
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
    except RayError as error:
        raise InputError(
            f"{host} cannot start a Python process of ours: {first_line(error)}; see its Ray logs", "unsupported", value=host
        ) from error


class Host:
    """One host as all processes there know it: once one of them has found it lost, each of them was lost with it.

    A host that comes back is another one, for processes that are started then. That of the driver is not asked: it lives.
    """

    def __init__(self, node_id: str, is_own: bool) -> None:
        self.node_id = node_id
        self.is_own = is_own
        self.is_lost = False

    def answers(self) -> bool:
        """Return whether another process of the host answers."""
        return not self.is_lost and (self.is_own or self._asked(own_identity) is not None)

    def has_lost(self, process: Identity | None) -> bool:
        """Return whether a process that Ray has given up was lost with its host: that does not answer, or the process still lives there."""
        if not self.is_own and not self.is_lost and process is not None:
            self.is_lost = self._asked(is_alive, process) is not False
        return self.is_lost or not self.answers()

    def _asked(self, call: Callable[..., T], *arguments: Any) -> T | None:
        try:
            answer: T = ask(ray.get, on_node(self.node_id, call, *arguments), timeout=ANSWER_TIMEOUT_S)
        except RayError:
            self.is_lost = True
            return None
        return answer


def is_alive(process: Identity) -> bool:
    """Return whether a process of this machine lives, and does not end within moments."""
    _, left = psutil.wait_procs(living(process.pid, process.created_s, process.boot_id), timeout=ENDS_S)
    return any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in left)


class RayJob(Generic[T]):
    """An actor call under way; ``convert`` makes the result from what the network delivers.

    Once the driver is ``leaving``, a missing actor is no fault, and the thread that waits for it ends.
    """

    def __init__(
        self,
        reference: Any,
        leaving: threading.Event,
        has_lost: Callable[[], bool],
        convert: Callable[[Any], T] | None = None,
    ) -> None:
        self._reference = reference
        self._leaving = leaving
        self._has_lost = has_lost
        self._convert = convert

    def result(self, timeout: float | None = None) -> T:
        """Wait for the call. Raises TimeoutError, SessionLost, InputError, or TrialFailed for any other exception."""
        try:
            value = ask(ray.get, self._reference, timeout=timeout)
        except GetTimeoutError as error:
            raise TimeoutError(f"no answer within {timeout:g} s") from error
        except RayTaskError as error:
            raise as_fault(error.cause if isinstance(error.cause, Exception) else error) from None
        except RayActorError as error:
            if self._leaving.is_set():
                raise Leaving from None
            # Whether the host lives is asked before the death of a process is named.
            raise SessionLost(first_line(error), cause="machine" if self._has_lost() else "process") from None
        except RayError as error:
            raise SessionLost(first_line(error), cause="machine") from None
        result: T = value if self._convert is None else self._convert(value)
        return result
