"""How a timed process fails: in one line, as a fault with a name, and with a traceback that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.contracts import InputError
from orchestrator.measurement.fault_names import fault_of
from orchestrator.measurement.user_code import keep_traceback, told_with_place, traceback_text
from orchestrator.vocabulary import FaultName


class TrialFailed(RuntimeError):
    """A process of a trial cannot go on, told in one line; ``fault`` names what happened."""

    def __init__(self, message: str, fault: FaultName) -> None:
        # Both among the arguments: that is how exceptions travel between processes.
        super().__init__(message, fault)
        self.fault = fault

    def __str__(self) -> str:
        """Return the message."""
        return str(self.args[0])


def unexpected(error: BaseException) -> TrialFailed:
    """Return what nobody was to raise in a timed process as its fault, told with its place and with its traceback kept."""
    told = told_with_place(error)
    failed = TrialFailed(told, fault_of(told, "process failed"))
    keep_traceback(failed, traceback_text(error))
    return failed


@contextmanager
def tracebacks_kept() -> Iterator[None]:
    """Let exceptions leave a timed process so that nothing is lost on the way: as ours, and with their tracebacks as text."""
    try:
        yield
    except (InputError, TrialFailed) as error:
        keep_traceback(error)
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit: nothing that code of the user's raises may end the program
        raise unexpected(error) from error
