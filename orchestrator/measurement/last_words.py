"""What a timed process leaves that dies: where in its code, and the rounds in flight as far as they came."""

import faulthandler
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from orchestrator.configuration.config import Trial
from orchestrator.machine.locks import open_own_folder
from orchestrator.measurement.failures import FAULT, Stamps, TrialFailed, refuse_impossible
from orchestrator.measurement.round_tables import Stream, Timed, round_row, timings_batch
from orchestrator.measurement.scratch import crash_path, open_own, read_scratch
from orchestrator.measurement.timing import IN_FLIGHT
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.schema import InFlight
from orchestrator.storage.stored_form import rows_batch
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
    with suppress(OSError, TrialFailed):  # who takes the stamps says what is wrong with them
        if (found := read_scratch(scratch)) is not None:
            open_ones, batches = np.isin(found.stamps[:, 3], (0, IN_FLIGHT)), len(found.stamps)
            return LastWords(found.round, int(np.argmax(open_ones)) if open_ones.any() else batches, batches, crash)
    return LastWords(crash=crash)


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


def rounds_left(
    trial: Trial,
    found: Stamps,
    number: int,
    samples: int,
    process: int,
    in_flight: InFlight,
    message: str,
    visit: int | None = None,
    turns: Sequence[int] | None = None,
) -> Rounds:
    """Return what a process that is gone has left, as far as it came: the round in flight, or its stream up to the last round that began.

    Finished samples are ``ok``, those under way ``in_flight``, the rest ``lost``. A stream that was cut in its ramp has one round, of which
    nothing was measured.

    Parameters
    ----------
    number
        the number to store them under: that of the first round that never came back.
    samples
        number of samples of the trial.
    in_flight, message
        ``timeout`` or ``error``, and what is known of the samples under way.
    visit
        the visit that they belong to.
    turns
        of each conversation, None where there are none.

    Raises
    ------
    TrialFailed
        for stamps that cannot be those of a round or a stream of this trial.
    """
    common = {"process": process, "visit": visit}
    if trial.load.is_open:
        assert visit is not None
        schedule = schedule_of(trial, samples, visit, turns)
        arrivals = schedule.moments_ns.size
        if len(found.stamps) < arrivals:
            raise TrialFailed(f"the process left stamps of {len(found.stamps)} arrivals, and its stream has {arrivals}", FAULT)
        stamps = found.stamps[:arrivals]
        schedule = schedule.came(stamps, found.origin_ns, round(trial.load.think_s * 1e9))
        stream = Stream(schedule, stamps, found.origin_ns, in_flight, lanes=trial.in_flight)
        stream.refuse_impossible()
        seen = np.flatnonzero(stream.stamps[:, 3])
        count = stream.last_round(int(seen[-1]) + 1 if seen.size else 0) + 1
        raised = dict.fromkeys(np.flatnonzero(stream.stamps[:, 3] == IN_FLIGHT).tolist(), message)
        return stream.rounds(number, count, (found.wall_ns, found.monotonic_ns), {**common, "overloaded": False}, raised)
    groups = batches_of_round(trial, samples, found.round)
    if len(found.stamps) != len(groups):
        raise TrialFailed(f"the process left stamps of {len(found.stamps)} batches, and a round has {len(groups)}", FAULT)
    refuse_impossible(found.stamps, together=trial.in_flight > 1)
    stamps = found.stamps.copy()
    ended = stamps[:, 3] > 0
    if not trial.server.is_asked and not ended.all():
        stamps[np.argmin(ended), 3] = IN_FLIGHT  # requests say themselves that they are on their way
    finished = stamps[ended & (stamps[:, 0] > 0)]
    duration_ns = int(finished[:, 3].max() - finished[:, 0].min()) if len(finished) else 0
    row = round_row(number, found.wall_ns, found.monotonic_ns, duration_ns, {**common, "incomplete": True})
    errors = {sample: message for batch in np.flatnonzero(stamps[:, 3] == IN_FLIGHT) for sample in groups[batch]}
    timings = timings_batch([Timed(number, stamps, groups)], follow=False, in_flight=in_flight)
    return Rounds(timings, rows_batch([row], schema.ROUNDS), errors={number: errors} if errors else {})
