"""Trials as Ray actors: one fresh process per trial on the node its system names."""

import shlex
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4
from weakref import WeakSet

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.environment_values import resolved
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError, first_line
from orchestrator.distributed.actor import TimedActor
from orchestrator.distributed.bell import Bell
from orchestrator.distributed.placement import gpus_to_reserve
from orchestrator.distributed.probe import on_node, wait_for
from orchestrator.distributed.watch import ask
from orchestrator.endings import Leaving
from orchestrator.machine.cores import THREAD_VARIABLES
from orchestrator.machine.host import Identity, Machine, cores_of_trial, cores_offered, end_process, own_identity
from orchestrator.machine.other_users import is_own
from orchestrator.machine.turn import this_campaign, turn_of
from orchestrator.measurement.device import visible_devices
from orchestrator.measurement.failures import Stamps, TrialFailed
from orchestrator.measurement.last_words import LastWords, take_last_words
from orchestrator.measurement.scratch import companion_path, crash_path, end_stream, take_stamps
from orchestrator.running.executor import SessionLost, as_fault
from orchestrator.running.guard import Guard
from orchestrator.running.server import KEEPER_S, await_keepers
from orchestrator.running.worker_with_server import log_path, take_server_log
from orchestrator.storage.handover import Prepared, RoundResult, unpack

T = TypeVar("T")

CLOSE_TIMEOUT_S = 10.0
STAMPS_TIMEOUT_S = 60.0
"""Stamps are worth waiting for on a host that answers: without them a round that hung would vanish."""
ANSWER_TIMEOUT_S = 4.0
"""A host that does nothing for this long is lost; after ``round_timeout_s``, that is noticed within 10 s."""


class RayJob(Generic[T]):
    """An actor call under way; ``convert`` makes the result from what the network delivers.

    Once the driver is ``leaving``, a missing actor is no fault, and the thread that waits for it ends.
    """

    def __init__(self, reference: Any, leaving: threading.Event, convert: Callable[[Any], T] | None = None) -> None:
        self._reference = reference
        self._leaving = leaving
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
            gone = "node" in first_line(error) and "die" in first_line(error)
            raise SessionLost(first_line(error), cause="machine" if gone else "process") from None
        except RayError as error:
            raise SessionLost(first_line(error), cause="machine") from None
        result: T = value if self._convert is None else self._convert(value)
        return result


class RaySession:
    """One actor on a node. ``shares_machine`` is True where the driver runs on that machine too; ``server`` is one that it starts."""

    def __init__(
        self,
        handle: Any,
        node_id: str,
        shares_machine: bool,
        leaving: threading.Event,
        guard: Guard | None = None,
        server: ServerSettings | None = None,
    ) -> None:
        self._server = server
        self._guard = guard
        self._handle = handle
        self._leaving = leaving
        self._node_id = node_id
        self.shares_machine = shares_machine
        self._identity: Identity | None = None
        self._scratch: str | None = None
        self._bell: Bell | None = None
        self._resting = False

    def identify(self) -> RayJob[Identity]:
        """Return which process this is, once the actor is up."""
        scratch = self._handle.scratch.remote()

        def keep(identity: Identity) -> Identity:
            self._identity, self._scratch = identity, ask(ray.get, scratch, timeout=CLOSE_TIMEOUT_S)
            if self.shares_machine and self._guard is not None:
                for path in (Path(self._scratch), crash_path(Path(self._scratch))):
                    self._guard.remove_at_end(path)
            return identity

        return RayJob(self._handle.identify.remote(), self._leaving, keep)

    def take_turn(self) -> RayJob[str | None]:
        """Take part in the campaign's turn on the machine, or return who has it."""
        return RayJob(self._handle.take_turn.remote(), self._leaving)

    def prepare(self) -> RayJob[Prepared]:
        """Pin, load, warm up."""
        return RayJob(self._handle.prepare.remote(), self._leaving)

    def run_rounds(self, first: int, count: int, visit: int) -> RayJob[list[RoundResult]]:
        """Run consecutive rounds of a visit."""
        self._wake()
        return RayJob(self._handle.run_rounds.remote(first, count, visit), self._leaving, unpack)

    def run_stream(self, first: int, visit: int) -> RayJob[list[RoundResult]]:
        """Serve the stream of a visit."""
        self._wake()
        return RayJob(self._handle.run_stream.remote(first, visit), self._leaving, unpack)

    def end_stream(self) -> None:
        """Have the stream under way end after its round, where the process is on the driver's machine: one that is busy takes no call."""
        if self.shares_machine and self._scratch is not None:
            end_stream(Path(self._scratch))

    def kernel_ns(self) -> RayJob[int]:
        """Time a fixed piece of work."""
        self._wake()
        return RayJob(self._handle.kernel_ns.remote(), self._leaving)

    def read_back(self) -> RayJob[Mapping[str, Any]]:
        """Read back where the process is placed now."""
        self._wake()
        return RayJob(self._handle.read_back.remote(), self._leaving)

    def rest(self) -> None:
        """Have the process sleep until the next call, where the driver's machine is its own and a pipe can be made there."""
        if not self.shares_machine or self._scratch is None or self._resting:
            return
        with suppress(OSError):
            if self._bell is None:
                self._bell = Bell(companion_path(Path(self._scratch), "bell"))
                if self._guard is not None:
                    self._guard.remove_at_end(self._bell.path)
            self._handle.rest.remote(str(self._bell.path))
            self._resting = True

    def _wake(self) -> None:
        if self._bell is not None and self._resting:
            self._bell.ring()
        self._resting = False

    def host_answers(self) -> bool:
        """Return whether another process of the node answers. The driver's own host needs no asking."""
        if self.shares_machine:
            return True
        try:
            ask(ray.get, on_node(self._node_id, own_identity), timeout=ANSWER_TIMEOUT_S)
        except RayError:
            return False
        return True

    def forget(self) -> None:
        """Have the process killed as soon as its node can be reached."""
        ask(ray.kill, self._handle)

    def last_words(self) -> LastWords | None:
        """Return what a process that has died leaves of its end; None where nothing is known, or its host does not answer."""
        if self._scratch is None:
            return None
        scratch = Path(self._scratch)
        if self.shares_machine and (is_own(scratch) or is_own(crash_path(scratch))):
            return take_last_words(scratch)
        try:
            found: LastWords = ask(ray.get, on_node(self._node_id, take_last_words, scratch), timeout=STAMPS_TIMEOUT_S)
        except RayError:
            return None
        return found

    def abandon(self) -> Stamps | None:
        """Kill the process and return what it has left of the round in flight. Raises TrialFailed for stamps that cannot be trusted."""
        ask(ray.kill, self._handle)
        self._await_end()
        if self._scratch is None:
            return None
        scratch = Path(self._scratch)
        if self.shares_machine and is_own(scratch):
            return take_stamps(scratch)  # on a busy machine another process takes long to start, and what was left would be lost
        try:
            stamps: Stamps | None = ask(ray.get, on_node(self._node_id, take_stamps, scratch), timeout=STAMPS_TIMEOUT_S)
        except RayTaskError as error:
            if isinstance(error.cause, TrialFailed):
                raise error.cause from None
            return None
        except RayError:
            return None
        return stamps

    def close(self) -> None:
        """End the process and wait until it is gone, so that the next trial has the machine to itself."""
        self._wake()
        with suppress(RayError):  # a process that hangs or is gone has nothing to say; it is killed below
            ask(ray.get, self._handle.close.remote(), timeout=CLOSE_TIMEOUT_S + self._server_s)
        ask(ray.kill, self._handle)
        self._await_end()

    def _await_end(self) -> None:
        if self._bell is not None:
            self._bell.remove()
        if self._identity is None:
            return
        arguments = (self._identity.pid, self._identity.created_s, self._identity.boot_id, self._server_s)
        if self.shares_machine:
            end_with_server(*arguments)
            return
        with suppress(RayError):  # a node that is gone has no processes
            ask(ray.get, on_node(self._node_id, end_with_server, *arguments), timeout=2 * CLOSE_TIMEOUT_S + self._server_s)

    @property
    def _server_s(self) -> float:
        """How long its server may take to end, in s."""
        return 0.0 if self._server is None else self._server.stop_s + KEEPER_S

    def take_server_log(self) -> str | None:
        """Return what its server has written, once the process is gone; None without one, or where its host does not answer."""
        if self._server is None or self._scratch is None:
            return None
        arguments = (self._server.model_dump(mode="json"), Path(self._scratch))
        if self.shares_machine and is_own(log_path(arguments[1])):
            return take_server_log(*arguments)
        try:
            text: str = ask(ray.get, on_node(self._node_id, take_server_log, *arguments), timeout=STAMPS_TIMEOUT_S)
        except RayError:
            return None
        return text


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
    guard
        deletes what a timed process on the driver's machine leaves when the driver is killed.
    """

    def __init__(
        self,
        machine: Callable[[SystemConfig], Machine],
        machine_id: Callable[[Machine], str],
        own_id: str,
        cache_dir: str,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard
        self._machine = machine
        self._machine_id = machine_id
        self._own_id = own_id
        self._cache_dir = cache_dir
        self._campaign = uuid4().hex
        self._leaving = threading.Event()
        self._handles: WeakSet[Any] = WeakSet()

    def machine_of(self, trial: Trial) -> str:
        """Return the id of the physical machine a trial runs on."""
        return self._machine_id(self._machine(trial.system))

    def cores_of(self, trial: Trial) -> tuple[int, ...]:
        """Return the cores a trial is given there, those of a server that it starts among them."""
        machine = self._machine(trial.system)
        return cores_of_trial(trial, machine.cores, machine.numa, machine.host)

    def await_end(self, trial: Trial, pid: int, created_s: float | None, boot_id: str | None) -> None:
        """Wait until a process that an earlier driver left on a trial's machine is gone, and end it where it stays."""
        machine = self._machine(trial.system)
        server_s = trial.server.stop_s + KEEPER_S if trial.server.is_started else 0.0
        wait_for(on_node(machine.node_id, end_with_server, pid, created_s, boot_id, server_s), machine.host)

    def open(self, trial: Trial, trial_id: str, process: int) -> RaySession:
        """Start an actor for a trial."""
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
            resolved(trial).model_dump(mode="json"), trial_id, process, self._cache_dir, turn_of(trial, self._campaign), this_campaign(),
            own_identity(),
        )  # fmt: skip
        self._handles.add(handle)
        if self._leaving.is_set():
            self.leave()
        server = trial.server if trial.server.is_started else None
        return RaySession(handle, machine.node_id, self.machine_of(trial) == self._own_id, self._leaving, self._guard, server)

    def leave(self) -> None:
        """Kill every process, so that the threads waiting for them end."""
        self._leaving.set()
        for handle in list(self._handles):
            ask(ray.kill, handle)


def end_with_server(pid: int, created_s: float | None, boot_id: str | None, server_s: float) -> bool:
    """Wait until a timed process of this machine is gone, and after it the server that it has started, which may take ``server_s``.

    Kill what stays, and return whether the process is gone.
    """
    gone = end_process(pid, created_s, boot_id, CLOSE_TIMEOUT_S)
    if server_s:
        await_keepers(pid, created_s, server_s)
    return gone


def _reserved(trial: Trial, machine: Machine) -> int:
    """Return how many GPUs of the node Ray is to keep for a trial. Raises InputError where Ray knows of fewer there."""
    count = gpus_to_reserve(trial)
    known = next((int(node["Resources"].get("GPU", 0)) for node in ask(ray.nodes) if node["NodeID"] == machine.node_id), 0) if count else 0
    if known < count:
        raise InputError(
            f"system.device={trial.system.device}: Ray knows of {known} GPUs of {machine.host} and is to keep {count}; start it there with "
            f"--num-gpus={count} or more"
        )
    return count
