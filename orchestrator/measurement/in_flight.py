"""The timed loop where a server answers: the four stamps of ``timing.py`` around requests, of which several may be on their way at once.

Each request has a thread that waits for its answer. Under load every one is sent at its moment; if as many are on their way as may be, the
next waits for one of them to end, and that is part of its wait. In a closed loop the next is sent as soon as one has ended.
"""

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from traceback import TracebackException
from typing import Any

import numpy as np

from orchestrator.contracts import Reply, ServerFault, ServerTimeout
from orchestrator.measurement.asking import Client
from orchestrator.measurement.load_loop import NEVER, Served, WaitUntil
from orchestrator.measurement.timing import IN_FLIGHT, STAMPS, TIMED_OUT, Clock, Stages, take_raised

# So long before an arrival its thread takes it on and waits for its moment alone. What comes later
# may still be called off.
AHEAD_NS = 50_000_000
UNASKED = "ServerFault: the server sent an answer that nobody had asked for, and which one belongs to this request cannot be told"
# A thread that computes lets another go on after so long; Python's own 5 ms would stand in the
# times of answers.
SWITCH_S = 50e-6


@dataclass(frozen=True)
class Arrivals:
    """When requests are to be sent.

    due
        ns of the clock, ascending.
    make_wait
        makes a wait in the thread that is to wait: the kernel's timer is set for each thread on its own.
    most_waiting
        arrivals waiting beyond this end the stream: the server is overloaded.
    stop, round_ends
        int64, one place: not 0 where the stream is to end with a round; and the first arrivals after the rounds, ascending.
    think_ns
        from the answer to a turn of a conversation to the arrival of the next one; of these ``due`` counts for the first alone.
    """

    due: Sequence[int]
    make_wait: Callable[[], WaitUntil]
    most_waiting: int = NEVER
    stop: memoryview | None = None
    round_ends: Sequence[int] = ()
    think_ns: int = 0


class Requests:
    """The requests of one round or stream, handed out by conversation in their order until it is ``over``."""

    def __init__(self, count: int, clock: Clock, arrivals: Arrivals | None, asked: Served, bounds: Sequence[int]) -> None:
        self._count, self._clock, self._arrivals, self._asked, self._bounds = count, clock, arrivals, asked, bounds
        self._turn = threading.Lock()
        self._next = 0
        self.over = False

    def take(self, wait_until: WaitUntil | None) -> range | None:
        """Return the next conversation, None where there is none any more. Under load this waits until shortly before its moment.

        A stream ends early where the user stops before the first request of a round, or where too many arrivals wait already.
        """
        with self._turn:
            number, arrivals = self._next, self._arrivals
            if self.over or number >= self._count:
                return None
            if arrivals is not None:
                assert wait_until is not None
                if arrivals.due[number] - self._clock() > AHEAD_NS:
                    wait_until(arrivals.due[number] - AHEAD_NS)
                arrived = bisect_right(arrivals.due, self._clock(), lo=number)
                if arrivals.stop is not None and arrivals.stop[0] and number in arrivals.round_ends:
                    self._asked.stopped_at, self.over = number, True
                elif arrived - number > arrivals.most_waiting:
                    self._asked.overloaded, self._asked.arrived, self.over = True, arrived, True
                if self.over:
                    return None
            self._next = self._asked.arrived = self._bounds[bisect_right(self._bounds, number)]
            return range(number, self._next)


class InFlight:
    """Threads that ask a server, for the life of a timed process: each keeps its connection from one round to the next.

    ``client`` is what the stages ask with: it takes the server's token out of a text, before anything is kept.
    """

    def __init__(self, most: int, client: Client | None = None) -> None:
        self.most = most
        self._client = client
        self.hide: Callable[[str], str] = str if client is None else client.hide
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="asks") if most > 1 else None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(
        self,
        batches: Sequence[Any],
        stages: Stages,
        stamps: memoryview,
        clock: Clock,
        first_raised: list[TracebackException] | None = None,
        arrivals: Arrivals | None = None,
        most: int | None = None,
        bounds: Sequence[int] | None = None,
    ) -> Served:
        """Send all requests of a round or a stream, each once, and return what came of them.

        Parameters
        ----------
        batches
            what each request holds, as ``stages.preprocess`` takes it in a list; the stages are called by several threads.
        stamps
            int64, 4 of each request, all 0: start, preprocessed, inferred and end. One that a stage raised on has its end alone, and
            ``TIMED_OUT`` in the second place where the server took too long; one on its way has ``IN_FLIGHT`` in the place of its end.
        arrivals
            when they are to be sent; None in a closed loop.
        most
            on their way at once, where that is less than ``most`` of all.
        bounds
            the first request of each conversation, whose requests wait for one another, and the number of all; None: each stands alone.
        """
        count = len(batches)
        asked = Served([None] * count, {}, [None] * count)
        requests = Requests(count, clock, arrivals, asked, range(count + 1) if bounds is None else bounds)

        def one_by_one() -> None:
            wait_until = None if arrivals is None else arrivals.make_wait()
            while (conversation := requests.take(wait_until)) is not None:
                for number in conversation:
                    if wait_until is not None and arrivals is not None:
                        is_first = number == conversation[0]
                        moment = arrivals.due[number] if is_first else stamps[STAMPS * (number - 1) + 3] + arrivals.think_ns
                        if moment > clock():
                            wait_until(moment)
                    ask_once(number, batches[number], stages, stamps, clock, asked, first_raised, self.hide)

        threads = min(self.most if most is None else min(most, self.most), count)
        if self._pool is None or threads == 1:
            one_by_one()
            return asked
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        under_way = [self._pool.submit(one_by_one) for _ in range(threads)]
        try:
            for each in under_way:
                each.result()
        finally:
            requests.over = True  # after an exception nothing more is sent
            wait(under_way)
            sys.setswitchinterval(before)
        return asked

    def doubt(self, asked: Served, stamps: memoryview) -> None:
        """Make errors of all answers of a round or a stream that may be another request's: their server has sent one to no request."""
        doubted = set() if self._client is None else self._client.doubted(asked.replies)
        for number, reply in enumerate(asked.replies):
            if reply is not None and reply.connection in doubted:
                at = STAMPS * number
                stamps[at] = stamps[at + 1] = stamps[at + 2] = 0
                asked.answers[number] = asked.replies[number] = None
                asked.errors[number] = UNASKED


def ask_once(
    number: int,
    batch: Any,
    stages: Stages,
    stamps: memoryview,
    clock: Clock,
    asked: Served,
    first_raised: list[TracebackException] | None,
    hide: Callable[[str], str] = str,
) -> None:
    """Time one request. What a stage raises is its outcome, and so are answers of another number than its samples."""
    at = STAMPS * number
    stamps[at + 3] = IN_FLIGHT
    try:
        started = clock()
        inputs = stages.preprocess(batch)
        preprocessed = clock()
        outputs = stages.infer(inputs)
        inferred = clock()
        answers = stages.postprocess(outputs)
        ended = clock()
        count = len(answers) if hasattr(answers, "__len__") else None
        if count != len(batch):
            found = "no list of answers" if count is None else f"{count} answers"
            samples = f"{len(batch)} sample{'s' if len(batch) > 1 else ''}"
            raise ServerFault(f"the request was of {samples}, and what came back holds {found}")
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
        ended = clock()
        asked.errors[number] = kept(take_raised(error, first_raised), hide)
        stamps[at + 1] = TIMED_OUT if isinstance(error, ServerTimeout) else 0
        stamps[at + 3] = ended
        return
    stamps[at] = started
    stamps[at + 1] = preprocessed
    stamps[at + 2] = inferred
    stamps[at + 3] = ended
    asked.answers[number] = kept(answers, hide)
    if isinstance(outputs, Reply):
        # What it said has been read; its moments are kept. Thousands of long answers would fill the memory.
        outputs.body, outputs.lines = b"", ()
        asked.replies[number] = outputs


def kept(value: Any, hide: Callable[[str], str]) -> Any:
    r"""Return an answer with all its texts as they may be stored: ``hide`` takes out what may not, and halves of letters become U+FFFD.

    A server that cuts an answer within an emoji sends ``"\ud83d"``, which no file can hold; two halves that fit make their letter.
    """
    if isinstance(value, str):
        return hide(value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
    if isinstance(value, list):
        return [kept(each, hide) for each in value]
    if type(value) is tuple:
        return tuple(kept(each, hide) for each in value)
    if isinstance(value, dict):
        return {kept(name, hide): kept(each, hide) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return kept(value.tolist(), hide)
    return value
