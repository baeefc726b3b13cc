"""What a timed process leaves that dies: where in its code, and the rounds in flight as far as they came."""

import faulthandler
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from orchestrator.configuration.config import Trial
from orchestrator.machine.locks import open_own_folder
from orchestrator.measurement.failures import FAULT, Stamps, TrialFailed, refuse_impossible
from orchestrator.measurement.scratch import crash_path, open_own, read_scratch
from orchestrator.measurement.stream_tables import Stream
from orchestrator.measurement.timing import IN_FLIGHT, TIMED_OUT
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds, joined
from orchestrator.storage.schema import InFlight
from orchestrator.storage.stored_form import columns_batch, rows_batch, without_arrivals
from orchestrator.subject.samples import batches_of_round
from orchestrator.subject.schedule import schedule_of

MOST_CHARACTERS = 20_000
KILLED = "something killed it, as the kernel does where memory is short (see `dmesg`)"


def keep_crashes(scratch: Path) -> IO[bytes]:
    """Have a fatal signal, such as SIGSEGV or SIGABRT, write there in which line of which file it came. The file must stay open.

    Raises InputError if this user's folder is not theirs alone.
    """
    os.close(open_own_folder())
    file = open_own(crash_path(scratch), "xb")
    faulthandler.disable()  # enabled already, it would not take signals back that a library has taken since
    faulthandler.enable(file, all_threads=False)
    return file


@dataclass(frozen=True)
class LastWords:
    """What is known of the end of a timed process.

    round, done, batches
        the round that was stamped last, how many of its inferences had ended, and how many it has; None before the first round.
    crash
        the lines of code a fatal signal met, empty without one.
    """

    round: int | None = None
    done: int = 0
    batches: int = 0
    crash: str = ""


def take_last_words(scratch: Path) -> LastWords:
    """Return what a process that is gone has left beside its stamps, which stay; its lines of code are deleted."""
    path, crash = crash_path(scratch), ""
    with suppress(OSError), open_own(path, "rb") as file:
        crash = file.read(MOST_CHARACTERS).decode(errors="replace")
    with suppress(OSError):
        path.unlink()
    try:
        (number, batches, _, began_ns, *_), stamps = read_scratch(scratch)
    except (OSError, TrialFailed):  # who takes the stamps says what is wrong with them
        return LastWords(crash=crash)
    if not batches or not began_ns:
        return LastWords(crash=crash)
    open_ones = np.isin(stamps[:, 3], (0, IN_FLIGHT))
    return LastWords(number, int(np.argmax(open_ones)) if open_ones.any() else batches, batches, crash)


def told(words: LastWords, preparing: bool, stream: bool) -> str:
    """Return in one line how a timed process ended, in which stage, and what to do.

    ``preparing`` is True before its first visit, ``stream`` where a trial's rounds are those of a stream.
    """
    how, remedy = "how is not known", f"its code called os._exit, or {KILLED}; have the model raise an exception instead, or free memory"
    if words.crash:
        how = words.crash.splitlines()[0].removeprefix("Fatal Python error: ")
        remedy = "traceback.txt of the trial has the line of code; mend that, or the library that it calls"
    if words.round is None:
        stage = "while it loaded the model"
    else:
        name = "warm-up round" if preparing else "the stream that begins with round" if stream else "round"
        whole = words.done == words.batches
        stage = f"{'after' if whole else f'at inference {words.done + 1} of {words.batches} of'} {name} {words.round}"
    return f"its process ended ({how}) {stage}: {remedy}"


def incomplete_round(
    trial: Trial, found: Stamps, number: int, samples: int, process: int, in_flight: InFlight, message: str, visit: int | None = None
) -> Rounds:
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
    refuse_impossible(found.stamps, together=trial.in_flight > 1)
    ended = found.stamps[:, 3] > 0
    finished = ended & (found.stamps[:, 0] > 0)
    outcomes = np.full(samples, "lost", dtype=object)
    durations = np.zeros((samples, 3), dtype=np.int64)
    # Requests say that they are on their way; of batches it is the first one without an end.
    under_way = [] if ended.all() else [int(np.argmin(ended))]
    if trial.server.is_asked:
        under_way = np.flatnonzero(found.stamps[:, 3] == IN_FLIGHT).tolist()
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
    return Rounds(timings, rows_batch([row], schema.ROUNDS), errors={number: errors})


def cut_stream(
    trial: Trial, found: Stamps, number: int, samples: int, process: int, in_flight: InFlight, message: str, visit: int
) -> Rounds:
    """Return the rounds of a stream up to the last one that had begun, of which one is incomplete.

    A stream that was cut in its ramp has one round, of which nothing was measured. Parameters are those of `incomplete_round`.

    Raises
    ------
    TrialFailed
        for stamps that cannot be those of this stream.
    """
    schedule = schedule_of(trial, samples, visit)
    arrivals = schedule.moments_ns.size
    if len(found.stamps) < arrivals:
        raise TrialFailed(f"the process left stamps of {len(found.stamps)} arrivals, and its stream has {arrivals}", FAULT)
    stream = Stream(schedule, found.stamps[:arrivals], found.origin_ns, in_flight, lanes=trial.in_flight)
    stream.refuse_impossible()
    seen = np.flatnonzero(stream.stamps[:, 3])
    last = stream.last_round(int(seen[-1]) + 1 if seen.size else 0)
    results = []
    for counted in range(last + 1):
        row = {
            "round": number + counted,
            **stream.span(counted, found.wall_ns, found.monotonic_ns),
            "process": process,
            "visit": visit,
            "incomplete": not bool(stream.complete[counted]),
            "stream": visit,
            "stream_started_monotonic_ns": found.monotonic_ns,
            "overloaded": False,
        }
        part = schedule.of_round(counted)
        cut = schedule.samples[part][stream.stamps[part, 3] == IN_FLIGHT]
        results.append(
            Rounds(
                timings=stream.timings(counted, number + counted),
                rows=rows_batch([row], schema.ROUNDS),
                errors={number + counted: dict.fromkeys(map(int, cut), message)},
                ramp=stream.ramp(visit) if counted == 0 else None,
            )
        )
    return joined(results)
