"""Streams under load: samples arrive by a schedule that does not wait for answers, round after round without a pause."""

import time
from collections.abc import Callable, Sequence
from traceback import TracebackException

from orchestrator.contracts import Reply
from orchestrator.measurement.around_rounds import AroundRounds
from orchestrator.measurement.in_flight import Arrivals, Asked
from orchestrator.measurement.load_loop import Served, serve, service_of
from orchestrator.measurement.loaded_trial import LoadedTrial
from orchestrator.measurement.scratch import STOP
from orchestrator.measurement.stream_rounds import round_of_stream, rounds_that_ended
from orchestrator.measurement.stream_tables import Stream, alone_answered, answers_by_arrival
from orchestrator.measurement.timing import STAMPS
from orchestrator.storage.handover import RoundResult
from orchestrator.subject.schedule import mean_rate, schedule_of

BEFORE_STREAM_NS = 5_000_000
"""From the last preparation of a stream to its start: a schedule may have an arrival at 0."""
BEFORE_REQUESTS_NS = 100_000_000
"""The same where threads ask a server: all of them must be awake."""


class OpenStreams:
    """Serves streams of a trial; ``refuse_other_cores`` raises InputError where the process has left its cores meanwhile."""

    def __init__(self, loaded: LoadedTrial, around: AroundRounds, refuse_other_cores: Callable[[], None]) -> None:
        self._loaded, self._around, self._refuse_other_cores = loaded, around, refuse_other_cores

    def run(self, first: int, visit: int) -> list[RoundResult]:
        """Serve the stream of a visit, whose rounds count from ``first``.

        It ends early, after a whole round, where its backlog grows too long or the user stops.
        """
        loaded, around = self._loaded, self._around
        trial, scratch, clock = loaded.trial, loaded.scratch, loaded.clock
        schedule = schedule_of(trial, len(loaded.items), visit)
        around.find_own_processes()
        items = [loaded.items[sample] for sample in schedule.samples]
        service = service_of(trial.load, trial.measurement.batch, mean_rate(trial))
        wait_until = loaded.wait()
        around.begin()
        first_raised: list[TracebackException] = []
        before_ns = BEFORE_STREAM_NS if loaded.asking is None else BEFORE_REQUESTS_NS
        wall_ns, monotonic_ns, origin = time.time_ns() + before_ns, loaded.monotonic() + before_ns, clock() + before_ns
        due = (schedule.moments_ns + origin).tolist()
        scratch.begin(first, monotonic_ns, wall_ns, origin)
        before = around.counters()
        stamps = scratch.stamps[: STAMPS * len(due)]
        ends = [schedule.of_round(number).stop for number in range(schedule.rounds)]
        stop = scratch.header[STOP : STOP + 1]
        served: Served
        if loaded.asking is None:
            served = serve(due, items, loaded.stages, stamps, service, clock, wait_until, first_raised, stop, ends)
        else:
            arrivals = Arrivals(due, loaded.wait, service.most_waiting, stop, ends)
            alone = [(item,) for item in items]
            served = loaded.asking.ask(alone, loaded.stages, stamps, clock, first_raised, arrivals)
        ended_ns = clock()
        measured = around.end(before)
        self._refuse_other_cores()
        if loaded.cuda is not None:
            loaded.cuda.take_times_ns()
        replies: Sequence[Reply | None] = ()
        if isinstance(served, Asked):
            assert loaded.asking is not None
            loaded.asking.doubt(served, stamps)
            replies = served.replies
        stream = Stream(schedule, scratch.array()[: len(due)], origin, never="dropped", lanes=trial.in_flight, replies=replies)
        stream.refuse_impossible(ended_ns)
        common = {
            "process": loaded.process,
            "visit": visit,
            "incomplete": False,
            "stream": visit,
            "stream_started_monotonic_ns": monotonic_ns,
            "overloaded": served.overloaded,
        }
        answers = answers_by_arrival(stream.stamps, served.answers) if loaded.asking is None else alone_answered(served.answers)
        traceback = loaded.told(first_raised)
        found = []
        for number in rounds_that_ended(stream, served, ends):
            row = {
                **common,
                "round": first + number,
                **stream.span(number, wall_ns, monotonic_ns),
                **(measured if number == 0 else {}),
            }
            found.append(round_of_stream(trial, stream, number, row, answers, loaded.known_answers, served.errors, traceback))
        return found
