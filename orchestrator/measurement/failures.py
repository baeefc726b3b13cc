"""How a timed process fails: one line, a fault with a name, and a traceback that is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.contracts import InputError
from orchestrator.storage.vocabulary import FaultName
from orchestrator.subject.user_code import keep_traceback, told_with_place, traceback_text

OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory", re.IGNORECASE)
PLACE = re.compile(r" \([^()]*, line \d+, in [^()]*\)$")
"""Where it was raised: the name of a file says nothing of the cause."""
GPU = re.compile(r"\bCUDA\b|cuDNN|cuBLAS|NCCL|device-side assert", re.IGNORECASE)


def fault_of(message: str, otherwise: FaultName) -> FaultName:
    """Return the fault that a message tells of: memory, the GPU, or ``otherwise``."""
    said = PLACE.sub("", message)
    if OUT_OF_MEMORY.search(said):
        return "out of memory"
    return "gpu error" if GPU.search(said) else otherwise


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
