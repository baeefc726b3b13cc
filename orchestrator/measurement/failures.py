"""How a timed process fails, and what a dead one has left of the round in flight."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Set, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.measurement.timing import IN_FLIGHT, TIMED_OUT
from orchestrator.storage import schema
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.schema import FaultName, InFlight
from orchestrator.storage.stored_form import columns_batch, one_row, without_arrivals
from orchestrator.subject.samples import batches_of_round
from orchestrator.subject.targets import harmless, keep_traceback, message_with_place, traceback_text

OUT_OF_MEMORY = re.compile(r"MemoryError|out of memory|OutOfMemory", re.IGNORECASE)
PLACE = re.compile(r" \([^()]*, line \d+, in [^()]*\)$")
"""Where it was raised: the name of a file says nothing of the cause."""
GPU = re.compile(r"\bCUDA\b|cuDNN|cuBLAS|NCCL|device-side assert", re.IGNORECASE)
SERVER_ENDED = "the server that the campaign has started has ended"
"""How every message begins that names the death of such a server as the cause."""
ROUNDING = 1e-9
"""How far sums of float64 may be wrong, as a share."""
NO_LIST = (Mapping, Set, str, bytes, bytearray, memoryview)
"""They have a length too, and a text or dictionary of length 1 would pass for a list of one answer: its letter or key."""


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
        """Return the message."""
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


def refuse_impossible(stamps: npt.NDArray[np.int64], began_ns: int = 0, ended_ns: int | None = None) -> None:
    """Raise TrialFailed if stamps do not ascend within a batch, from batch to batch, or from the round's start to its end.

    Parameters
    ----------
    stamps
        ns, shape [B, 4]. A batch that a stage raised on has only its end, one that has not ended counts for nothing; both are 0
        elsewhere.
    began_ns, ended_ns
        the clock before the first batch and after the last one, where they are known.
    """
    ended = stamps[:, 3] > 0
    if bool((np.diff(ended.astype(np.int8)) > 0).any()):
        raise _impossible(f"batch {int(np.argmin(ended))} has no end, and later ones have")
    times = stamps[ended]
    raised = _refuse_descending(times)
    starts = np.where(raised, times[:, 3], times[:, 0])
    before = np.concatenate([[began_ns], times[:, 3]])[: len(times)]
    wrong = starts < before
    if bool(wrong.any()):
        raise _impossible(f"batch {int(np.argmax(wrong))} starts before what precedes it has ended")
    if ended_ns is not None and len(times) and int(times[-1, 3]) > ended_ns:
        raise _impossible("the last batch ends after its round")


def refuse_impossible_alone(stamps: npt.NDArray[np.int64], began_ns: int = 0, ended_ns: int | None = None) -> None:
    """Raise TrialFailed if stamps do not ascend within a request, or lie outside the round; requests may be on their way together.

    Parameters are those of `refuse_impossible`.
    """
    times = stamps[stamps[:, 3] > 0]
    raised = _refuse_descending(times)
    outside = np.where(raised, times[:, 3], times[:, 0]) < began_ns
    if ended_ns is not None:
        outside |= times[:, 3] > ended_ns
    if bool(outside.any()):
        raise _impossible(f"request {int(np.argmax(outside))} lies outside its round")


def _refuse_descending(times: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which batches have an end alone, [B]. Raises TrialFailed if the stamps of another, [B, 4], do not ascend."""
    raised: npt.NDArray[np.bool_] = (times[:, 0] == 0) & np.isin(times[:, 1], (0, TIMED_OUT)) & (times[:, 2] == 0)
    within = np.diff(times, axis=1)
    wrong = ~raised & ((within < 0).any(axis=1) | (within[:, 1] == 0))
    if bool(wrong.any()):
        raise _impossible(f"the stamps of batch {int(np.argmax(wrong))} do not ascend")
    return raised


def refuse_raised(trial: Trial, warmup: RoundResult, names: Sequence[str]) -> None:
    """Raise TrialFailed if the model has raised on more samples of the warm-up, named in ``names``, than may fail.

    A server's requests may all fail but one: with none there is nothing to measure, and most likely a wrong path or name.
    """
    errors, allowed = warmup.errors, len(names) - 1 if trial.server.is_asked else trial.measurement.max_errors
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
        if warmup.traceback is not None:
            keep_traceback(failed, warmup.traceback)
        raise failed


def refuse_miscounted(answered: object, samples: int) -> None:
    """Raise TrialFailed if a batch of so many samples was not answered with one answer each, in order."""
    if not isinstance(answered, Sized) or isinstance(answered, NO_LIST):
        raise TrialFailed(
            f"the model's postprocess returned {type(answered).__name__} for a batch of {samples} and must return a list with one answer "
            "per sample, in their order; put each answer into a list, such as [answer]",
            "answers malformed",
        )
    if len(answered) != samples:
        raise TrialFailed(
            f"the model returned {len(answered)} answers for {samples} samples; postprocess must return one per sample", "answers malformed"
        )


def refuse_short(result: RoundResult, batch: int, in_flight: int = 1) -> None:
    """Raise TrialFailed if a round of a closed loop took less time than what was timed in it.

    All samples of a batch carry its times. The timed process looks at streams itself.
    """
    if not result.round.column("stream").null_count:
        return
    timed = (pc.sum(result.timings.column(name)).as_py() or 0 for name in ("start_gap_ns", *schema.STAGES))
    parts_ns, duration_ns = sum(timed) / (batch * in_flight), result.round.column("duration_ns")[0].as_py()
    if parts_ns * (1 - ROUNDING) > duration_ns:
        number = result.round.column("round")[0].as_py()
        raise _impossible(f"round {number} took {duration_ns} ns and what was timed in it at least {math.ceil(parts_ns)} ns")


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


def incomplete_round(
    trial: Trial, found: Stamps, number: int, samples: int, process: int, in_flight: InFlight, message: str, visit: int | None = None
) -> RoundResult:
    """Return the round as far as it came: finished samples ``ok``, those in flight ``in_flight``, the rest ``lost``.

    Parameters
    ----------
    number
        the number to store the round under: that of the first round that never came back.
    samples
        number of samples of the trial.
    in_flight
        ``timeout`` or ``error``.
    message
        what is known of the samples in flight.
    visit
        the visit that the round belongs to.

    Raises
    ------
    TrialFailed
        for stamps that cannot be those of a round of this trial.
    """
    groups = batches_of_round(trial, samples, found.round)
    if len(found.stamps) != len(groups):
        raise TrialFailed(f"the process left stamps of {len(found.stamps)} batches, and a round has {len(groups)}", FAULT)
    (refuse_impossible if trial.in_flight == 1 else refuse_impossible_alone)(found.stamps)
    ended = found.stamps[:, 3] > 0
    finished = ended & (found.stamps[:, 0] > 0)
    outcomes = np.full(samples, "lost", dtype=object)
    durations = np.zeros((samples, 3), dtype=np.int64)
    under_way = _under_way(trial, found.stamps, ended)
    for batch, group in enumerate(groups):
        if finished[batch]:
            outcomes[group] = "ok"
            durations[group] = np.diff(found.stamps[batch])
        elif ended[batch]:
            outcomes[group] = "timeout" if found.stamps[batch, 1] == TIMED_OUT else "error"
        elif batch in under_way:
            outcomes[group] = in_flight
    late = outcomes != "ok"
    timings = columns_batch(
        {
            "round": pa.array(np.full(samples, number, dtype=np.int32)),
            "sample": pa.array(np.arange(samples, dtype=np.int32)),
            "outcome": pa.array(outcomes.tolist(), pa.string()).dictionary_encode().cast(schema.TIMINGS.field("outcome").type),
            "start_gap_ns": pa.nulls(samples, pa.int64()),
            **{name: pa.array(durations[:, place], mask=late) for place, name in enumerate(schema.STAGES)},
            "cuda_inference_ns": pa.nulls(samples, pa.int64()),
            **without_arrivals(samples),
        },
        schema.TIMINGS,
    )
    row = {
        "round": number,
        "started_at": datetime.fromtimestamp(found.wall_ns / 1e9, UTC),
        "started_monotonic_ns": found.monotonic_ns,
        "duration_ns": int(found.stamps[finished, 3].max() - found.stamps[finished, 0].min()) if finished.any() else 0,
        "process": process,
        "visit": visit,
        "incomplete": True,
    }
    errors = dict.fromkeys((sample for batch in under_way for sample in groups[batch]), message)
    return RoundResult(timings, one_row(row, schema.ROUNDS), None, errors)


def _under_way(trial: Trial, stamps: npt.NDArray[np.int64], ended: npt.NDArray[np.bool_]) -> list[int]:
    """Return the batches that were neither ended nor not yet begun: requests say so, of the others it is the first one without an end."""
    if trial.server.is_asked:
        return np.flatnonzero(stamps[:, 3] == IN_FLIGHT).tolist()
    return [] if ended.all() else [int(np.argmin(ended))]
