"""What a timed process leaves that dies: where in its code, and how far the round in flight has come."""

import faulthandler
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from orchestrator.machine.locks import open_own_folder
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.scratch import crash_path, open_own, read_scratch
from orchestrator.measurement.timing import IN_FLIGHT

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
