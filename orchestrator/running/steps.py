"""The steps of a trial's life: which one broke, and what its fault is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from orchestrator.contracts import InputError
from orchestrator.execution.executor import SessionLost
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.vocabulary import FaultName
from orchestrator.subject.user_code import keep_traceback, told_with_place, traceback_of

TOLD = (InputError, TrialFailed)
"""Say in one line what is wrong."""
OF_THE_PROCESS = (*TOLD, SessionLost, TimeoutError)
"""What a call to the timed process may raise as its own fault."""


class StepFailed(RuntimeError):
    """Something that nobody expects, in the driver and not in the timed process: another process would not help."""


class Unstorable(RuntimeError):
    """The disk refuses, which is the trouble of all trials. The reason is the cause."""


@contextmanager
def step(name: str, told: tuple[type[Exception], ...] = TOLD) -> Iterator[None]:
    """Name the step that an exception comes from, but for those that are ``told`` by whoever raised them."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (*told, StepFailed, Unstorable)):
            raise
        failed = StepFailed(f"in the driver, while {name}: {told_with_place(error)}")
        keep_traceback(failed, traceback_of(error))
        raise failed from error


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Do the same where something is stored: an OSError there is the disk's."""
    with step(name):
        try:
            yield
        except OSError as error:
            raise Unstorable from error


def asking(name: str) -> AbstractContextManager[None]:
    """Do the same where the timed process is called: what it may raise is its own fault, not the step's."""
    return step(name, OF_THE_PROCESS)


def message_of(error: Exception) -> str:
    """Return what is told of an exception: its message where it is ours, which says all, and else where it was raised too."""
    if isinstance(error, (*OF_THE_PROCESS, StepFailed)):
        return str(error) or type(error).__name__
    return f"in the driver: {told_with_place(error)}"


Raised = dict[int, tuple[int, str]]
"""By sample on which the model raised: the first round, and the message."""


def fault_name(error: Exception) -> FaultName:
    """Return what kind of fault of the model's process an exception is."""
    if isinstance(error, TrialFailed):
        return error.fault
    if isinstance(error, TimeoutError):
        return "hang"
    return fault_of(str(error), "process killed")


def count_raised(raised: Raised, results: Sequence[RoundResult]) -> None:
    """Take in the samples that the model has raised on in these rounds."""
    for result in results:
        for sample, message in result.errors.items():
            raised.setdefault(sample, (result.round.column("round")[0].as_py(), message))


def too_many_raised(raised: Mapping[int, tuple[int, str]], allowed: int) -> tuple[int, TrialFailed] | None:
    """Return the round of the first sample and the fault, where the model has raised on more samples than may fail."""
    if len(raised) <= allowed:
        return None
    sample, (number, message) = next(iter(raised.items()))
    told = (
        f"the model raised on {len(raised)} samples (measurement.max_errors={allowed}), first on sample {sample} in round {number}: "
        f"{message}"
    )
    return number, TrialFailed(told, fault_of(message, "too many errors"))
