"""Trials as Ray actors: one fresh process per trial on the node its system names."""

import shlex
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakSet

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.environment_values import resolved
from orchestrator.contracts import InputError
from orchestrator.distributed.actor import Bell, TimedActor
from orchestrator.distributed.calls import Host, RayJob, ask, on_node, wait_for
from orchestrator.distributed.placement import gpus_to_reserve
from orchestrator.machine.cores import THREAD_VARIABLES
from orchestrator.machine.host import Identity, Machine, cores_of_trial, cores_offered, end_process, own_identity
from orchestrator.machine.other_users import is_own
from orchestrator.machine.turn import ThisCampaign, turn_of
from orchestrator.measurement.device import visible_devices
from orchestrator.measurement.failures import Stamps, TrialFailed
from orchestrator.measurement.last_words import LastWords, take_last_words
from orchestrator.measurement.scratch import companion_path, crash_path, end_stream, take_stamps
from orchestrator.running.keeper import Keeper, await_keepers
from orchestrator.running.server import ending_s, log_path, take_server_log
from orchestrator.storage.handover import Prepared, Rounds

T = TypeVar("T")

CLOSE_TIMEOUT_S = 10.0
# Stamps are worth waiting for on a host that answers: without them a round that hung would vanish.
STAMPS_TIMEOUT_S = 60.0


class RaySession:
    """One actor on a host, which may be that of the driver, for a trial."""

    def __init__(self, handle: Any, host: Host, leaving: threading.Event, keeper: Keeper | None, trial: Trial) -> None:
        self.shares_machine = host.is_own
        self.host_answers = host.answers
        self._handle = handle
        self._host = host
        self._leaving = leaving
        self._keeper = keeper
        self._server = trial.server
        self._started_s = ending_s(trial)
        self._identity: Identity | None = None
        self._scratch: Path | None = None
        self._bell: Bell | None = None
        self._resting = False

    def identify(self) -> RayJob[Identity]:
        scratch = self._handle.scratch.remote()

        def keep(identity: Identity) -> Identity:
            self._identity, self._scratch = identity, Path(ask(ray.get, scratch, timeout=CLOSE_TIMEOUT_S))
            for path in (self._scratch, crash_path(self._scratch)):
                self._remove_at_end(path)
            return identity

        return self._job(self._handle.identify.remote(), keep)

    def take_turn(self) -> RayJob[str | None]:
        return self._job(self._handle.take_turn.remote())

    def prepare(self) -> RayJob[Prepared]:
        return self._job(self._handle.prepare.remote())

    def run_rounds(self, first: int, count: int, visit: int) -> RayJob[Rounds]:
        return self._job(self._awake().run_rounds.remote(first, count, visit))

    def run_stream(self, first: int, visit: int) -> RayJob[Rounds]:
        return self._job(self._awake().run_stream.remote(first, visit))

    def end_stream(self) -> None:
        if self.shares_machine and self._scratch is not None:
            end_stream(self._scratch)

    def kernel_ns(self) -> RayJob[int]:
        return self._job(self._awake().kernel_ns.remote())

    def read_back(self) -> RayJob[Mapping[str, Any]]:
        return self._job(self._awake().read_back.remote())

    def rest(self) -> None:
        if not self.shares_machine or self._scratch is None or self._resting:
            return
        with suppress(OSError):
            if self._bell is None:
                self._bell = Bell(companion_path(self._scratch, "bell"))
                self._remove_at_end(self._bell.path)
            self._handle.rest.remote(str(self._bell.path))
            self._resting = True

    def _awake(self) -> Any:
        """Return the actor, which sleeps no more."""
        if self._bell is not None and self._resting:
            self._bell.ring()
        self._resting = False
        return self._handle

    def _job(self, reference: Any, convert: Callable[[Any], T] | None = None) -> RayJob[T]:
        return RayJob(reference, self._leaving, lambda: self._host.has_lost(self._identity), convert)

    def _remove_at_end(self, path: Path) -> None:
        if self.shares_machine and self._keeper is not None:
            self._keeper.remove_at_end(path)

    def forget(self) -> None:
        ask(ray.kill, self._handle)

    def last_words(self) -> LastWords | None:
        return None if self._scratch is None else self._there(take_last_words, self._scratch)

    def abandon(self) -> Stamps | None:
        ask(ray.kill, self._handle)
        self._await_end()
        return None if self._scratch is None else self._there(take_stamps, self._scratch)

    def take_server_log(self) -> str | None:
        if not self._server.is_started or self._scratch is None:
            return None
        return self._there(take_server_log, self._server.model_dump(mode="json"), self._scratch)

    def _there(self, call: Callable[..., T], *arguments: Any) -> T | None:
        """Return what a call finds of the process's files; None where its host does not answer or has none of them.

        On the driver's machine it is made here, unless the process has folders of its own, as in a container: when the machine is busy,
        another process takes long to start, and what was left would be lost.
        """
        assert self._scratch is not None
        if self.shares_machine and any(map(is_own, (self._scratch, crash_path(self._scratch), log_path(self._scratch)))):
            return call(*arguments)
        try:
            found: T = ask(ray.get, on_node(self._host.node_id, call, *arguments), timeout=STAMPS_TIMEOUT_S)
        except RayTaskError as error:
            if isinstance(error.cause, TrialFailed):
                raise error.cause from None
            return None
        except RayError:
            return None
        return found

    def close(self) -> None:
        with suppress(RayError):  # a process that hangs or is gone has nothing to say; it is killed below
            ask(ray.get, self._awake().close.remote(), timeout=CLOSE_TIMEOUT_S + self._started_s)
        ask(ray.kill, self._handle)
        self._await_end()

    def _await_end(self) -> None:
        if self._bell is not None:
            self._bell.remove()
        if self._identity is None:
            return
        arguments = (self._identity.pid, self._identity.created_s, self._identity.boot_id, self._started_s)
        if self.shares_machine:
            end_with_started(*arguments)
            return
        with suppress(RayError):  # a node that is gone has no processes
            ask(ray.get, on_node(self._host.node_id, end_with_started, *arguments), timeout=2 * CLOSE_TIMEOUT_S + self._started_s)


class RayExecutor:
    """Opens sessions on the nodes of a cluster that is already connected.

    Parameters
    ----------
    machine
        the machine that a system means. Raises InputError if there is none.
    machine_id
        what tells physical machines apart.
    own_id
        that of the driver's machine.
    cache_dir
        folder for derived files on every host (``~`` is that host's home).
    keeper
        deletes what a timed process on the driver's machine leaves when the driver is killed.
    """

    def __init__(
        self,
        machine: Callable[[SystemConfig], Machine],
        machine_id: Callable[[Machine], str],
        own_id: str,
        cache_dir: str,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self._machine = machine
        self._machine_id = machine_id
        self._own_id = own_id
        self._cache_dir = cache_dir
        self._campaign = uuid4().hex
        self._leaving = threading.Event()
        self._handles: WeakSet[Any] = WeakSet()
        self._hosts: dict[str, Host] = {}

    def machine_of(self, trial: Trial) -> str:
        return self._machine_id(self._machine(trial.system))

    def cores_of(self, trial: Trial) -> tuple[int, ...]:
        machine = self._machine(trial.system)
        return cores_of_trial(trial, machine.cores, machine.numa, machine.host)

    def await_end(self, trial: Trial, pid: int, created_s: float | None, boot_id: str | None) -> None:
        machine = self._machine(trial.system)
        wait_for(on_node(machine.node_id, end_with_started, pid, created_s, boot_id, ending_s(trial)), machine.host)

    def open(self, trial: Trial, trial_id: str, process: int) -> RaySession:
        machine = self._machine(trial.system)
        threads = trial.system.threads or len(cores_offered(trial.system, machine.cores, machine.numa, machine.host))
        environment = {name: str(threads) for name in THREAD_VARIABLES}
        environment["CUDA_VISIBLE_DEVICES"] = visible_devices(trial.system.device)
        # The driver, nvidia-smi and the plan count GPUs in this order.
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        # Which GPUs these are says the system; Ray only counts how many it has left.
        environment["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"] = "1"
        runtime_env: dict[str, Any] = {"env_vars": environment}
        if trial.system.python is not None:
            runtime_env["py_executable"] = shlex.quote(trial.system.python)
        actor: Callable[..., Any] = ray.remote(TimedActor).options(
            num_cpus=0,
            num_gpus=_reserved(trial, machine),
            max_restarts=0,
            max_task_retries=0,
            runtime_env=runtime_env,
            scheduling_strategy=NodeAffinitySchedulingStrategy(machine.node_id, soft=False),
        )
        handle = ask(
            actor.remote,  # type: ignore[attr-defined]
            resolved(trial).model_dump(mode="json"), process, self._cache_dir, turn_of(trial, self._campaign), ThisCampaign.words,
            own_identity(), () if self._keeper is None or self._keeper.pid is None else (self._keeper.own_pid,),
        )  # fmt: skip
        self._handles.add(handle)
        if self._leaving.is_set():
            self.leave()
        host = self._hosts.get(machine.node_id)
        if host is None or host.is_lost:
            host = self._hosts[machine.node_id] = Host(machine.node_id, self.machine_of(trial) == self._own_id)
        return RaySession(handle, host, self._leaving, self._keeper, trial)

    def leave(self) -> None:
        self._leaving.set()
        for handle in list(self._handles):
            ask(ray.kill, handle)


def end_with_started(pid: int, created_s: float | None, boot_id: str | None, started_s: float) -> None:
    """Wait until a timed process of this machine is gone, killed where it stays, and then what it has started under keepers."""
    end_process(pid, created_s, boot_id, CLOSE_TIMEOUT_S)
    if started_s:
        await_keepers(pid, created_s, started_s)


def _reserved(trial: Trial, machine: Machine) -> int:
    """Return how many GPUs of the node Ray is to keep for a trial. Raises InputError where Ray knows of fewer there."""
    count = gpus_to_reserve(trial)
    known = next((int(node["Resources"].get("GPU", 0)) for node in ask(ray.nodes) if node["NodeID"] == machine.node_id), 0) if count else 0
    if known < count:
        raise InputError(
            f"system.device={trial.system.device}: Ray knows of {known} GPUs of {machine.host} and is to keep {count}; start it there with "
            f"--num-gpus={count} or more",
            "unsupported",
            "system.device",
            trial.system.device,
        )
    return count
