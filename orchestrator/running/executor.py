"""Where a trial runs: the interface between the pipeline and an executor.

An executor opens one *session* per trial: one fresh, pinned process. The pipeline prepares it, asks for rounds one by one, and
closes it. Calls return a ``concurrent.futures.Future``-like job, so that a remote system can be asked for its next round before
the last one is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from orchestrator.configuration.config import SystemConfig, Trial
from orchestrator.configuration.environment_values import resolved
from orchestrator.contracts import InputError
from orchestrator.machine.host import Identity, Machine, read_machine
from orchestrator.measurement.failures import Stamps, TrialFailed, unexpected
from orchestrator.measurement.last_words import LastWords
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.storage.schema import LossCause
from orchestrator.subject.inspection import Inspector, Look

T_co = TypeVar("T_co", covariant=True)


class Job(Protocol, Generic[T_co]):
    """A call under way."""

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the result. Raises TimeoutError, SessionLost, InputError, or TrialFailed for any other exception."""


class SessionLost(RuntimeError):
    """The timed process is gone. ``cause`` is ``process`` (the model's fault) or ``machine`` (host, link, cluster)."""

    def __init__(self, message: str, cause: LossCause) -> None:
        super().__init__(message)
        self.cause = cause


def as_fault(error: BaseException) -> Exception:
    """Return the timed process's exception in a form that no caller takes for the driver's own, such as a full disk."""
    if isinstance(error, InputError | TrialFailed | SessionLost):
        return error
    return unexpected(error)


class Session(Protocol):
    """One fresh process for one trial."""

    # True where driver and system are one machine: then nothing is stored or drawn while a round is
    # timed.
    shares_machine: bool

    def identify(self) -> Job[Identity]:
        """Return which process this is, once it is up."""

    def take_turn(self) -> Job[str | None]:
        """Take part in the campaign's turn on the machine, or return in words who has it."""

    def prepare(self) -> Job[Prepared]:
        """Pin, load, warm up."""

    def run_rounds(self, first: int, count: int, visit: int) -> Job[Rounds]:
        """Run consecutive rounds of a visit; each is timed as if it were alone. A visit that is new begins with its lead-in."""

    def run_stream(self, first: int, visit: int) -> Job[Rounds]:
        """Serve the stream of a visit under load: its rounds, which follow one another, count from ``first``."""

    def end_stream(self) -> None:
        """Have the stream under way end after its round, where driver and process share a machine; else it ends as it would."""

    def rest(self) -> None:
        """Have the process sleep until the next call, as far as that is possible: nothing of it may run beside other trials' rounds."""

    def kernel_ns(self) -> Job[int]:
        """Time a fixed piece of work, in ns: the machine's speed now."""

    def read_back(self) -> Job[Mapping[str, Any]]:
        """Read back where the process is placed now, with ``flags`` of what has changed since the warm-up."""

    def host_answers(self) -> bool:
        """Return whether the host responds within a few seconds."""

    def forget(self) -> None:
        """Let go of a process on a host that does not answer, without waiting for anything."""

    def last_words(self) -> LastWords | None:
        """Return what a process that has died leaves of its end, None where nothing is known. Its stamps stay."""

    def abandon(self) -> Stamps | None:
        """Kill the process and return what it has left of the round in flight. Raises TrialFailed for stamps that cannot be trusted."""

    def close(self) -> None:
        """End the process and wait until it is gone."""

    def take_server_log(self) -> str | None:
        """Return what a server that the process has started has written, once both are gone; None where there is none."""


class Executor(Protocol):
    """Opens sessions."""

    def machine_of(self, trial: Trial) -> str:
        """Return the id of the physical machine a trial runs on; trials of one machine take turns."""

    def cores_of(self, trial: Trial) -> tuple[int, ...]:
        """Return the cores a trial is given there, those of a server that it starts among them."""

    def await_end(self, trial: Trial, pid: int, created_s: float | None, boot_id: str | None) -> None:
        """Wait until a process that an earlier driver left on a trial's machine is gone, and end it where it stays."""

    def open(self, trial: Trial, trial_id: str, process: int) -> Session:
        """Start a fresh process for a trial. ``process`` counts the trial's processes from 0."""

    def leave(self) -> None:
        """End every process, as the driver ends. Calls under way raise Leaving, which ends the threads waiting for them."""


class Site(Protocol):
    """A place with machines. Looking at it starts no trial and times nothing."""

    def machine(self, system: SystemConfig) -> Machine:
        """Return the machine that a system means. Raises InputError if there is none."""

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        """Return what each trial would find on the machine, which is that of all their systems.

        Raises InputError for a mistake on any machine.
        """

    def executor(self) -> AbstractContextManager[Executor]:
        """Return the executor over the machines."""


class LocalSite:
    """The driver's machine alone; without ``open_executor`` to look at models, not to measure them."""

    def __init__(self, open_executor: Callable[[], AbstractContextManager[Executor]] | None = None) -> None:
        self._open_executor = open_executor
        self.machine_here = read_machine()
        self._inspector = Inspector()

    def machine(self, system: SystemConfig) -> Machine:
        return self.machine_here

    def look(self, machine: Machine, trials: Sequence[Trial]) -> list[Look]:
        return [self._inspector.look(resolved(trial)) for trial in trials]

    def executor(self) -> AbstractContextManager[Executor]:
        assert self._open_executor is not None
        return self._open_executor()
