"""The steps of a trial's life: which one broke, and what its fault is called."""

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.running.executor import SessionLost
from orchestrator.storage.schema import FaultName
from orchestrator.subject.targets import keep_traceback, message_with_place, traceback_of

OUR_ERRORS = (InputError, TrialFailed)
"""Each with a one-line message."""
OF_THE_PROCESS = (*OUR_ERRORS, SessionLost, TimeoutError)
"""What a call to the timed process may raise as its own fault."""


OF_ONE_PLACE = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP)
"""Errors of a disk that has nothing wrong with it: somebody has put something else in the place of a file or folder."""


class StepFailed(RuntimeError):
    """An unexpected error in the driver and not in the timed process: another process would not help."""


class Unstorable(RuntimeError):
    """The disk refuses, which concerns all trials. ``__cause__`` is the reason."""


@contextmanager
def step(name: str, known: tuple[type[Exception], ...] = OUR_ERRORS) -> Iterator[None]:
    """Name the step that an exception comes from, but for those of the types ``known``, whose messages say enough."""
    try:
        yield
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: a user's metric or rule may end its trial alone
        if isinstance(error, (*known, StepFailed, Unstorable)) or ends_the_program(error):
            raise
        failed = StepFailed(f"in the driver, while {name}: {message_with_place(error)}")
        keep_traceback(failed, traceback_of(error))
        raise failed from error


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Do the same where something is stored: an OSError there is the disk's."""
    with step(name):
        try:
            yield
        except OSError as error:
            if error.errno in OF_ONE_PLACE:
                raise
            raise Unstorable from error


def asking(name: str) -> AbstractContextManager[None]:
    """Do the same where the timed process is called: what it may raise is its own fault, not the step's."""
    return step(name, OF_THE_PROCESS)


def message_of(error: Exception) -> str:
    """Return the message for an exception: its own if it is ours, which says all, else with the place where it was raised."""
    if isinstance(error, (*OF_THE_PROCESS, StepFailed)):
        return str(error) or type(error).__name__
    return f"in the driver: {message_with_place(error)}"


def fault_name(error: Exception) -> FaultName:
    """Return what kind of fault of the model's process an exception is."""
    if isinstance(error, TrialFailed):
        return error.fault
    if isinstance(error, TimeoutError):
        return "hang"
    return fault_of(str(error), "process killed")
