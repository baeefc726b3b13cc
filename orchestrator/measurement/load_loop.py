"""The timed loop under load: the four stamps of ``timing.py``, around samples that arrive by a schedule.

Where the closed loop goes to the next batch at once, this one takes in what has arrived, lets the policy choose, and waits where nothing
has. The clock and the wait are given, so that the same code runs on a virtual clock.
"""

import ctypes
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from traceback import TracebackException
from typing import Any, Literal

from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import Reply
from orchestrator.measurement.timing import DROPPED, IN_FLIGHT, STAMPS, Clock, Stages, take_raised
from orchestrator.stats.queueing import Policy

# Waits until a moment of the clock and returns what the clock says then.
WaitUntil = Callable[[int], int]
# A moment that no clock reaches, and more samples than ever wait.
NEVER = 2**62


@dataclass(frozen=True)
class Service:
    """How waiting samples are served.

    most
        samples of a batch at most; ``batch_wait_ns`` after the arrival of its oldest an incomplete one starts.
    queue_limit, deadline_ns
        None for none.
    most_waiting
        arrivals waiting beyond this end the stream: the system is overloaded.
    """

    policy: Policy = "queue"
    most: int = 1
    batch_wait_ns: int = 0
    queue_limit: int | None = None
    deadline_ns: int | None = None
    most_waiting: int = NEVER


def service_of(load: LoadConfig, batch: int, rate_per_s: float) -> Service:
    """Return how a trial serves. What arrives together, or waits to be one batch, is no backlog, however short one may be."""
    return Service(
        policy=load.policy,
        most=batch,
        batch_wait_ns=round(load.batch_wait_ms * 1e6),
        queue_limit=load.queue_limit,
        deadline_ns=None if load.deadline_ms is None else round(load.deadline_ms * 1e6),
        most_waiting=max(load.group, batch, round(load.max_backlog_s * rate_per_s)),
    )


@dataclass
class Served:
    """What a round or a stream has come to, by batch or arrival: answers, messages of what raised, a server's replies; and how it ended.

    An answer is that of its whole batch: samples of a batch share it, as they share their stamps. None where there is none.

    ``arrived`` is how many arrivals there were when it ended; they are fewer than the schedule has where it was ``overloaded``.
    ``stopped_at`` is the first arrival that was left where the stream was stopped, the first one of a round.
    """

    answers: list[Any]
    errors: dict[int, str]
    replies: list[Reply | None] = field(default_factory=list)
    arrived: int = 0
    overloaded: bool = False
    stopped_at: int | None = None


def serve(
    due: Sequence[int],
    items: Sequence[Any],
    stages: Stages,
    stamps: memoryview,
    service: Service,
    clock: Clock,
    wait_until: WaitUntil,
    first_raised: list[TracebackException] | None = None,
    stop: memoryview | None = None,
    round_ends: Sequence[int] = (),
) -> Served:
    """Serve a stream.

    Parameters
    ----------
    due
        when each of N samples arrives, ns of ``clock``, ascending.
    items
        the samples, as ``stages.preprocess`` takes them in a list.
    stamps
        int64, 4 N, all 0: start, preprocessed, inferred and end of each sample, which a batch's samples share. A sample that was dropped
        has ``DROPPED`` in the place of its end, one in flight ``IN_FLIGHT``, and one whose batch raised its end alone.

    stop, round_ends
        int64, one place: not 0 where the stream is to end with a round; and the first arrivals after the rounds, ascending.

    Notes
    -----
    An arrival that finds ``queue_limit`` waiting is dropped. What comes while the server is idle goes into service, and leaves room for as
    many as a batch holds. A stage that raises has failed its batch, and the next one goes on.
    """
    preprocess, infer, postprocess = stages.preprocess, stages.infer, stages.postprocess
    most, batch_wait_ns, deadline_ns = service.most, service.batch_wait_ns, service.deadline_ns
    newest, most_waiting = service.policy == "newest", service.most_waiting
    limit = NEVER if service.queue_limit is None else service.queue_limit
    due = [*due, NEVER]
    count = len(items)
    alone = [(item,) for item in items] if most == 1 else []
    others: tuple[int, ...] = ()
    served = Served([None] * count, {})
    answers = served.answers
    waiting: deque[int] = deque()
    coming = 0
    room = limit + most
    ends = iter(() if stop is None else round_ends)
    next_end = next(ends, NEVER)
    now = clock()
    while True:
        while due[coming] <= now:
            if len(waiting) < room:
                waiting.append(coming)
            else:
                stamps[STAMPS * coming + 3] = DROPPED
            coming += 1
        if not waiting:
            if coming == count:
                break
            room = limit + most
            now = wait_until(due[coming])
            continue
        if len(waiting) > most_waiting:
            served.overloaded = True
            break
        if waiting[0] >= next_end:
            if stop is not None and stop[0]:
                served.stopped_at = next_end
                break
            next_end = next((end for end in ends if end > waiting[0]), NEVER)
        if newest:
            while len(waiting) > most:
                stamps[STAMPS * waiting.popleft() + 3] = DROPPED
        elif deadline_ns is not None and now - due[waiting[0]] > deadline_ns:
            stamps[STAMPS * waiting.popleft() + 3] = DROPPED
            continue
        if most == 1:
            first = waiting.popleft()
            batch = alone[first]
        else:
            if len(waiting) < most and now < (until := due[waiting[0]] + batch_wait_ns):
                room = limit + most
                now = wait_until(min(until, due[coming]))
                continue
            first, *rest = (waiting.popleft() for _ in range(min(most, len(waiting))))
            others = tuple(rest)
            batch = (items[first], *(items[number] for number in others))
            for number in others:
                stamps[STAMPS * number + 3] = IN_FLIGHT
        at = STAMPS * first
        stamps[at + 3] = IN_FLIGHT
        try:
            started = clock()
            inputs = preprocess(batch)
            preprocessed = clock()
            outputs = infer(inputs)
            inferred = clock()
            answers[first] = postprocess(outputs)
            now = clock()
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
            now = clock()
            served.errors.update(dict.fromkeys((first, *others), take_raised(error, first_raised)))
        else:
            stamps[at] = started
            stamps[at + 1] = preprocessed
            stamps[at + 2] = inferred
        stamps[at + 3] = now
        for number in others:
            stamps[STAMPS * number : STAMPS * number + STAMPS] = stamps[at : at + STAMPS]
            answers[number] = answers[first]
        room = limit
    served.arrived = coming
    return served


SECOND_NS = 10**9
CLOCK_MONOTONIC, TIMER_ABSTIME, PR_SET_TIMERSLACK = 1, 1, 29


class _Moment(ctypes.Structure):
    """The kernel's ``timespec``."""

    _fields_ = (("seconds", ctypes.c_long), ("ns", ctypes.c_long))


def waiting(idle: Literal["sleep", "spin"], spin_ns: int, clock: Clock = time.perf_counter_ns, gives_way: bool = False) -> WaitUntil:
    """Return a wait for moments of ``time.perf_counter_ns``, to be called in the thread that asks for it.

    ``sleep`` sleeps down to ``spin_ns`` before the moment, by the kernel's absolute timer and without its slack of 50 us; then it spins.
    ``spin`` spins all the time. One that ``gives_way`` lets other threads of the
    process go on while it spins: a spin that does not would stand in their times.
    """

    def spin(moment: int) -> int:
        while (now := clock()) < moment:
            if gives_way:
                time.sleep(0)
        return now

    if idle == "spin":
        return spin
    sleep_until = _kernel_sleep()

    def wait_until(moment: int) -> int:
        wake = moment - spin_ns
        if wake > clock():
            sleep_until(wake)
        return spin(moment)

    return wait_until


def _kernel_sleep() -> Callable[[int], object]:
    """Return a sleep until a moment of CLOCK_MONOTONIC, which is what ``time.perf_counter_ns`` reads on Linux."""
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    sleep, wake = system.clock_nanosleep, _Moment()
    reference = ctypes.byref(wake)

    def sleep_until(moment: int) -> int:
        wake.seconds, wake.ns = divmod(moment, SECOND_NS)
        return int(sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, reference, None))

    return sleep_until
