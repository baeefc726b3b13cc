"""How a timed process fails, and what a dead one has left of the round in flight."""

import re
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.measurement.timing import IN_FLIGHT, TIMED_OUT
from orchestrator.storage.handover import Rounds
from orchestrator.storage.schema import FaultName
from orchestrator.subject.targets import harmless, keep_traceback, message_with_place, traceback_text

OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory", re.IGNORECASE)
# Where it was raised: the name of a file says nothing of the cause.
PLACE = re.compile(r" \([^()]*, line \d+, in [^()]*\)$")
GPU = re.compile(r"\bCUDA\b|cuDNN|cuBLAS|NCCL|device-side assert", re.IGNORECASE)
# How every message begins that names the death of such a server as the cause.
SERVER_ENDED = "the server that the campaign has started has ended"


def fault_of(message: str, otherwise: FaultName) -> FaultName:
    """Return the fault that a message names: memory, the GPU, a server that was started, or ``otherwise``."""
    said = PLACE.sub("", message)
    if said.startswith(SERVER_ENDED):
        return "server died"
    if OUT_OF_MEMORY.search(said):
        return "out of memory"
    return "gpu error" if GPU.search(said) else otherwise


class TrialFailed(RuntimeError):
    """A process of a trial cannot go on; the message is one line of plain characters, and ``fault`` names what happened."""

    def __init__(self, message: str, fault: FaultName) -> None:
        # Both among the arguments: that is how exceptions travel between processes.
        super().__init__(harmless(message), fault)
        self.fault = fault

    def __str__(self) -> str:
        return str(self.args[0])


def unexpected(error: BaseException) -> TrialFailed:
    """Return an unexpected exception of a timed process as its fault, with its place in the message and its traceback kept."""
    message = message_with_place(error)
    failed = TrialFailed(message, fault_of(message, "process failed"))
    keep_traceback(failed, traceback_text(error))
    return failed


@contextmanager
def tracebacks_kept() -> Iterator[None]:
    """Let exceptions leave a timed process so that nothing is lost on the way: as ours, and with their tracebacks as text.

    Their causes stay behind. Ray would send the words of those as well, and ends the process over characters that UTF-8 lacks.
    """
    try:
        yield
    except (InputError, TrialFailed) as error:
        keep_traceback(error)
        raise error from None
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
        if ends_the_program(error):
            raise
        raise unexpected(error) from None


FAULT: FaultName = "clock broken"
REMEDY = "the clock of this host is broken, or something else wrote them; check its clock source"


def refuse_impossible(stamps: npt.NDArray[np.int64], began_ns: int = 0, ended_ns: int | None = None, together: bool = False) -> None:
    """Raise TrialFailed if stamps do not ascend within a batch, from batch to batch, or from the round's start to its end.

    Parameters
    ----------
    stamps
        ns, shape [B, 4]. A batch that a stage raised on has only its end, one that has not ended counts for nothing; both are 0
        elsewhere.
    began_ns, ended_ns
        the clock before the first batch and after the last one, where they are known.
    together
        whether batches are requests that may be on their way at once: then they need not follow one another.
    """
    whole = stamps.ravel()
    ascends = bool((np.diff(whole) >= 0).all()) and bool((stamps[:, 2] > stamps[:, 1]).all())
    if ascends and len(whole) and ended_ns is not None and began_ns <= whole[0] and whole[-1] <= ended_ns:
        return  # nearly always, and many times faster than what follows
    ended = stamps[:, 3] > 0
    if not together and bool((np.diff(ended.astype(np.int8)) > 0).any()):
        raise _impossible(f"batch {int(np.argmin(ended))} has no end, and later ones have")
    times = stamps[ended]
    raised = (times[:, 0] == 0) & np.isin(times[:, 1], (0, TIMED_OUT)) & (times[:, 2] == 0)
    within = np.diff(times, axis=1)
    wrong = ~raised & ((within < 0).any(axis=1) | (within[:, 1] == 0))
    if bool(wrong.any()):
        raise _impossible(f"the stamps of batch {int(np.argmax(wrong))} do not ascend")
    starts = np.where(raised, times[:, 3], times[:, 0])
    earliest = began_ns if together else np.concatenate([[began_ns], times[:, 3]])[: len(times)]
    outside = (starts < earliest) | (times[:, 3] > (np.inf if ended_ns is None else ended_ns))
    if bool(outside.any()):
        raise _impossible(f"batch {int(np.argmax(outside))} overlaps the one before it, or lies outside its round")


def refuse_raised(trial: Trial, warmup: Rounds, names: Sequence[str]) -> None:
    """Raise TrialFailed if the model has raised on more samples of the warm-up, named in ``names``, than may fail.

    A server's requests may all fail but one: with none there is nothing to measure, and most likely a wrong path or name.
    """
    errors, allowed = warmup.errors.get(0, {}), len(names) - 1 if trial.server.is_asked else trial.measurement.max_errors
    if len(errors) > allowed:
        index, message = next(iter(errors.items()))
        what = (
            f"server {trial.server.name} answered none of the {len(names)} samples of the warm-up"
            if trial.server.is_asked
            else f"model {trial.model.name} raised on {len(errors)} of {len(names)} samples of the warm-up "
            f"(measurement.max_errors={allowed})"
        )
        failed = TrialFailed(
            f"{what}, first on {names[index]}: {message}",
            fault_of(message, "too many errors"),
        )
        if 0 in warmup.tracebacks:
            keep_traceback(failed, warmup.tracebacks[0])
        raise failed


def refuse_miscounted(answered: Sized, samples: int) -> None:
    """Raise TrialFailed if a batch of so many samples was not answered with one answer each, in order."""
    if len(answered) != samples:
        raise TrialFailed(
            f"the model returned {len(answered)} answers for {samples} samples; postprocess must return one per sample", "answers malformed"
        )


def _impossible(what: str) -> TrialFailed:
    return TrialFailed(f"{what}: {REMEDY}", FAULT)


@dataclass(frozen=True)
class Stamps:
    """A file of stamps: the round it is of, when that began (monotonic and UTC, ns), and [B, 4] stamps of its batches in ns.

    Under load it is of a stream: the round is the stream's first, every arrival has its stamps, and ``origin_ns`` is when its schedule
    began by their clock; else that is 0.
    """

    round: int
    monotonic_ns: int
    wall_ns: int
    stamps: npt.NDArray[np.int64]
    origin_ns: int = 0

    @property
    def finished(self) -> bool:
        """Whether every batch has ended, and every arrival has ended or was dropped."""
        return not bool(np.isin(self.stamps[:, 3], (0, IN_FLIGHT)).any())
