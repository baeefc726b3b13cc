"""Trials as Ray actors: one fresh process per trial on the node its system names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import psutil
import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.config import Trial
from orchestrator.distributed.actor import TimedActor
from orchestrator.distributed.placement import Node, choose_node
from orchestrator.execution.executor import SessionLost
from orchestrator.measurement.affinity import THREAD_VARIABLES, choose_cores
from orchestrator.measurement.device import visible_devices
from orchestrator.measurement.results import Prepared, RoundResult

T = TypeVar("T")

CLOSE_TIMEOUT_S = 10.0


class RayJob(Generic[T]):
    """An actor call under way."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def result(self, timeout: float | None = None) -> T:
        """Wait for the call. Raises what the call raised, TimeoutError, or SessionLost."""
        try:
            value: T = ray.get(self._reference, timeout=timeout)
        except GetTimeoutError as error:
            raise TimeoutError(f"no answer within {timeout:g} s") from error
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayActorError as error:
            raise SessionLost(_reason(error), cause="process") from None
        except RayError as error:
            raise SessionLost(_reason(error), cause="machine") from None
        return value


class RaySession:
    """One actor."""

    def __init__(self, handle: Any, shares_machine: bool) -> None:
        self._handle = handle
        self.shares_machine = shares_machine
        self._pid: int | None = None

    def prepare(self) -> RayJob[Prepared]:
        """Pin, load, warm up."""
        return RayJob(self._handle.prepare.remote())

    def run_round(self, number: int) -> RayJob[RoundResult]:
        """Run one round."""
        return RayJob(self._handle.run_round.remote(number))

    def close(self) -> None:
        """End the process and wait until it is gone, so that the next trial has the machine to itself."""
        pid: int | None = None
        try:
            pid = ray.get(self._handle.pid.remote(), timeout=CLOSE_TIMEOUT_S)
            ray.get(self._handle.close.remote(), timeout=CLOSE_TIMEOUT_S)
        except RayError:
            pass  # a process that hangs or is gone has nothing to say; it is killed below
        ray.kill(self._handle)
        if pid is not None and self.shares_machine and psutil.pid_exists(pid):
            psutil.wait_procs([psutil.Process(pid)], timeout=CLOSE_TIMEOUT_S)


class RayExecutor:
    """Opens sessions on the nodes of a cluster that is already connected.

    Parameters
    ----------
    nodes
        the cluster's nodes as probed.
    cache_dir
        folder for derived files on every host (``~`` is that host's home).
    own_boot_id
        boot id of the driver's machine.
    """

    def __init__(self, nodes: tuple[Node, ...], cache_dir: str, own_boot_id: str) -> None:
        self._nodes = nodes
        self._cache_dir = cache_dir
        self._own_boot_id = own_boot_id

    def machine_of(self, trial: Trial) -> str:
        """Return the boot id of the machine a trial runs on."""
        return choose_node(trial.system, self._nodes).boot_id

    def open(self, trial: Trial, trial_id: str, process: int) -> RaySession:
        """Start an actor for a trial."""
        node = choose_node(trial.system, self._nodes)
        threads = trial.system.threads or len(choose_cores(trial.system.cores, node.cores))
        environment = {name: str(threads) for name in THREAD_VARIABLES}
        environment["CUDA_VISIBLE_DEVICES"] = visible_devices(trial.system.device)
        actor: Callable[..., Any] = ray.remote(TimedActor).options(
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": environment},
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False),
        )
        handle = actor.remote(trial, trial_id, process, self._cache_dir)  # type: ignore[attr-defined]
        return RaySession(handle, shares_machine=node.boot_id == self._own_boot_id)


def _reason(error: Exception) -> str:
    """Return Ray's message as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
