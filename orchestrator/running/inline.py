"""Trials in this very process: for tests and debugging. Nothing is pinned, so its figures certify no deadline.

Nor is anything kept apart (``isolation: none`` of the record's placement): what a model changes in its process, such as the working
directory, the umask or the standard streams, it changes in the driver too. No exception that it raises ends the program.
"""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.environment_values import resolved
from orchestrator.configuration.server import ServerSettings
from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.machine.cores import allowed_cores
from orchestrator.machine.environment import boot_id, same_interpreter
from orchestrator.machine.host import Identity, Machine, cores_of_trial, numa_cores, own_identity
from orchestrator.machine.locks import own_folder_path
from orchestrator.machine.turn import ThisCampaign, Turn, turn_of
from orchestrator.measurement.device import visible_devices
from orchestrator.measurement.evidence import kernel_ns
from orchestrator.measurement.failures import Stamps
from orchestrator.measurement.scratch import STAMPS_PREFIX, end_stream, remove_stale, scratch_root, stamps_path, take_stamps
from orchestrator.measurement.timing import Clock
from orchestrator.running.executor import LocalSite, as_fault
from orchestrator.running.keeper import Keeper
from orchestrator.running.neighbour import WorkerWithNeighbour
from orchestrator.running.server import take_server_log
from orchestrator.storage.handover import Prepared, Rounds

T = TypeVar("T")

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


class InlineJob(Generic[T]):
    """A call that runs when its result is asked for; ``limited`` is one that fails if it has taken longer than it may."""

    def __init__(self, call: Callable[[], T], limited: bool = False) -> None:
        self._call, self._limited = call, limited

    def result(self, timeout: float | None = None) -> T:
        """Make the call. Within one process it cannot be cut off at the time limit: a limited one raises TimeoutError once it has ended."""
        began = time.monotonic()
        try:
            value = self._call()
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
            if ends_the_program(error):
                raise
            raise as_fault(error) from error
        took_s = time.monotonic() - began
        if self._limited and timeout is not None and took_s > timeout:
            raise TimeoutError(f"its rounds took {took_s:.3g} s and may take {timeout:g} s: raise measurement.round_timeout_s")
        return value


class InlineSession:
    """One worker in this process, for a trial with a ``server`` of its own or none."""

    shares_machine = True

    def __init__(self, worker: WorkerWithNeighbour, scratch: Path, turn: Turn, server: ServerSettings) -> None:
        self._server = server
        self._turn = turn
        self._worker = worker
        self._scratch = scratch

    def identify(self) -> InlineJob[Identity]:
        return InlineJob(own_identity)

    def take_turn(self) -> InlineJob[str | None]:
        return InlineJob(self._turn.take)

    def prepare(self) -> InlineJob[Prepared]:
        return InlineJob(self._prepare)

    def run_rounds(self, first: int, count: int, visit: int) -> InlineJob[Rounds]:
        return InlineJob(lambda: self._worker.run_rounds(first, count, visit), limited=True)

    def run_stream(self, first: int, visit: int) -> InlineJob[Rounds]:
        return InlineJob(lambda: self._worker.run_stream(first, visit), limited=True)

    def end_stream(self) -> None:
        end_stream(self._scratch)

    def rest(self) -> None:
        """Do nothing: the process is the driver's own, and busy."""

    def kernel_ns(self) -> InlineJob[int]:
        return InlineJob(kernel_ns)

    def read_back(self) -> InlineJob[Mapping[str, Any]]:
        return InlineJob(self._worker.read_back)

    def host_answers(self) -> bool:
        return True

    def forget(self) -> None:
        """Do nothing: the process is the driver's own."""

    def last_words(self) -> None:
        """Return nothing: the process is the driver's own, and lives."""

    def abandon(self) -> Stamps | None:
        self._worker.end_started()
        self._turn.end()
        return take_stamps(self._scratch)

    def close(self) -> None:
        self._worker.close()
        self._turn.end()

    def take_server_log(self) -> str | None:
        return None if not self._server.is_started else take_server_log(self._server.model_dump(mode="json"), self._scratch)

    def _prepare(self) -> Prepared:
        prepared = self._worker.prepare()
        return replace(prepared, placement={**prepared.placement, "turn": self._turn.placement, "isolation": "none"})


class InlineSite(LocalSite):
    """The driver's machine, for systems that the driver's own process can be."""

    def machine(self, system: SystemConfig) -> Machine:
        """Return this machine. Raises InputError for a system that names another Python or other GPUs than this process has."""
        if told := why_not_here(system, sys.executable, os.environ):
            raise InputError(told, "unsupported", "system", system.name)
        return super().machine(system)


def why_not_here(system: SystemConfig, running: str, environment: Mapping[str, str]) -> str | None:
    """Return what of a system this process cannot be, or None. Cores and threads are no part of it: *unpinned* flags them.

    Parameters
    ----------
    running
        the Python that runs this program.
    environment
        its variables: CUDA_VISIBLE_DEVICES was read, or will be, before any system could set it.
    """
    here = "cluster=inline measures in this program's own process"
    if system.python is not None and not same_interpreter(system.python, running):
        return f"system.python={system.python}: {here}, which {running} runs; name that one, or leave out cluster=inline"
    wanted, seen = visible_devices(system.device), environment.get(VISIBLE_GPUS)
    if system.device.startswith("cuda:") and seen is not None and seen != wanted:
        set_it = f"set {VISIBLE_GPUS}={wanted} for it, or leave out cluster=inline"
        return f"system.device={system.device}: {here}, which sees other GPUs by {VISIBLE_GPUS}={seen}; {set_it}"
    return None


class InlineExecutor:
    """Opens sessions in this process; ``clock`` is the clock of the timed loop, ``monotonic`` that of the starts of rounds."""

    def __init__(self, scratch: Path, cache_dir: Path, clock: Clock = time.perf_counter_ns, monotonic: Clock = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._scratch = scratch
        self._cache_dir = cache_dir
        self._clock = clock
        self._campaign = uuid4().hex

    def machine_of(self, trial: Trial) -> str:
        return boot_id()

    def cores_of(self, trial: Trial) -> tuple[int, ...]:
        return cores_of_trial(trial, allowed_cores(), numa_cores(), socket.gethostname())

    def await_end(self, trial: Trial, pid: int, created_s: float | None, boot_id: str | None) -> None:
        """Do nothing: such a process was a driver, and is dead."""

    def leave(self) -> None:
        """Do nothing: the process is the driver's own, and ends with it."""

    def open(self, trial: Trial, trial_id: str, process: int) -> InlineSession:
        scratch = stamps_path(self._scratch)
        worker = WorkerWithNeighbour(
            resolved(trial), process, scratch, self._cache_dir, pin=False, clock=self._clock, monotonic=self._monotonic
        )
        turn = Turn(turn_of(trial, self._campaign), ThisCampaign.words)
        return InlineSession(worker, scratch, turn, trial.server)


@contextmanager
def open_inline(cache_dir: Path, clock: Clock = time.perf_counter_ns, monotonic: Clock = time.monotonic_ns) -> Iterator[InlineExecutor]:
    """Yield an executor; remove its stamps afterwards, and have a keeper do it where the program is killed."""
    root = scratch_root()
    for place in (root, own_folder_path()):
        remove_stale(place)
    with Keeper() as keeper, tempfile.TemporaryDirectory(prefix=f"{STAMPS_PREFIX}{os.getpid()}-", dir=root) as folder:
        keeper.remove_at_end(Path(folder))
        yield InlineExecutor(Path(folder), cache_dir, clock, monotonic)
