"""The rounds of a stream that has been served, as they are handed over."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.measurement import round_tables
from orchestrator.measurement.load_loop import Served
from orchestrator.measurement.stream_tables import Stream
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.stored_form import rows_batch


def rounds_that_ended(stream: Stream, served: Served, ends: Sequence[int]) -> range:
    """Return the rounds of a stream that are whole: all, unless the user stopped or the backlog grew too long. ``ends`` are their ends."""
    if served.stopped_at is not None:
        return range(ends.index(served.stopped_at) + 1)
    return range(stream.last_round(served.arrived) + 1 if served.overloaded else stream.schedule.rounds)


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
