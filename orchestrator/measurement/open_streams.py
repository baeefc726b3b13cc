"""Streams under load: samples arrive by a schedule that does not wait for answers, round after round without a pause."""

import time
from collections.abc import Callable, Mapping, Sequence
from traceback import TracebackException
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.contracts import Reply
from orchestrator.measurement import round_tables
from orchestrator.measurement.around_rounds import AroundRounds
from orchestrator.measurement.in_flight import Arrivals, Asked
from orchestrator.measurement.load_loop import Served, serve, service_of
from orchestrator.measurement.loaded_trial import LoadedTrial
from orchestrator.measurement.scratch import STOP
from orchestrator.measurement.stream_tables import Stream, answers_by_arrival
from orchestrator.measurement.timing import STAMPS
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds, joined
from orchestrator.storage.stored_form import rows_batch
from orchestrator.subject.schedule import mean_rate, schedule_of

BEFORE_STREAM_NS = 5_000_000
"""From the last preparation of a stream to its start: a schedule may have an arrival at 0."""
BEFORE_REQUESTS_NS = 100_000_000
"""The same where threads ask a server: all of them must be awake."""


class OpenStreams:
    """Serves streams of a trial; ``refuse_other_cores`` raises InputError where the process has left its cores meanwhile."""

    def __init__(self, loaded: LoadedTrial, around: AroundRounds, refuse_other_cores: Callable[[], None]) -> None:
        self._loaded, self._around, self._refuse_other_cores = loaded, around, refuse_other_cores

    def run(self, first: int, visit: int) -> Rounds:
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
        if loaded.asking is None:
            answers = answers_by_arrival(stream.stamps, served.answers)
        else:
            answers = [answered and answered[0] for answered in served.answers]
        traceback = loaded.told(first_raised)
        found = []
        whole = schedule.rounds  # unless the user stopped, or the backlog grew too long
        if served.stopped_at is not None:
            whole = ends.index(served.stopped_at) + 1
        elif served.overloaded:
            whole = stream.last_round(served.arrived) + 1
        for number in range(whole):
            row = {
                **common,
                "round": first + number,
                **stream.span(number, wall_ns, monotonic_ns),
                **(measured if number == 0 else {}),
            }
            found.append(round_of_stream(trial, stream, number, row, answers, loaded.known_answers, served.errors, traceback))
        return joined(found)


def round_of_stream(
    trial: Trial,
    stream: Stream,
    counted: int,
    row: dict[str, Any],
    answers: Sequence[Any],
    first_answers: Sequence[Any],
    raised: Mapping[int, str],
    traceback: str | None,
) -> Rounds:
    """Return one round of a stream, with the ramp beside the first one; answers are compared where there are any.

    Parameters
    ----------
    counted
        which round of the stream it is, from 0.
    row
        what is stored of the round, but for what its answers say.
    answers, raised
        the answer to each arrival, None where there is none, and what the model raised, by arrival.
    first_answers
        the first answer to each sample.
    traceback
        of the first of the stream's exceptions, for the rounds that have one.
    """
    kind, samples = trial.task.kind, range(len(first_answers))
    part = stream.schedule.of_round(counted)
    answered = zip(stream.schedule.samples[part].tolist(), answers[part], strict=True)
    now = {sample: answer for sample, answer in answered if answer is not None}
    places = range(part.start, part.stop)
    errors = {int(stream.schedule.samples[place]): raised[place] for place in places if place in raised}
    with round_tables.right_form(kind, f"the answers of model {trial.model.name}"):
        by_sample = [now.get(sample) for sample in samples]
        unanswered = {sample: "" for sample in samples if sample not in now}
        changed = round_tables.changed_answers(kind, first_answers, by_sample, unanswered)
        digest = round_tables.digest_answers(by_sample)
    row |= {"prediction_digest": digest, "different_answers": 0 if changed is None else changed.num_rows}
    number = row["round"]
    return Rounds(
        timings=stream.timings(counted, number),
        rows=rows_batch([row], schema.ROUNDS),
        answers={} if changed is None else {number: changed},
        errors={number: errors} if errors else {},
        tracebacks={number: traceback} if errors and traceback is not None else {},
        ramp=stream.ramp(row["stream"]) if counted == 0 else None,
    )
