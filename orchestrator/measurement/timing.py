"""The timed loop: four stamps around three stages, two around a model that is one call, and nothing else.

Stamps go into memory that outlives the process (see ``scratch.py``), four int64 per batch: start, preprocessed, inferred, end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct
from traceback import TracebackException
from typing import Any

from orchestrator.endings import ends_the_program
from orchestrator.subject.targets import message_with_place

Clock = Callable[[], int]

STAMPS = 4
_FOUR = Struct("=4q")
# In the place of an end: a sample under load was never started; it is between its start and its end
# (see ``load_loop.py``). In the place of ``preprocessed``, where there is an end alone: a server
# gave no whole answer in time (see ``in_flight.py``).
DROPPED, IN_FLIGHT, TIMED_OUT = -1, -2, -3


@dataclass(frozen=True)
class Stages:
    """The three calls that the clocks measure: samples -> inputs -> outputs -> answers."""

    preprocess: Callable[[Any], Any]
    infer: Callable[[Any], Any]
    postprocess: Callable[[Any], list[Any]]


# Before one call that answers one sample, in a list; ``list`` is then the last stage. Neither needs a time of its own.
only = itemgetter(0)


def time_batches(
    batches: Sequence[Any],
    stages: Stages,
    stamps: memoryview,
    answers: list[Any],
    first: int,
    clock: Clock = time.perf_counter_ns,
) -> None:
    """Time the batches from number ``first`` on.

    Parameters
    ----------
    batches
        B batches, each a sequence of samples as ``stages.preprocess`` takes them.
    stamps
        int64, at least 4 B, zero from ``4 * first`` on; a batch's four stamps (ns) are written when its last stage has ended.
    answers
        B places for what ``stages.postprocess`` returns.

    Raises
    ------
    Exception
        what a stage raises; the batch in flight is then the first without stamps.
    """
    preprocess, infer, postprocess = stages.preprocess, stages.infer, stages.postprocess
    write, size = _FOUR.pack_into, _FOUR.size
    for number in range(first, len(batches)):
        started = clock()
        inputs = preprocess(batches[number])
        preprocessed = clock()
        outputs = infer(inputs)
        inferred = clock()
        answers[number] = postprocess(outputs)
        write(stamps, size * number, started, preprocessed, inferred, clock())


def time_calls(
    batches: Sequence[Any], stages: Stages, stamps: memoryview, answers: list[Any], first: int, clock: Clock = time.perf_counter_ns
) -> None:
    """Time batches as ``time_batches`` does, of stages that are ``only``, one call, and ``list``: all time is that of the call."""
    infer, write, size = stages.infer, _FOUR.pack_into, _FOUR.size
    for number in range(first, len(batches)):
        [item] = batches[number]
        started = clock()
        answers[number] = infer(item)
        ended = clock()
        write(stamps, size * number, started, started, ended, ended)


def take_raised(error: BaseException, first_raised: list[TracebackException] | None) -> str:
    """Return the message of what a stage has raised. Raises again what ends the program.

    ``first_raised``, where given, takes the traceback of the first exception: enough to write it out after the round, without what frames
    hold.
    """
    if ends_the_program(error):
        raise error
    if first_raised is not None and not first_raised:
        first_raised.append(TracebackException.from_exception(error, lookup_lines=False))
    return message_with_place(error)


def run_batches(
    batches: Sequence[Any],
    stages: Stages,
    stamps: memoryview,
    clock: Clock = time.perf_counter_ns,
    first_raised: list[TracebackException] | None = None,
) -> tuple[list[Any], dict[int, str]]:
    """Time all batches; a batch on which a stage raises is recorded and the next one goes on.

    Returns
    -------
    answers
        per batch the list of answers, None if a stage raised.
    errors
        message by number of the batch that raised, with the place in the user's own code. Of such a batch only the end is stamped.
    """
    answers: list[Any] = [None] * len(batches)
    errors: dict[int, str] = {}
    time_them = time_calls if (stages.preprocess, stages.postprocess) == (only, list) and len(batches[0]) == 1 else time_batches
    first = 0
    while first < len(batches):
        try:
            time_them(batches, stages, stamps, answers, first, clock)
            break
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
            ended = clock()
            failed = first
            while stamps[STAMPS * failed + 3]:
                failed += 1
            errors[failed] = take_raised(error, first_raised)
            stamps[STAMPS * failed + 3] = ended
            first = failed + 1
    return answers, errors
